"""A recording of a live model: what its users open, ask and save. What records is the framework's own recorder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from rnninspect.api.inspect import Names
from rnninspect.core.trace import Array
from rnninspect.errors import UnknownNameError, UserError
from rnninspect.formats import write_arrays
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.recording.base import LIMIT, MAX_BYTES, RecordedCall, Wanted
from rnninspect.recording.handover import Handover, handovers
from rnninspect.recording.judge_calls import Asked, of_one_loop, report_of, report_of_unseen
from rnninspect.recording.registry import recorders_of
from rnninspect.recording.whose_state import by_rows, call_of
from rnninspect.report.excerpts import EXCERPT
from rnninspect.report.report import Report, Reports

MANY = 24  # calls; of more, every report quotes
FEW_NUMBERS = 1024  # numbers at most, where nothing else is asked


def record(
    model: Any = None,
    *,
    lengths: Any = None,
    limit: int | None = LIMIT,
    every: int = 1,
    max_bytes: int | None = MAX_BYTES,
) -> Recording:
    """Record every call of the recurrent layers in a live model, within a `with` block (or from `start` to `stop`).

    `model`: of any kind that `rnninspect list recorders` names: of torch any module with an `nn.LSTM`, `nn.GRU`,
    `nn.RNN` or their cells, compiled or in DataParallel too; None: every torch module that runs in this process.
    `lengths`: the real steps of each row: lengths `[B]` or a mask `[B, T]` (True = real); the name of an argument of
    the model's `forward` that holds either (`"lengths"`; `"batch.lengths"`: a key of one), read at each call; a
    callable that computes either from the arguments of `forward`; a mapping from layers' names in the model to any of
    these; or `"full"`: no row is shorter than T. A call with lengths of its own (a PackedSequence) needs none; lengths
    stated for it are compared with them. None: an argument with a usual name (`lengths`, `attention_mask`, …) is used
    if its values fit the call, which a note says; without one, a call of several rows is never `clean`.
    `recording.lengths` may be changed between calls. A call that the lengths do not fit is never `clean`: its report
    says so.
    `limit`: how many calls of each layer are kept, the first ones; None: all. `every`: keep only each k-th call.
    `max_bytes`: of all copies together (512 MiB), beyond which calls are only counted; None: no limit.

    Results, gradients and random numbers do not change; tensors are copied on their own device. The hooks are removed
    at the end of the block, also after an error, and are not part of the model, which can be copied and saved within
    the block. Compiled models run uncompiled inside the block; a module's `forward` that is called directly skips its
    hooks, and is not seen. Raises UserError where the model is not of a known kind and, at the start of the block,
    where it holds no such layer, or one inside a scripted module, where hooks do not run, and UnknownNameError where
    `lengths` names an argument or a layer that the model lacks.

    >>> import torch
    >>> from torch import nn
    >>> model = nn.Sequential(nn.LSTM(3, 2, batch_first=True))
    >>> with record(model, lengths=[4, 2]) as recording:
    ...     output, state = model(torch.randn(2, 4, 3))
    >>> [finding.rule for finding in recording.inspect().findings]
    ['lengths-ignored']
    """
    return Recording(model, lengths=lengths, limit=limit, every=every, max_bytes=max_bytes)


class Recording:
    """The calls that `record` recorded; it records while its `with` block is open."""

    def __init__(
        self,
        model: Any = None,
        *,
        lengths: Any = None,
        limit: int | None = LIMIT,
        every: int = 1,
        max_bytes: int | None = MAX_BYTES,
    ) -> None:
        _check_counts(limit=limit, max_bytes=max_bytes)
        _check_counts(every=every, least=1)
        self._model = model
        self._lengths = lengths = _by_text(lengths)
        wanted = Wanted(lengths, limit, every, max_bytes)
        recorders = recorders_of(model)
        self._sessions = [recorder.session(wanted) for recorder in recorders]
        self._joined = recorders[0].joined
        self._convention = recorders[0].name  # a recorder is called as the convention is
        self._nothing = "".join(f"; {recorder.nothing}" for recorder in recorders if recorder.nothing)
        self._hooks = ExitStack()
        self._open = False

    def __enter__(self) -> Recording:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Recording:
        """Record from now on, until `stop`; what was recorded before is kept. UserError where it records already."""
        if self._open:
            raise UserError("this recording is open already: it cannot be entered twice; make another with record(…)")
        with ExitStack() as hooks:  # frees what was registered where the rest cannot be
            for session in self._sessions:
                session.begin(self._model, hooks)
            self._hooks = hooks.pop_all()
        self._open = True
        return self

    def stop(self) -> Recording:
        """Record no more."""
        self._open = False
        self._hooks.close()
        for session in self._sessions:
            session.close()
        return self

    def __repr__(self) -> str:
        calls = self.calls
        return f"<Recording: {len(calls)} call{'' if len(calls) == 1 else 's'} ({_list_calls(calls) or 'none'})>"

    @property
    def lengths(self) -> Any:
        """The lengths of the calls to come; may be set: UserError where they name what the model lacks."""
        return self._lengths

    @lengths.setter
    def lengths(self, lengths: Any) -> None:
        """State the lengths of the calls to come, as the setting of that name does."""
        lengths = _by_text(lengths)
        for session in self._sessions:
            session.state_lengths(lengths)
        self._lengths = lengths

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """Every call that was kept, in the order in which they were made; a loop over a cell is one."""
        return tuple(call for session in self._sessions for call in session.calls())

    @property
    def skipped(self) -> Mapping[str, int]:
        """How many further calls were not kept, by the layer's name; of a cell, how many steps."""
        return {name: count for session in self._sessions for name, count in session.skipped().items()}

    @property
    def unseen(self) -> Mapping[str, str]:
        """Recurrent layers that were called and could not be recorded, by name, and why."""
        return {name: why for session in self._sessions for name, why in session.unseen().items()}

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
        """Judge every recorded call by every rule, a run of its own weights included: a Report a call.

        `name`, `call`: of this layer, this call of it (by its number; negative: from the last one kept) alone.
        `excerpt`: how many numbers each report may quote; by default, of more than 24 calls, few.
        `final_state`: the state that your code took, where it is not the one that the layer returned: h `[B, H]`, or
        (h, c), its rows in the order of your batch; calls of one step each are then read as one run. `lengths`: `[B]`
        or a mask `[B, T]`, in place of those that the recording knows. The other keywords are those of
        `rnninspect.inspect`.

        A call that cannot be judged is a report that says why; so is a layer that was called and could not be recorded.
        Raises UserError where nothing was recorded, UnknownNameError on an unknown layer, ShapeError where `lengths`
        fit none of the calls.
        """
        chosen = self._chosen(name, call)
        steps = len(chosen)
        parts, whose = [(final_state, lengths)] * steps, ""
        if final_state is not None and steps > 1:
            chosen, parts, whose = self._shared_out(chosen, final_state, lengths)
        quoted = FEW_NUMBERS if excerpt == EXCERPT and len(chosen) > MANY else excerpt
        asked = Asked(Tolerance(rtol, atol), final_state, lengths, select, ignore, quoted, self._convention)
        began, skipped = handovers(self.calls), self.skipped
        reports: list[Report] = []
        errors: list[UserError] = []
        for one, (state, of_rows) in zip(chosen, parts, strict=True):
            more = skipped.get(one.where.name, 0)
            notes = [f"{more} more calls were not kept (limit)"] if more else []
            notes += [whose] if whose else []
            asked = replace(asked, final_state=state, lengths=of_rows)
            report, error = report_of(one, asked, began.get((one.where.name, one.where.number), Handover()), notes)
            reports.append(report)
            errors += [error] if error else []
        reports = self._as_loops(reports)
        if (lengths is not None or final_state is not None) and errors and len(errors) == len(reports):
            raise errors[0]
        if call is None:
            reports += [
                report_of_unseen(n, why, self._convention) for n, why in self.unseen.items() if name in (None, n)
            ]
        return Reports(reports)

    def _shared_out(
        self, calls: list[RecordedCall], final_state: Any, lengths: Any
    ) -> tuple[list[RecordedCall], list[tuple[Any, Any]], str]:
        """The calls that one state is of, (state, lengths) of each, and a note that says so: the one run of which all
        are the steps, the one that returned it, or all, of a row each. UserError where nothing tells, or some were not
        kept.
        """
        skipped = sum(self.skipped.get(name, 0) for name in {one.where.name for one in calls})
        whole = None if skipped else self._joined(calls)
        if whole is not None:
            return [whole], [(final_state, lengths)], f"{len(calls)} calls of one step each are read as one run"
        one = None if skipped else call_of(final_state, calls)
        if one is not None:
            note = f"final_state is what {one.where.called} returned, so it is held against that"
            return [one], [(final_state, lengths)], note
        rows = None if skipped else by_rows(final_state, lengths, calls)
        if rows is not None:
            return calls, rows, "each call returned one row of final_state, which is held against it"
        kept = f"; {skipped} more were not kept: record(…, limit=None) keeps all" if skipped else ""
        last = calls[-1].where
        raise UserError(
            f"one final_state for {len(calls)} calls ({_list_calls(calls)}), and no single one returned it: say which "
            f"call it was taken from, recording.inspect({last.name!r}, call={last.number}, final_state=…){kept}"
        )

    def _as_loops(self, reports: list[Report]) -> list[Report]:
        """The reports, in their order, those of each layer seen beside one another."""
        kept = Counter(one.where.name for one in self.calls)
        by_layer = {name: [r for r in reports if r.source["name"] == name] for name in kept}
        judged = {name: iter(of_one_loop(of_layer, kept[name])) for name, of_layer in by_layer.items()}
        return [next(judged[report.source["name"]]) for report in reports]

    def save(self, path: str | os.PathLike[str], name: str | None = None, *, call: int | None = None) -> None:
        """Write a dump that `rnninspect compare PATH --weights PATH --convention torch` reads, batch-major.

        One call's arrays have the framework's own names; several calls are groups, `PATH#NAME.CALL`. The dump of a loop
        over a cell wants `--padding computed` besides. The format is that of the suffix, `.npz` by default. Raises
        UserError where nothing was recorded, or the file cannot be written.
        """
        chosen = self._chosen(name, call)
        arrays: dict[str, Array] = {}
        for one in chosen:
            prefix = f"{one.where.name}.{one.where.number}." if len(chosen) > 1 else ""
            arrays |= {prefix + key: array for key, array in one.dump().items()}
        write_arrays(os.fspath(path), arrays)

    def _chosen(self, name: str | None, call: int | None) -> list[RecordedCall]:
        """The calls of that name and number; UserError where there are none."""
        calls, unseen = self.calls, self.unseen
        names = list(dict.fromkeys(one.where.name for one in calls))
        if not calls and not unseen:
            raise UserError(
                f"nothing was recorded: no recurrent layer was called while the recording was open{self._nothing}"
            )
        if name is not None and name not in (*names, *unseen):
            raise UnknownNameError("recorded layer", name, [*names, *unseen])
        chosen: list[RecordedCall] = []
        for layer in names if name is None else [name]:
            of_one = [one for one in calls if one.where.name == layer]
            chosen += of_one if call is None else [_numbered(of_one, layer, call)]
        return chosen


