"""The lengths were counted by a non-zero test on the inputs, and real frames are zero."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.finding import Severity
from rnninspect.core.trace import Array, Bools, Ints, last_true, prefix_mask
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.padded_inputs import led_by_blanks
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, describe_rows, listed, proposal
from rnninspect.measure.scan import scan

FEW = 1 << 12  # numbers


class LengthsFromZeros(Rule):
    name = "lengths-from-zeros"
    severity: Severity = "warning"
    summary = "the lengths count the frames that are not zero, and a real frame is all zeros"
    why = (
        "`length = sum(sign(max(abs(x))))` counts the frames (steps) that are not all zeros. If a real frame is "
        "all zeros, the count is too small, and the row's last real frames are cut off."
    )
    fix = "lengths = [len(row) for row in rows]  # before padding, not from non-zero inputs"
    group = "Wrong step"
    place = 11
    needs = ("inputs", "lengths")
    threads = (
        Thread(
            "https://github.com/chiphuyen/stanford-tensorflow-tutorials/issues/118",
            "Counting the non-zero frames counts one-hot padding too, so that every row gets the full length.",
        ),
        Thread(
            "https://github.com/liu-nlper/NER-LSTM-CRF/issues/10",
            "A length counted from signs is wrong as soon as a row holds a negative value.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        lengths = case.trace.lengths
        if case.batch is None or lengths is None:
            return
        inputs = case.batch.inputs
        if any(facts.mismatched.any() for facts in case.facts):
            yield from self._of_states(case, inputs, lengths)
        if (inputs[0] != 0).any(-1).sum() != lengths[0]:
            return  # one row tells most batches, whose padding is not zero
        few = inputs.size <= FEW  # for which a scan takes long
        filled = np.any(inputs != 0, -1) if few else ~scan(inputs, np.zeros_like(inputs, shape=inputs.shape[::2])).zero
        counts = filled.sum(1)
        ends = np.where(filled.any(1), last_true(filled) + 1, 0)
        rows = np.flatnonzero((lengths == counts) & (counts < ends))
        if not rows.size or (lengths != counts).any():
            return
        off = any(f.mismatched[rows].any() for f in case.facts)
        if led_by_blanks(inputs, counts) or (off and _pads_on_the_left(filled, counts, rows)):
            return  # `left-padded` says so
        yield Proposal(
            self.name,
            f"{describe_rows(rows.tolist(), lengths.size)}: the lengths count the frames that are not all zeros, but "
            f"non-zero frames go on past that count, up to length {listed(ends[rows].tolist())}: a real frame of "
            "zeros was not counted",
            frozenset((0, "forward", int(b)) for b in rows),
            severity="warning",
            kind="fact",
            evidence={"last_nonzero_frame": (ends[rows] - 1).tolist()[:64]},
        )

    def _of_states(self, case: Case, inputs: Array, lengths: Ints) -> Iterable[Proposal]:
        """States of a run that counted, though the lengths are right: each stands where the count of its row ends."""
        tracks = [f for f in case.facts if f.track.direction == "forward" or f.track.order == "within"]
        if case.trace.mask_given or inputs.shape[:2] != case.trace.mask.shape or not tracks:
            return
        filled = (inputs != 0).any(-1)
        counts = filled.sum(1).astype(np.int64)
        ends = np.where(filled.any(1), last_true(filled) + 1, 0)
        telling = [~facts.uniform & ~facts.final_zero & (counts > 0) for facts in tracks]
        at_count = [facts.equals(counts - 1) for facts in tracks]
        if not all((at | ~tells).all() for at, tells in zip(at_count, telling, strict=True)):
            return
        short = counts < np.minimum(lengths, ends)  # a frame of zeros before the last that is none
        seen = [Seen(f, f.mismatched & at & (counts < lengths)) for f, at in zip(tracks, at_count, strict=True)]
        rows = np.flatnonzero(np.logical_or.reduce([s.rows for s in seen]) & short)
        if not rows.size or _pads_on_the_left(filled, counts, rows):
            return
        apart = np.unique((counts - lengths)[np.logical_or.reduce(telling)]).size > 1  # from one constant offset
        yield from proposal(
            self,
            seen,
            "{rows}: final_state.h equals outputs at the step where the count of the frames that are not all zeros "
            f"ends (row {rows[0]}: {counts[rows[0]]} of {lengths[rows[0]]} steps), and so does every other row's: the "
            "run counted non-zero frames, and a real frame is all zeros",
            severity="error",
            strength=2 if apart else 1,
            evidence={"counts": counts.tolist()[:64]},
        )

    def inject(self, case: Case) -> Case:
        batch, lengths = case.batch if case.weights else None, case.trace.lengths
        if batch is None or lengths is None or case.trace.mask_given or not (lengths >= 3).any():
            raise CannotInject("needs inputs, weights and a row of three or more steps")
        inputs = np.where(case.trace.mask[..., None], batch.inputs, 0)
        inputs[int(np.argmax(lengths)), 1] = 0
        counts: Ints = (inputs != 0).any(-1).sum(1).astype(np.int64)
        mask = prefix_mask(counts, case.trace.steps)
        changed = replace(batch, inputs=inputs, mask=mask, lengths=counts)
        ran = case.run(changed)
        trace = replace(case.trace, mask=mask, lengths=counts, tracks=ran.tracks)
        return replace(case.with_trace(trace), batch=changed)


def _pads_on_the_left(filled: Bools, counts: Ints, rows: Ints) -> bool:
    """Whether in all of these rows the zero frames come first and the others fill the rest: padding, no real frames."""
    behind = np.arange(filled.shape[1]) >= (filled.shape[1] - counts)[:, None]
    return bool((filled[rows] == behind[rows]).all())


RULE = LengthsFromZeros()
