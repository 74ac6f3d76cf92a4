"""The state was read after the padding: lengths never reached the layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Bools
from rnninspect.core.wording import argument
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees, tolerance
from rnninspect.diagnosis.fix_code import gathered
from rnninspect.diagnosis.rule import (
    CannotInject,
    Place,
    Proposal,
    Rule,
    Seen,
    Thread,
    describe_rows,
    listed,
    places,
    proposal,
    rows_of,
)
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.run_ends import contradicts_lengths, run_ends

RUN_AGAIN = "outputs, h = layer(inputs, lengths)  # the backward pass has read the padding first: run again"
RUN_BOTH_AGAIN = (
    "outputs, (h_fw, h_bw) = layer(inputs, lengths)  # the backward pass has read the padding first: run again\n"
    "h = np.concatenate([h_fw, h_bw], axis=-1)  # the forward half, then the backward one"
)
RUN_ALL_AGAIN = "outputs, state = layer(inputs, lengths)  # no output holds a state that was read on over padding"
_PROVEN = "read the padding, as a run over all steps shows, and its outputs were zeroed afterwards"
_LIKELY = "seems to have read the padding, and its outputs to have been zeroed afterwards ({inputs} and {weights} tell)"


class LengthsIgnored(Rule):
    name = "lengths-ignored"
    summary = "every final state is the last column, computed from the padding, although some rows are shorter"
    why = (
        "The layer was called without the lengths (or ignores them), so it went on reading the padding: the outputs "
        "past a row's end are computed values, and the final state is the state after the last padded step."
    )
    fix = "h = outputs[np.arange(len(outputs)), lengths - 1]  # c and a backward pass need a run with the lengths"
    fixed_in = "arrays"
    group = "Wrong step"
    place = 1
    needs = ("outputs", "lengths")
    implies = ("padding-computed", "backward-read-padding")
    threads = (
        Thread(
            "https://github.com/tensorflow/tensorflow/issues/27981",
            "The documentation called sequence_length a matter of speed; without it the final state reads padding.",
        ),
        Thread(
            "https://github.com/pytorch/pytorch/issues/517",
            "Zero padding still changes the state, through the biases; this request led to packing.",
        ),
        Thread(
            "https://github.com/keitakurita/practical-torchtext/issues/5",
            "A classifier reads the last step of a padded batch, which is right only for the longest sentence.",
        ),
    )

    def code(self, case: Case) -> str:
        if self.mends(case):
            return gathered(case, self.fix)
        if not _any_off(case):
            return RUN_ALL_AGAIN
        return RUN_BOTH_AGAIN if case.trace.directions == 2 else RUN_AGAIN

    def mends(self, case: Case) -> bool:
        """Where an h is off, and nothing read the rows from their end: such a pass has read the padding first."""
        return _any_off(case) and all(t.direction == "forward" for t in case.trace.tracks)

    def check(self, case: Case) -> Iterable[Proposal]:
        seen, steps = [], _columns_read(case)
        for facts in case.facts:
            last = facts.equal[:, steps - 1]
            computed = np.array([p in ("computed", "nonfinite") for p in facts.padding])
            # a run that ended elsewhere had lengths, others than these; one that ended so in all rows had none
            computed &= ~contradicts_lengths(facts) | (run_ends(facts) == steps)
            shut = facts.final_zero & last & ~facts.mask[:, -1]  # as units may be that cut off at zero
            computed &= ~facts.final_blank  # one padded step alone, filled with a value, looks computed
            computed &= facts.track.direction == "forward" or steps == facts.steps
            if (facts.mismatched & computed).any() and computed[facts.mismatched & facts.short & ~shut].all():
                computed |= shut  # where every other row's padding was computed, nothing has zeroed this row's
            if (facts.mismatched & facts.short & last & computed).any():
                seen.append(Seen(facts, facts.mismatched & last & computed))
        which = "the last column" if steps == case.trace.steps else "the last one of the longest row"
        backward = _read_padding_first(case, seen)
        half = "; the backward half of these rows has read the padding first, so its step 0 is wrong too"
        ends = ", ".join(str(e) for e in sorted({int(e) - 1 for s in seen for e in s.facts.ends[s.rows]})[:4])
        yield from proposal(
            self,
            seen,
            f"{{rows}}: final_state.h equals outputs at step {steps - 1}, {which}, whose values were computed; "
            f"these sequences end earlier (at step {ends}), so the state has read padding" + half * bool(backward),
            steps=(steps - 1,),
            strength=2,
            spoils=backward,
            alternatives=("row-taken-for-step",) if _may_be_a_row(case) else (),
        )
        zeroed = [Seen(facts, rows) for facts in case.facts if (rows := _went_on_unseen(facts)).any()]
        ran = _ran_on(case, zeroed)
        yield from proposal(
            self,
            zeroed,
            "{rows}: final_state.h equals no step of the outputs, which are zero behind the lengths, and is right in "
            "the rows without padding: the layer "
            + (_PROVEN if ran else _LIKELY).format(inputs=argument("inputs"), weights=argument("weights")),
            certainty="proven" if ran else "suspected",
            strength=2 if ran else -1,
        )
        yield from _unseen_states_read_on(self, case)
        yield from _read_on_below(self, case)

    def inject(self, case: Case) -> Case:
        if case.batch is None or case.weights is None or case.trace.mask.all():
            raise CannotInject("needs inputs, weights and a row with padding")
        batch = replace(case.batch, mask=np.ones_like(case.batch.mask))
        return case.with_trace(replace(case.trace, tracks=case.run(batch).tracks))


def _columns_read(case: Case) -> int:
    """How many columns a run without lengths has read: all; as many as the longest row has steps, where the batch is
    wider than that and states that are off are of that column, each of them, and of no later one."""
    longest = max((int(facts.ends.max(initial=0)) for facts in case.facts), default=case.trace.steps)
    if not 0 < longest < case.trace.steps:
        return case.trace.steps
    for facts in case.facts:
        off = facts.mismatched & ~facts.final_blank
        if facts.track.direction == "forward" and off.any():
            narrow = facts.equal[off, longest - 1].all() and not facts.equal[off, -1].any()
            return longest if narrow else case.trace.steps
    return case.trace.steps


def _any_off(case: Case) -> bool:
    return any(facts.mismatched.any() for facts in case.facts)


def _unseen_states_read_on(rule: Rule, case: Case) -> Iterator[Proposal]:
    """States that no output tells, left at the end of a run over the padding, where each h is of the last real step:
    it alone was taken from the outputs. A run of the weights, which gives these outputs, tells."""
    if case.batch is None or case.weights is None or not case.facts or _any_off(case) or not agrees(case):
        return
    from rnninspect.diagnosis.evidence.states_of_run import after_the_padding

    unseen = after_the_padding(case)
    if not unseen:
        return
    names = listed(f"{state} of layer {layer} {direction}" for layer, direction, state in unseen)
    where = frozenset((layer, direction, row) for (layer, direction, _), (_, rows) in unseen.items() for row in rows)
    yield Proposal(
        rule.name,
        f"{describe_rows(rows_of(where), case.trace.batch_size)}: {names} is of step {case.batch.mask.shape[1] - 1}, "
        "the last column, as a run of the weights over every step shows: it has read the padding, while the h that the "
        "outputs hold is of the last real step; the two are of different steps",
        where,
        kind="fact",
        steps=(case.batch.mask.shape[1] - 1,),
    )


def _read_on_below(rule: Rule, case: Case) -> Iterator[Proposal]:
    """A lower layer's states in the top one's place, left at the end of a run over the padding."""
    if not _any_off(case) or not (case.has("inputs") and case.has("weights")):
        return
    from rnninspect.diagnosis.evidence.read_on_below import read_on_below

    for below in read_on_below(case):
        yield from proposal(
            rule,
            [Seen(below.facts, below.rows & below.facts.short)],
            f"{{rows}}: the state, which is layer {below.layer}'s, is of step {case.trace.steps - 1}, the last column, "
            "as a run of the weights over every step shows: it has read the padding",
            kind="fact",
            steps=(case.trace.steps - 1,),
            fix=RUN_ALL_AGAIN,
        )


def _may_be_a_row(case: Case) -> bool:
    """Whether the states may as well be the last row's steps: nobody said which of two axes of one size is time, and
    the first was taken for it; one vector a row was taken, the last column in every row."""
    config, trace = case.config, case.trace
    usual = case.reading.evidence.decided and case.convention.time_major
    open_axes = case.reading.time_major and not (config.axes_stated or usual)
    flat = all(slot.array.ndim == 2 for slot in case.dump.slots if slot.role == "h")
    square = trace.batch_size == trace.steps and trace.directions == 1
    return open_axes and flat and square and all(bool(facts.equal[:, -1].all()) for facts in case.facts)


def _went_on_unseen(facts: TrackFacts) -> Bools:
    """`[B]`: rows with padding, where the state of each is no step of its zeroed outputs and all others are right."""
    nothing = np.zeros_like(facts.mismatched)
    if facts.track.direction != "forward" or not all(p == "zero" for p in np.array(facts.padding)[facts.short]):
        return nothing
    telling = ~facts.uninformative & ~facts.final_zero
    padded, whole = facts.short & telling, ~facts.short & telling
    off = facts.mismatched & ~facts.equal.any(1)
    return padded & off if whole.any() and facts.at_expected[whole].all() and off[padded].all() else nothing


def _ran_on(case: Case, seen: list[Seen]) -> bool:
    """Whether a run of the weights over all steps ends in these states."""
    if not seen or case.batch is None or case.weights is None:
        return False
    limit = tolerance(case)
    run = case.run(replace(case.batch, mask=np.ones_like(case.batch.mask)))
    tracks = [(s, run.track(s.facts.track.layer, s.facts.track.direction)) for s in seen]
    return all(
        t is not None and t.final is not None and (np.abs(t.final - s.facts.final)[s.rows] <= limit).all()
        for s, t in tracks
    )


def _read_padding_first(case: Case, seen: list[Seen]) -> frozenset[Place]:
    """The backward halves of rows that were seen, where their padding was computed too: the pass began in it."""
    spoiled: frozenset[Place] = frozenset()
    rows = {s.facts.track.layer: s.rows for s in seen if s.facts.track.direction == "forward"}
    for facts in case.facts:
        if facts.track.direction == "backward" and facts.track.order == "time" and facts.track.layer in rows:
            computed = np.array([p in ("computed", "nonfinite") for p in facts.padding])
            spoiled |= places(facts, rows[facts.track.layer] & facts.short & computed & facts.at_expected)
    return spoiled


RULE = LengthsIgnored()
