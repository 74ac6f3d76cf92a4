"""A loop over an `nn.LSTMCell`, `nn.GRUCell` or `nn.RNNCell`: its steps, put together as one call of a layer.

A step continues the loop where the state that it reads is the one that the step before it returned, or in some rows the
one that it read: a loop that masks carries a row's state on unchanged past the row's end.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
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
from rnninspect.measure.choose_reading import Choice, Tolerance
from rnninspect.recording.base import Where
from rnninspect.recording.torch_modules.calls import copied

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
    """The steps of one loop, in order; it grows while the model runs. Tensors are copies."""

    where: Where
    cell: Cell
    weights: Mapping[str, Tensor]
    steps: list[Step] = field(default_factory=list)
    _last: weakref.ref[Tensor] | None = None

    def add(self, inputs: Tensor, read: Any, returned: Any) -> None:
        """One more step, with what the cell was given and what it returned."""
        state, gave = _state(read), _state(returned)
        passed = state is None or self._passes_on(state[0])
        kept = None if state is None or passed else _rows(state)
        self.steps.append(Step(_row(copied(inputs)), kept, _rows(gave or ())))
        self._last = weakref.ref(gave[0]) if gave else None

    def continues(self, read: Any) -> bool:
        """Whether a call with this state is the next step of the loop."""
        state = _state(read)
        if state is None or not self.steps:
            return False
        if self._passes_on(state[0]):
            return True
        h, before = _row(state[0].detach()), self.steps[-1]
        if h.shape != before.returned[0].shape or h.device != before.returned[0].device:
            return False
        was = self._read_h()
        new = (h == before.returned[0]).all(1)
        held = (h == was).all(1) if was is not None else (h == 0).all(1)
        return bool((new | held).all()) and bool(new.any() or h.any())

    def _passes_on(self, h: Tensor) -> bool:
        """Whether this is the very tensor that the last step returned: no value need be looked at."""
        return bool(self.steps) and self._last is not None and self._last() is h

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
        """The case of this loop. Its final state is the one given, else the one that the loop carries to its end; where
        rows end earlier and the loop does not mask, it cannot be known which state is used, and there is none.

        Raises ShapeError where the lengths are not one a row.
        """
        lengths = self.where.lengths if lengths is None else lengths
        checked = None if lengths is None else self.where.checked(lengths, self.batch_size, len(self.steps))
        mask, real = resolve_mask(self.batch_size, len(self.steps), checked, None)
        config = LayerConfig(cell=self.cell, attributes=self.where.attributes)
        h, c = self._final(mask) if final_state is None else self._state_given(final_state, config)
        first = self.steps[0].read
        initial = (None, None) if first is None else (to_array(first[0], "h_0"), _second(first))
        track = Track(0, "forward", self.outputs, h, c, *initial)
        trace = Trace(mask, (track,), real, False, "any", "initial", "torch")
        weights = None if h is None else read_weights(self.weights, config, "torch")  # without h nothing is judged
        batch = Batch(self.inputs, mask, real)
        torch_convention = conventions.get("torch")
        reading = Reading(trace, "B T H", "B H")
        return Case(Choice(reading), Layer(torch_convention, config, weights, rerun), batch, tolerance=tolerance)

    def dump(self) -> dict[str, Array]:
        """The loop's arrays, batch-major, and the weights under torch's names; the final state where it is known."""
        trace = self.case(Tolerance()).trace
        track = trace.tracks[0]
        arrays = {"inputs": self.inputs, "output": track.outputs, "h_n": track.final, "c_n": track.cell}
        arrays |= {"h_0": track.initial, "c_0": track.initial_cell, "lengths": trace.lengths}
        return {n: a for n, a in arrays.items() if a is not None} | {n: to_array(w, n) for n, w in self.weights.items()}

    def notes(self, case: Case) -> list[str]:
        """What a reader of the report should know."""
        if case.trace.tracks[0].final is None:
            return [
                "the loop runs on over the padding, and which state your code takes as final cannot be seen: give it, "
                f"recording.inspect({self.where.name!r}, final_state=h)"
            ]
        return [] if case.trace.knows_padding else ["no lengths are known: every step is taken as real"]

    @cached_property
    def inputs(self) -> Array:
        """`[B, T, F]`."""
        return np.stack([to_array(step.inputs, "inputs") for step in self.steps], 1)

    @cached_property
    def outputs(self) -> Array:
        """`[B, T, H]`: h after every step."""
        return np.stack([to_array(step.returned[0], "output") for step in self.steps], 1)

    def _final(self, mask: Bools) -> tuple[Array | None, Array | None]:
        """(h, c) that the loop carries to its end, where that can be seen."""
        rows, counts = np.arange(self.batch_size), mask.sum(1)
        last = len(self.steps) - 1
        if not mask.all() and not self._masks(counts):
            return None, None
        at = np.where(mask.all(1), last, counts - 1)
        h = self.outputs[rows, at]
        c = None
        if cells.get(self.cell).has_c:
            c = np.stack([to_array(step.returned[1], "c") for step in self.steps], 1)[rows, at]
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

    def _state_given(self, final_state: Any, config: LayerConfig) -> tuple[Array | None, Array | None]:
        by_role = {
            s.role: s.array for s in read_state(final_state, (Slot("outputs", "output", self.outputs),), config, False)
        }
        return by_role.get("h"), by_role.get("c")


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


def _second(state: State) -> Array | None:
    return to_array(state[1], "c_0") if len(state) > 1 else None
