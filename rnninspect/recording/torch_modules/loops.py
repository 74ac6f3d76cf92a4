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
from torch import Tensor

from rnninspect import conventions
from rnninspect.api.handed import Handed
from rnninspect.api.live import case_of
from rnninspect.core.arrays import to_array
from rnninspect.core.batch import Batch, resolve_mask
from rnninspect.core.cell import Cell
from rnninspect.core.evidence import Reading
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Bools, Trace, Track, prefix_mask
from rnninspect.core.wording import argument, worded
from rnninspect.diagnosis.build_case import read_weights, rerun
from rnninspect.diagnosis.case import Case, Layer
from rnninspect.engine import cells
from rnninspect.errors import ShapeError
from rnninspect.measure.choose_reading import Choice, Tolerance
from rnninspect.recording.base import Judged, Where
from rnninspect.recording.own_lengths import settle_own
from rnninspect.recording.stated import Settled, Stated, settle, states_read
from rnninspect.recording.torch_modules.steps import Step, row_of, rows_of, second, stacked, state_of
from rnninspect.recording.torch_modules.tensors import copied, size


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
        state, gave = state_of(read), state_of(returned)
        passed = state is None or self._passes_on(state[0])
        kept = None if state is None or passed else rows_of(state)
        self.steps.append(Step(row_of(copied(inputs)), kept, rows_of(gave or ())))
        self.passed(returned)
        return size(inputs) + size(gave) + size(kept)

    def passed(self, returned: Any) -> None:
        """Remembers the tensor that a step returned, by which the next one is known."""
        gave = state_of(returned)
        self._last = weakref.ref(gave[0]) if gave else None

    def continues(self, read: Any, forward: int) -> bool:
        """Whether a call with this state, in that outermost forward, is the next step of the loop.

        It reads what the step before returned, or (in some rows, or units) what that read; fewer rows, where the rest
        have ended. Within one forward of a model any other state but zeros, and the one that the loop began with, is
        the loop's own, changed by the program (dropout, a norm, another order of rows).
        """
        state = state_of(read)
        if state is None:
            return False
        if self._passes_on(state[0]):
            return True
        if self.cut or not self.steps:
            return bool(forward) and forward == self.forward and bool(state[0].any())
        h, before = row_of(state[0].detach()), self.steps[-1].returned[0]
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
        final_state = states_read(final_state, self.batch_size, settled.kept)
        if final_state is not None and settled.order is not None:
            settled = replace(settled, open="")
        case = self._case_of(settled, order, final_state, tolerance)
        if case.trace.tracks[0].final is not None and not self.not_rerun:  # without h nothing is judged
            case = case.with_weights(read_weights(self.weights, case.config, "torch"))
        reasons = [*([settled.open] if settled.open else []), *self._reasons(case)]
        return Judged(case, "; ".join(reasons), (*settled.notes, *self._notes(case)), settled.hint)

    def _case_of(self, settled: Settled, order: Any, final_state: Any, tolerance: Tolerance) -> Case:
        """The case of these rows; a state that was given is read as that of any other dump, all else as it was seen.

        Raises ShapeError where a state that was given fits no reading of the loop's outputs.
        """
        mask, real = resolve_mask(self.batch_size, len(self.steps), settled.lengths, settled.mask)
        config = LayerConfig(cell=self.cell, attributes=dict(self.where.attributes))
        outputs, inputs = self.outputs[order], self.inputs[order]
        first = self.steps[0].read
        initial = (None, None) if first is None else (to_array(first[0], "h_0")[order], second(first, order))
        if final_state is not None and not self.changed and not self.cut:
            arrays = {"inputs": inputs, "output": outputs, "h_0": initial[0], "c_0": initial[1]}
            arrays |= {"mask": mask} if settled.mask is not None else {"lengths": real}
            config = replace(config, layers=1, direction="forward", padding="any", axes_stated=True)
            here = {name: array for name, array in arrays.items() if array is not None}
            return case_of(here, Handed(final_state), config, "torch", tolerance)
        several = settled.mask is None and self._goes_on
        h, c = (None, None) if self.changed or self.cut or several else self._final(mask, order)
        track = Track(0, "forward", outputs, h, c, *initial)
        trace = Trace(mask, (track,), real, settled.mask is not None, "any", "initial", "torch")
        layer = Layer(conventions.get("torch"), config, None, rerun)
        batch = Batch(inputs, mask, real, settled.mask is not None)
        return Case(Choice(Reading(trace, "B T H", "B H")), layer, batch, tolerance=tolerance)

    def dump(self) -> dict[str, Array]:
        """The loop's arrays, batch-major, and the weights under torch's names; the final state where it is known."""
        trace = self.case(Tolerance()).trace
        track = trace.tracks[0]
        arrays = {"inputs": self.inputs, "output": track.outputs, "h_n": track.final, "c_n": track.cell}
        arrays |= {"h_0": track.initial, "c_0": track.initial_cell, "lengths": trace.lengths}
        return {n: a for n, a in arrays.items() if a is not None} | {n: to_array(w, n) for n, w in self.weights.items()}

    def states(self) -> tuple[Array | None, Array | None]:
        """The state that the first step read, None where it was given none, and the one that the last returned."""
        first = self.steps[0].read
        return None if first is None else to_array(first[0], "h_0"), to_array(self.steps[-1].returned[0], "h")

    def _settled(self, lengths: Any) -> tuple[Settled, Any]:
        """What is taken for the rows, and the order of the user's batch."""
        stated_lengths = self.where.stated_lengths if lengths is None else Stated(lengths, exact=True)
        counts = np.array([step.inputs.shape[0] for step in self.steps])
        if not self.batch_size:
            raise ShapeError(f"{self.where.called} has no rows: there is nothing to compare")
        if (counts == counts[0]).all():
            settled = settle(stated_lengths, self.batch_size, len(self.steps), self.where.called)
            settled = self._turned(settled)
        else:  # rows that have ended are left out
            own_lengths = (counts[None] > np.arange(self.batch_size)[:, None]).sum(1)
            settled = settle_own(stated_lengths, own_lengths, len(self.steps), True, self.where.called)
        order = slice(None) if settled.order is None else settled.order
        return settled, order

    def _turned(self, settled: Settled) -> Settled:
        """What is taken for the rows, in the order in which the loop reads: one from the end reads padding first.

        That is so where every row's steps before its last `length` ones leave the state as it began, or read one and
        the same input.
        """
        mask = settled.mask
        if settled.lengths is not None:
            mask = np.arange(len(self.steps)) < settled.lengths[:, None]
        if mask is None or mask.all() or not np.array_equal(mask, prefix_mask(mask.sum(1), len(self.steps))):
            return settled
        if not self._reads_padding_first(len(self.steps) - mask.sum(1)):
            return settled
        note = "the loop reads its rows from the end: steps are shown in the order in which they were read"
        return replace(settled, lengths=None, mask=mask[:, ::-1], notes=(*settled.notes, note))

    def _reads_padding_first(self, before: Array) -> bool:
        """Whether the first `before[b]` steps of every row are the padding."""
        short = [b for b, count in enumerate(before) if 0 < count < len(self.steps)]
        leads = np.concatenate([self.inputs[b, : before[b]] for b in short] or [self.inputs[:0, 0]])
        tails = np.concatenate([self.inputs[b, -before[b] :] for b in short] or [self.inputs[:0, 0]])
        if len(leads) > 1 and (leads == leads[0]).all() and not (tails == leads[0]).all():
            return True
        began = self.steps[0].read
        start = np.zeros_like(self.outputs[:, 0]) if began is None else to_array(began[0], "h_0")
        reads = {t: to_array(self._reads(t), "h") for t in {int(before[b]) for b in short}}
        return bool(short) and all((reads[int(before[b])][b] == start[b]).all() for b in short)

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
        elif case.trace.tracks[0].final is None and self._goes_on and not self.cut:
            reasons.append(
                "rows keep their state over some steps and then go on: loops over one cell, one after the other, or a "
                f"mask with holes; {worded(argument('mask'))} of the steps that are real tells"
            )
        elif case.trace.tracks[0].final is None and not self.cut:
            reasons.append(
                "the loop runs on over the padding, and which state your code takes as final cannot be seen: "
                f"{worded(argument('final_state_of', self.where.name))}"
            )
        return reasons

    def _notes(self, case: Case) -> list[str]:
        """What a reader of the report should know."""
        notes = [] if case.trace.knows_padding else ["no lengths are known: every step is taken as real"]
        return [*notes, *([f"{self.not_rerun}, so the weights were not run again"] if self.not_rerun else [])]

    @cached_property
    def inputs(self) -> Array:
        """`[B, T, F]`; zeros where a row has ended."""
        return stacked([to_array(step.inputs, "inputs") for step in self.steps])

    @cached_property
    def outputs(self) -> Array:
        """`[B, T, H]`: h after every step; zeros where a row has ended."""
        return stacked([to_array(step.returned[0], "output") for step in self.steps])

    def _final(self, mask: Bools, order: Any) -> tuple[Array | None, Array | None]:
        """(h, c) that the loop carries to its end, where that can be seen."""
        rows, counts = np.arange(self.batch_size), mask.sum(1)
        last = len(self.steps) - 1
        ended = self.steps[-1].inputs.shape[0] < self.batch_size
        to_the_end = bool(mask[:, -1].all())  # of a loop that reads its padding first
        if not ended and not to_the_end and not self._masks(counts):
            return None, None
        at = np.where(mask[:, -1], last, counts - 1)
        h = self.outputs[order][rows, at]
        c = None
        if cells.get(self.cell).has_c:
            c = stacked([to_array(step.returned[1], "c") for step in self.steps])[order][rows, at]
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

    @cached_property
    def _goes_on(self) -> bool:
        """Whether some row reads again what it read, past a step that it was run for, and later goes on from a step."""
        total = len(self.steps)
        if total < 3 or any(step.inputs.shape[0] != self.batch_size for step in self.steps):
            return False
        read = np.stack([to_array(self._reads(t), "h") for t in range(1, total)], 1)
        began = self.steps[0].read
        start = np.zeros_like(read[:, 0]) if began is None else to_array(began[0], "h_0")
        took = (read == self.outputs[:, :-1]).all(-1)
        kept = (read == np.concatenate([start[:, None], read[:, :-1]], 1)).all(-1) & ~took
        return bool((np.logical_or.accumulate(kept, 1)[:, :-1] & took[:, 1:]).any())

    def _reads(self, t: int) -> Tensor:
        """`[B, H]`: h as step t > 0 read it."""
        read = self.steps[t].read
        return self.steps[t - 1].returned[0] if read is None else read[0]
