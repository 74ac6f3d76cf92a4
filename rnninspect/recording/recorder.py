"""A recording of a live model: what its users open, ask and save. What records is the framework's own recorder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from rnninspect.api.inspect import Names, inspect_case
from rnninspect.core.trace import Array
from rnninspect.errors import UnknownNameError, UserError
from rnninspect.formats import write_arrays
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.recording.base import RecordedCall
from rnninspect.recording.registry import recorders_of
from rnninspect.report.excerpts import EXCERPT
from rnninspect.report.report import Report, Reports

LIMIT = 16  # calls of one layer that are kept


def record(model: Any = None, *, lengths: Any = None, limit: int | None = LIMIT) -> Recording:
    """Records every call of the recurrent layers in a live model, within a `with` block.

    `model`: of any kind that `rnninspect list recorders` names: of torch any module with an `nn.LSTM`, `nn.GRU`,
    `nn.RNN` or their cells, compiled or in DataParallel too; None: every module that runs in this process.
    `lengths`: real steps of each row, where the layers are not given a PackedSequence, which brings its own: a tensor
    `[B]`; the name of an argument of the model's `forward` that holds them (`lengths="lengths"`), read at each call; or
    a mapping from a layer's name in the model to either; `"full"`: no row is shorter than T. `recording.lengths` may be
    set anew between calls.
    `limit`: how many calls of each layer are kept, the first ones; None: all.

    Results, gradients and random numbers stay as they are; tensors are copied on their own device. The hooks are freed
    however the block ends. Compiled models run uncompiled inside the block; a module's `forward` that is called by name
    passes its hooks by, and is not seen. Raises UserError where the model is of no known kind and, as the block
    begins, where it holds no such layer, or one inside a scripted module, where hooks do not run, and
    UnknownNameError where `lengths` names an argument that no forward of the model has.

    >>> import torch
    >>> from torch import nn
    >>> model = nn.Sequential(nn.LSTM(3, 2, batch_first=True))
    >>> with record(model, lengths=[4, 2]) as recording:
    ...     output, state = model(torch.randn(2, 4, 3))
    >>> [finding.rule for finding in recording.inspect().findings]
    ['lengths-ignored']
    """
    return Recording(model, lengths=lengths, limit=limit)


class Recording:
    """What was recorded. It is made by `record`, and records while its `with` block is open."""

    def __init__(self, model: Any = None, *, lengths: Any = None, limit: int | None = LIMIT) -> None:
        self._model = model
        self._lengths = lengths
        self._sessions = [recorder.session(lengths, limit) for recorder in recorders_of(model)]
        self._hooks = ExitStack()

    def __enter__(self) -> Recording:
        with ExitStack() as hooks:  # frees what was registered where the rest cannot be
            for session in self._sessions:
                session.begin(self._model, hooks)
            self._hooks = hooks.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.close()
        for session in self._sessions:
            session.close()

    def __repr__(self) -> str:
        calls = self.calls
        return f"<Recording: {len(calls)} call{'' if len(calls) == 1 else 's'} ({_list_calls(calls) or 'none'})>"

    @property
    def lengths(self) -> Any:
        """The lengths of the calls to come; may be set."""
        return self._lengths

    @lengths.setter
    def lengths(self, lengths: Any) -> None:
        self._lengths = lengths
        for session in self._sessions:
            session.lengths = lengths

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """Every call that was kept, in the order in which they were made; a loop over a cell is one."""
        return tuple(call for session in self._sessions for call in session.calls())

    @property
    def skipped(self) -> Mapping[str, int]:
        """How many further calls were not kept, by the layer's name; of a cell, how many steps."""
        return {name: count for session in self._sessions for name, count in session.skipped().items()}

    def inspect(
        self,
        name: str | None = None,
        *,
        call: int | None = None,
        final_state: Any = None,
        lengths: Any = None,
        rtol: float = 0.0,
        atol: float = 0.0,
        select: Names = (),
        ignore: Names = (),
        excerpt: int | None = EXCERPT,
    ) -> Reports:
        """Judges every recorded call by every rule, a run of its own weights included: a Report a call.

        `name`, `call`: of this layer, this call of it (negative: from the last) alone. `final_state`: the state that
        your code took, where it is not the one that the layer returned: h `[B, H]`, or (h, c). `lengths`: `[B]`, where
        the recording knew none. The other keywords are those of `rnninspect.inspect`.

        Raises UserError where nothing was recorded, UnknownNameError on an unknown layer, ShapeError where lengths do
        not fit a call.
        """
        chosen = self._chosen(name, call)
        if final_state is not None and len(chosen) > 1:
            raise UserError(
                f"one final_state for {len(chosen)} calls ({_list_calls(chosen)}): pick one by name and call"
            )
        reports: list[Report] = []
        for one in chosen:
            case = one.case(Tolerance(rtol, atol), final_state, lengths)
            source = {"name": one.where.name, "call": one.where.number, "layer": one.where.layer}
            made = inspect_case(case, "record", source=source, select=select, ignore=ignore, excerpt=excerpt)
            reports.append(replace(made, notes=[*made.notes, *one.notes(case), *self._unkept(one.where.name)]))
        return Reports(reports)

    def save(self, path: str | os.PathLike[str], name: str | None = None, *, call: int | None = None) -> None:
        """Writes a dump that `rnninspect compare PATH --weights PATH --convention torch` reads, batch-major.

        One call's arrays have torch's own names; several calls are groups, `PATH#NAME.CALL`. The dump of a loop over a
        cell wants `--padding computed` besides. The format is that of the suffix, `.npz` by default. Raises UserError
        where nothing was recorded, or the file cannot be written.
        """
        chosen = self._chosen(name, call)
        arrays: dict[str, Array] = {}
        for one in chosen:
            prefix = f"{one.where.name}.{one.where.number}." if len(chosen) > 1 else ""
            arrays |= {prefix + key: array for key, array in one.dump().items()}
        write_arrays(os.fspath(path), arrays)

    def _chosen(self, name: str | None, call: int | None) -> list[RecordedCall]:
        """The calls of that name and number; UserError where there are none."""
        calls = self.calls
        names = list(dict.fromkeys(one.where.name for one in calls))
        if not calls:
            raise UserError("nothing was recorded: no recurrent layer was called while the recording was open")
        if name is not None and name not in names:
            raise UnknownNameError("recorded layer", name, names)
        chosen: list[RecordedCall] = []
        for layer in names if name is None else [name]:
            of_one = [one for one in calls if one.where.name == layer]
            if call is not None and not -len(of_one) <= call < len(of_one):
                raise UserError(f"{layer} has {len(of_one)} recorded calls, from 0; there is no call {call}")
            chosen += of_one if call is None else [of_one[call]]
        return chosen

    def _unkept(self, name: str) -> list[str]:
        more = self.skipped.get(name, 0)
        return [f"{more} more calls were not kept (limit)"] if more else []


def _list_calls(calls: list[RecordedCall] | tuple[RecordedCall, ...]) -> str:
    """Which calls of which layers, in words."""
    names = [one.where.name for one in calls]
    return ", ".join(f"{name} x {names.count(name)}" for name in dict.fromkeys(names))
