"""The padding lies before the data, though lengths say that it lies behind."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rnninspect.core.trace import Bools, prefix_mask
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.cut_behind_blanks import CUT, led_rows
from rnninspect.diagnosis.evidence.moved_rows import may_be_moved, moved, moved_by_run, to_the_front
from rnninspect.diagnosis.evidence.padded_inputs import led_by_blanks
from rnninspect.diagnosis.evidence.padding_read_first import (
    ends_moved,
    leads_with_zeros,
    moved_on_blanks,
    read_by_run,
)
from rnninspect.diagnosis.evidence.padding_taken import padding_taken
from rnninspect.diagnosis.fix_code import gathered, time_axis
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal
from rnninspect.measure.facts import TrackFacts

GATHER = "h = outputs[np.arange(len(outputs)), lengths - 1]  # each row's last real step"
RUN_AGAIN = "# then run the layer again: the last steps of these rows were never read"
BEHIND = (
    "shifts = mask.sum(1) - mask.shape[1]  # the padding moved behind the data; then run again, with lengths\n"
    "inputs = np.stack([np.roll(row, shift, 0) for row, shift in zip(inputs, shifts)])"
)
LED_BY_ZEROS = (
    "{rows}: the outputs are zero before the last `length` steps and nowhere else: the padding lies before the data, "
    "not after it"
)


class LeftPadded(Rule):
    name = "left-padded"
    summary = "the padding lies before the data: the first steps are blank and the state is the last column"
    why = (
        "Keras' pad_sequences pads on the left by default. Counting lengths from the left is then wrong: the first "
        "steps are padding and the last column is the last real step of every row."
    )
    fix = (
        "shifts = lengths - outputs.shape[1]  # or pad on the right and run again\n"
        "outputs = np.stack([np.roll(row, shift, 0) for row, shift in zip(outputs, shifts)])"
    )
    fixed_in = "arrays"
    group = "Wrong step"
    place = 5
    needs = ("outputs", "lengths")
    in_outputs = True
    implies = ("padding-computed", "lengths-ignored", "mask-hole")
    threads = (
        Thread(
            "https://github.com/Atcold/NYU-DLSP20/pull/814",
            "Training reads the last column of batches padded on the left, and evaluation the step at length - 1.",
        ),
        Thread(
            "https://github.com/keras-team/keras/issues/10456",
            "The documentation of pad_sequences says that it pads at the end; by default it pads in front.",
        ),
        Thread(
            "https://github.com/tensorflow/tensorflow/issues/30745",
            "Somebody misreads cuDNN's requirement of right padding as left padding.",
        ),
    )

    def code(self, case: Case) -> str:
        if case.trace.mask_given:
            return gathered(case, GATHER)
        names = ["outputs", *(["inputs"] if leads_with_zeros(case) else [])]
        if self._counted_from_the_front(case):
            return "\n".join([self._rolling(case, names), gathered(case, GATHER)])
        if _any(_read_in_front(case) + led_rows(case)):
            names = ["inputs"]  # the outputs lack steps that were never read
        return self._rolling(case, names)

    def _rolling(self, case: Case, names: list[str]) -> str:
        """The rows of these arrays moved to the front; run again, where the outputs are not among them."""
        if time_axis(case) == 1 and names == ["outputs"]:
            return self.fix
        rows, axis = ("{0}.swapaxes(0, 1)", ", axis=1") if time_axis(case) == 0 else ("{0}", "")
        turned = "{0} = np.stack([np.roll(row, shift, 0) for row, shift in zip(" + rows + ", shifts)]" + axis + ")"
        steps = f"inputs.shape[{time_axis(case)}]" if names == ["inputs"] else "T"
        lines = [f"shifts = lengths - {steps}", *(turned.format(name) for name in names)]
        return "\n".join([*lines, *([RUN_AGAIN] if "outputs" not in names else [])])

    def mends(self, case: Case) -> bool:
        """Where the steps before the data are zeros, which no layer with biases gives: it has not read them."""
        if self._counted_from_the_front(case):
            return len(case.trace.tracks) == 1
        if _any(_read_before(case)):
            return False
        if _any(_read_in_front(case) + led_rows(case)) and not case.trace.mask_given:
            return False
        by_track = [(f, np.flatnonzero(_blank_before(f) | _blank_frames_before(case, f))) for f in case.facts]
        return all(f.zero[b, : f.steps - int(f.ends[b])].all() for f, blank in by_track for b in blank)

    def check(self, case: Case) -> Iterable[Proposal]:
        yield from self._read(case)
        if case.trace.mask_given:
            yield from self._stated(case)
            return
        at_ends = ends_moved(case)
        seen = [
            Seen(facts, _blank_before(facts) | _blank_frames_before(case, facts) | (at_ends & facts.mismatched))
            for facts in case.facts
            if facts.track.order == "time"
        ]
        yield from proposal(
            self,
            seen,
            f"{{rows}}: the steps before the last `length` ones are blank and final_state.h equals outputs at step "
            f"{case.trace.steps - 1}: the padding lies before the data, not after it",
            steps=(case.trace.steps - 1,),
            strength=3,
        )
        yield from proposal(
            self,
            [Seen(facts, rows) for facts, rows in zip(case.facts, moved_by_run(case), strict=True)],
            f"{{rows}}: moved to the front, the outputs are those of a run of these weights, and as they lie they are "
            f"not; final_state.h equals outputs at step {case.trace.steps - 1}: the padding lies before the data",
            steps=(case.trace.steps - 1,),
            strength=3,
        )
        yield from proposal(
            self,
            self._counted_from_the_front(case),
            f"{LED_BY_ZEROS}, and final_state.h, which equals step length - 1, was taken before the row's end",
            kind="fact",
        )

    def of_outputs(self, case: Case) -> Iterable[Proposal]:
        if padding_taken(case) is not None:
            return
        yield from proposal(self, self._led_by_zeros(case), LED_BY_ZEROS, kind="padding")

    def _led_by_zeros(self, case: Case) -> list[Seen]:
        """The short rows, of two lengths at least, where the outputs are padded in front."""
        seen = [Seen(f, f.short & ~f.mask.all(1)) for f in case.facts]
        several = any(len(set(s.facts.ends[s.rows].tolist())) > 1 for s in seen)  # np.unique would import numpy.ma
        return seen if several and may_be_moved(case, by_run=False) else []

    def _counted_from_the_front(self, case: Case) -> list[Seen]:
        """The same, though each state is where a row ends that is padded behind."""
        off = case.trace.mask_given or any(f.mismatched.any() for f in case.facts)
        off |= all(f.track.direction == "backward" for f in case.facts)  # whose outputs may lie in the order read
        return [] if off else self._led_by_zeros(case)

    def _read(self, case: Case) -> Iterable[Proposal]:
        """A run that counted from the first step: it read the padding, and not the data of as many steps at the end."""
        counts = case.trace.real_counts
        several = (counts[counts > 0] != counts.max()).any()
        yield from proposal(
            self,
            [] if self._counted_from_the_front(case) else _read_in_front(case),
            "{rows}: the inputs are blank before their last `length` steps and nowhere else: the padding lies before "
            "the data, and the run, which read `length` steps from the first on, read it in place of the last data",
            kind="fact",
            alternatives=() if several else ("lengths-from-zeros",),
        )
        yield from proposal(self, led_rows(case), CUT, kind="fact")

    def _stated(self, case: Case) -> Iterable[Proposal]:
        """A mask that pads on the left says so itself: a note, for whoever counts on lengths."""
        mask = case.trace.mask
        left = mask.any(1) & ~mask[:, 0] & mask[:, -1]
        yield from self._read_first(case)
        yield from proposal(
            self,
            [Seen(facts, left & ~facts.mismatched) for facts in case.facts[:1] if not _any(_read_before(case))],
            "{rows}: the mask puts the padding before the data; lengths alone would point at the wrong steps",
            severity="note",
            kind="fact",
        )
        forward = [f for f in case.facts if f.track.direction == "forward" and f.track.order == "time"]
        seen = [Seen(f, left & f.mismatched & f.equals(mask.sum(1) - 1)) for f in forward]
        if any((s.rows & ~s.facts.final_zero).any() for s in seen):
            yield from proposal(
                self,
                seen,
                "{rows}: the mask puts the padding before the data, and final_state.h equals outputs at step count - "
                f"1, as if it lay after it; the last real step is {case.trace.steps - 1}",
                strength=4,
            )

    def _read_first(self, case: Case) -> Iterable[Proposal]:
        """The layer was told of no padding, and read it before the data."""
        opening = "{rows}: the mask puts the padding before the data, and the layer read it:"
        by_run = [Seen(f, read_by_run(case, f)) for f in case.facts]
        blanks = [] if _any(by_run) else [Seen(f, moved_on_blanks(case, f)) for f in case.facts]
        for seen, how, certainty in (
            (by_run, "a run over every step gives these outputs, and one that skips the padding does not", "proven"),
            (blanks, "its outputs move there, though the inputs stand, and so its state had moved", "suspected"),
        ):
            yield from proposal(self, seen, f"{opening} {how}", kind="fact", certainty=certainty, fix=BEHIND)

    def undo(self, case: Case) -> Iterable[Undone]:
        if may_be_moved(case):
            yield Undone("the rows moved to the front", to_the_front(case))

    def inject(self, case: Case) -> Case:
        if case.trace.mask_given or case.trace.mask.all() or case.trace.padding != "zero":
            raise CannotInject("needs right, zeroed padding")
        return moved(case, case.trace.steps - case.trace.real_counts)


def _read_in_front(case: Case) -> list[Seen]:
    """The short rows whose inputs are padded in front, though each state is right for padding behind."""
    trace, batch = case.trace, case.batch
    if batch is None or batch.inputs.shape[1] < trace.steps or batch.inputs.shape[0] != trace.batch_size:
        return []
    short = (trace.real_counts > 0) & (trace.real_counts < batch.inputs.shape[1])
    short &= ~np.logical_or.reduce([facts.mismatched for facts in case.facts])
    right = [short & facts.at_expected & ~facts.uninformative for facts in case.facts]
    behind = np.array_equal(trace.mask, prefix_mask(trace.real_counts, trace.steps))
    if not behind or not any(rows.any() for rows in right) or not led_by_blanks(batch.inputs, trace.real_counts):
        return []
    return [Seen(facts, rows) for facts, rows in zip(case.facts, right, strict=True)]


def _read_before(case: Case) -> list[Seen]:
    """The rows whose padding, in front by a mask, was read."""
    return [Seen(facts, read_by_run(case, facts) | moved_on_blanks(case, facts)) for facts in case.facts]


def _any(seen: list[Seen]) -> bool:
    return any(s.rows.any() for s in seen)


def _blank_before(facts: TrackFacts) -> Bools:
    """`[B]`: rows whose first T - length steps are all zero, or one constant vector, and whose data fill the rest."""
    blank = np.zeros(facts.mismatched.shape, dtype=np.bool_)
    backward, carried = facts.track.direction == "backward", _carried_around(facts)
    for b in np.flatnonzero((facts.mismatched | backward) & (facts.ends > 0) & (facts.ends < facts.steps)):
        lead = facts.steps - int(facts.ends[b])
        still = facts.zero[b, :lead].all() or (lead > 1 and facts.repeats[b, 1:lead].all())
        still = still or carried[b]
        filled = not facts.zero[b, lead:].all()
        state = facts.equal[b, lead] if backward else facts.equal[b, -1]
        blank[b] = still and filled and bool(state)
    blank &= facts.mismatched
    return blank | (carried & blank.any())


def _carried_around(facts: TrackFacts) -> Bools:
    """`[B]`: rows whose first T - length steps all hold what their last one does, and their state: padding that repeats
    it was carried around the end. Nothing before the data can know it."""
    lead = np.arange(facts.steps) < (facts.steps - facts.ends)[:, None]
    around = (facts.equal | ~lead).all(1) & facts.equal[:, -1] & ~facts.uniform & ~facts.final_zero
    return np.asarray(around & (facts.ends > 0) & lead.any(1) & (facts.track.direction == "forward"))


def _blank_frames_before(case: Case, facts: TrackFacts) -> Bools:
    """`[B]`: rows whose first T - length inputs are blank and the others not, and that end in the last column.

    Blank: all zero, or the one vector that all such steps of the batch hold (an embedded padding symbol). The outputs
    of such steps need not be blank: a layer with biases that was told of no padding reads on from them.
    """
    led_by_blanks = np.zeros(facts.mismatched.shape, dtype=np.bool_)
    if case.batch is None or facts.track.direction == "backward" or case.batch.inputs.shape[1] != facts.steps:
        return led_by_blanks
    inputs, lead = case.batch.inputs, facts.steps - facts.ends
    rows = np.flatnonzero(facts.mismatched & (facts.ends > 0) & (lead > 0) & facts.equal[:, -1])
    if not rows.size:
        return led_by_blanks
    before = np.concatenate([inputs[b, : lead[b]] for b in rows])
    blank = before[0] if len(before) > 1 and (before == before[0]).all() else np.zeros_like(before[0])
    for b in rows:
        filled = (inputs[b] != blank).any(-1)
        led_by_blanks[b] = not filled[: lead[b]].any() and bool(filled[lead[b] :].all())
    return led_by_blanks


RULE = LeftPadded()
