"""A loop over an `nn.LSTMCell`, `nn.GRUCell` or `nn.RNNCell`: its steps, put together as one call of a layer.

A step continues the loop where the state that it reads is the one that the step before it returned, or in some rows the
one that it read: a loop that masks carries a row's state on unchanged past the row's end.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rnninspect import conventions
from rnninspect.conventions.live import read_state
from rnninspect.core.arrays import to_array
from rnninspect.core.batch import Batch, resolve_mask
from rnninspect.core.cell import Cell
from rnninspect.core.evidence import Reading, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Bools, Trace, Track
from rnninspect.diagnosis.build_case import read_weights, rerun
from rnninspect.diagnosis.case import Case, Layer
from rnninspect.engine import cells
from rnninspect.errors import ShapeError
from rnninspect.measure.choose_reading import Choice, Tolerance
from rnninspect.recording.base import Judged, Where
from rnninspect.recording.stated import Settled, Stated, settle, settle_own
from rnninspect.recording.torch_modules.tensors import copied, size

State = tuple[Tensor, ...]  # (h, c) of an LSTM, (h,) of the others; `[B, H]` each


@dataclass(frozen=True, eq=False)
class Step:
    """One call of the cell: `inputs` `[B, F]`, the state that it returned, and the one that it read.

    `read` is None where that is the state which the step before returned, or zeros.
    """

    inputs: Tensor
    read: State | None
    returned: State


@dataclass(eq=False)
class Loop:
    """The steps of one loop, in order; it grows while the model runs. Tensors are copies.

    `forward`: the outermost forward that it belongs to. `changed`: the program changes the state between the steps, so
    that no run of the weights gives its numbers. `cut`: steps that were no longer kept.
    """

    where: Where
    cell: Cell
    weights: Mapping[str, Tensor]
    forward: int = 0
    not_rerun: str = ""
    steps: list[Step] = field(default_factory=list)
    changed: bool = False
    cut: int = 0
    _last: weakref.ref[Tensor] | None = None

    def add(self, inputs: Tensor, read: Any, returned: Any) -> int:
        """One more step, with what the cell was given and what it returned; the bytes that its copies take."""
        state, gave = _state(read), _state(returned)
        passed = state is None or self._passes_on(state[0])
        kept = None if state is None or passed else _rows(state)
        self.steps.append(Step(_row(copied(inputs)), kept, _rows(gave or ())))
        self.passed(returned)
        return size(inputs) + size(gave) + size(kept)

    def passed(self, returned: Any) -> None:
        """Remembers the tensor that a step returned, by which the next one is known."""
        gave = _state(returned)
        self._last = weakref.ref(gave[0]) if gave else None

    def continues(self, read: Any, forward: int) -> bool:
        """Whether a call with this state, in that outermost forward, is the next step of the loop.

        It reads what the step before returned, or (in some rows, or units) what that read; fewer rows, where the rest
        have ended. Within one forward of a model any other state but zeros, and the one that the loop began with, is
        the loop's own, changed by the program (dropout, a norm, another order of rows).
        """
        state = _state(read)
        if state is None:
            return False
        if self._passes_on(state[0]):
            return True
        if self.cut or not self.steps:
            return bool(forward) and forward == self.forward and bool(state[0].any())
        h, before = _row(state[0].detach()), self.steps[-1].returned[0]
        count = h.shape[0]
        if h.shape[1:] != before.shape[1:] or count > before.shape[0] or h.device != before.device or not h.any():
            return False
        was = self._read_h()
        new, held = h == before[:count], h == (torch.zeros_like(before) if was is None else was)[:count]
        if bool((new.all(1) | held.all(1)).all()):
            return True
        began = self.steps[0].read
        fresh = began is not None and began[0].shape == h.shape and bool((began[0] == h).all())
        mixed = bool((new | held).all())
        if not fresh and (mixed or (forward == self.forward and forward)):
            self.changed = True
            return True
        return False

    def _passes_on(self, h: Tensor) -> bool:
        """Whether this is the very tensor that the last step returned: no value need be looked at."""
        return self._last is not None and self._last() is h

    def _read_h(self) -> Tensor | None:
        """What the last step read, or None for zeros."""
        last = self.steps[-1]
        if last.read is not None:
            return last.read[0]
        return self.steps[-2].returned[0] if len(self.steps) > 1 else None

    @property
    def batch_size(self) -> int:
        return int(self.steps[0].inputs.shape[0])

    def case(self, tolerance: Tolerance, final_state: Any = None, lengths: Any = None) -> Case:
        """The case of this loop alone."""
        return self.judged(tolerance, final_state, lengths).case

    def judged(self, tolerance: Tolerance, final_state: Any = None, lengths: Any = None) -> Judged:
        """The case of this loop. Its final state is the one given, else the one that the loop carries to its end; where
        rows end earlier and the loop does not mask, it cannot be known which state is used, and there is none.

        Raises ShapeError where the lengths are not one a row.
        """
        settled, order = self._settled(lengths)
        if final_state is not None and settled.order is not None:
            settled = replace(settled, open="")
        mask, real = resolve_mask(self.batch_size, len(self.steps), settled.lengths, settled.mask)
        config = LayerConfig(cell=self.cell, attributes=dict(self.where.attributes))
        outputs, inputs = self.outputs[order], self.inputs[order]
        if self.changed or self.cut:
            h, c = None, None
        elif final_state is None:
            h, c = self._final(mask, order)
        else:
            h, c = _state_given(final_state, outputs, config)
        first = self.steps[0].read
        initial = (None, None) if first is None else (to_array(first[0], "h_0")[order], _second(first, order))
        track = Track(0, "forward", outputs, h, c, *initial)
        trace = Trace(mask, (track,), real, settled.mask is not None, "any", "initial", "torch")
        rerun_it = h is not None and not self.not_rerun  # without h nothing is judged
        weights = read_weights(self.weights, config, "torch") if rerun_it else None
        torch_convention = conventions.get("torch")
        layer = Layer(torch_convention, config, weights, rerun)
        batch = Batch(inputs, mask, real, settled.mask is not None)
        case = Case(Choice(Reading(trace, "B T H", "B H")), layer, batch, tolerance=tolerance)
        reasons = [*([settled.open] if settled.open else []), *self._reasons(case)]
        return Judged(case, "; ".join(reasons), (*settled.notes, *self._notes(case)), settled.hint)

    def dump(self) -> dict[str, Array]:
        """The loop's arrays, batch-major, and the weights under torch's names; the final state where it is known."""
        trace = self.case(Tolerance()).trace
        track = trace.tracks[0]
        arrays = {"inputs": self.inputs, "output": track.outputs, "h_n": track.final, "c_n": track.cell}
        arrays |= {"h_0": track.initial, "c_0": track.initial_cell, "lengths": trace.lengths}
        return {n: a for n, a in arrays.items() if a is not None} | {n: to_array(w, n) for n, w in self.weights.items()}

    def states(self) -> tuple[Array | None, Array | None]:
        first = self.steps[0].read
        return None if first is None else to_array(first[0], "h_0"), to_array(self.steps[-1].returned[0], "h")

    def _settled(self, lengths: Any) -> tuple[Settled, Any]:
        """What is taken for the rows, and the order of the user's batch."""
        stated = self.where.stated if lengths is None else Stated(lengths, exact=True)
        counts = np.array([step.inputs.shape[0] for step in self.steps])
        if not self.batch_size:
            raise ShapeError(f"{self.where.called} has no rows: there is nothing to compare")
        if (counts == counts[0]).all():
            settled = settle(stated, self.batch_size, len(self.steps), self.where.called)
        else:  # rows that have ended are left out
            own = (counts[None] > np.arange(self.batch_size)[:, None]).sum(1)
            settled = settle_own(stated, own, len(self.steps), True, self.where.called)
        order = slice(None) if settled.order is None else settled.order
        return settled, order

    def _reasons(self, case: Case) -> list[str]:
        """Why the loop cannot be judged whole."""
        reasons = []
        if self.cut:
            reasons.append(f"{self.cut} more steps of the loop were not kept (max_bytes)")
        if self.changed:
            reasons.append(
                "the program changes the state between the steps (zoneout, dropout, a norm, another order of rows), so "
                "that no run of the weights gives it"
            )
        elif case.trace.tracks[0].final is None and not self.cut:
            reasons.append(
                "the loop runs on over the padding, and which state your code takes as final cannot be seen: give it, "
                f"recording.inspect({self.where.name!r}, final_state=h)"
            )
        return reasons

    def _notes(self, case: Case) -> list[str]:
        """What a reader of the report should know."""
        notes = [] if case.trace.knows_padding else ["no lengths are known: every step is taken as real"]
        return [*notes, *([f"{self.not_rerun}, so the weights were not run again"] if self.not_rerun else [])]

    @cached_property
    def inputs(self) -> Array:
        """`[B, T, F]`; zeros where a row has ended."""
        return _stacked([to_array(step.inputs, "inputs") for step in self.steps])

    @cached_property
    def outputs(self) -> Array:
        """`[B, T, H]`: h after every step; zeros where a row has ended."""
        return _stacked([to_array(step.returned[0], "output") for step in self.steps])

    def _final(self, mask: Bools, order: Any) -> tuple[Array | None, Array | None]:
        """(h, c) that the loop carries to its end, where that can be seen."""
        rows, counts = np.arange(self.batch_size), mask.sum(1)
        last = len(self.steps) - 1
        ended = self.steps[-1].inputs.shape[0] < self.batch_size
        if not ended and not mask.all() and not self._masks(counts):
            return None, None
        at = np.where(mask.all(1), last, counts - 1)
        h = self.outputs[order][rows, at]
        c = None
        if cells.get(self.cell).has_c:
            c = _stacked([to_array(step.returned[1], "c") for step in self.steps])[order][rows, at]
        return h, c

    def _masks(self, counts: Array) -> bool:
        """Whether every row that can be watched reads the state of its last real step at every later step.

        The step after a row's end reads it in any loop; from the second on a loop that does not mask reads another.
        """
        total = len(self.steps)
        read = np.stack([to_array(self._reads(t), "h") for t in range(1, total)], 1)  # what steps 1, 2, … read
        watched = [b for b, n in enumerate(counts) if 0 < n < total - 1]
        return bool(watched) and all(
            (read[b, n:] == self.outputs[b, n - 1]).all() for b in watched for n in [counts[b]]
        )

    def _reads(self, t: int) -> Tensor:
        """`[B, H]`: h as step t > 0 read it."""
        read = self.steps[t].read
        return self.steps[t - 1].returned[0] if read is None else read[0]