def _numbered(calls: list[RecordedCall], layer: str, number: int) -> RecordedCall:
    """The call of that number; UserError where it was not kept."""
    by_number = {one.where.number: one for one in calls}
    if number in by_number:
        return by_number[number]
    if -len(calls) <= number < 0:
        return calls[number]
    numbers = list(by_number)
    held = "from 0" if numbers == list(range(len(numbers))) else f"numbers {', '.join(map(str, numbers[:12]))}"
    raise UserError(f"{layer} has {len(calls)} recorded calls, {held}; there is no call {number}")


def _by_text(lengths: Any) -> Any:
    """Lengths by layer under texts: `{0: …}` is the layer "0" of a Sequential."""
    return {str(name): value for name, value in lengths.items()} if isinstance(lengths, Mapping) else lengths


def _check_counts(least: int = 0, **counts: Any) -> None:
    for name, count in counts.items():
        if count is None and name != "every":
            continue
        if isinstance(count, bool) or not isinstance(count, int) or count < least:
            all_of_them = "" if name == "every" else ", or None: all"
            raise UserError(f"{name}={count!r}: a whole number from {least} on is needed{all_of_them}")


def _list_calls(calls: list[RecordedCall] | tuple[RecordedCall, ...]) -> str:
    """Which calls of which layers, in words."""
    names = [one.where.name for one in calls]
    return ", ".join(f"{name} x {names.count(name)}" for name in dict.fromkeys(names))