def _state_given(final_state: Any, outputs: Array, config: LayerConfig) -> tuple[Array | None, Array | None]:
    slots = read_state(final_state, (Slot("outputs", "output", outputs),), config, False)
    by_role = {s.role: s.array for s in slots}
    return by_role.get("h"), by_role.get("c")


def _stacked(steps: list[Array]) -> Array:
    """`[B, T, …]` of steps `[B, …]`, of which the later ones may have fewer rows."""
    rows = steps[0].shape[0]
    whole = [np.pad(s, ((0, rows - s.shape[0]), (0, 0))) if s.shape[0] < rows else s for s in steps]
    return np.stack(whole, 1)


def kind(module: nn.RNNCellBase) -> Cell | None:
    """The cell that a module computes, or None where it is none of torch's three."""
    kinds: tuple[tuple[type, Cell], ...] = ((nn.LSTMCell, "lstm"), (nn.GRUCell, "gru"), (nn.RNNCell, "rnn"))
    return next((cell for module_type, cell in kinds if isinstance(module, module_type)), None)


def _state(state: Any) -> State | None:
    return state if state is None or isinstance(state, tuple) else (state,)


def _rows(state: State) -> State:
    return tuple(_row(copied(tensor)) for tensor in state)


def _row(tensor: Tensor) -> Tensor:
    """`[B, …]`, also of a call without a batch axis."""
    return tensor[None] if tensor.dim() == 1 else tensor


def _second(state: State, order: Any) -> Array | None:
    return to_array(state[1], "c_0")[order] if len(state) > 1 else None
