"""The state was read after the padding: lengths never reached the layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fix_code import gathered
from rnninspect.diagnosis.rule import CannotInject, Place, Proposal, Rule, Seen, Thread, places, proposal
from rnninspect.measure.run_ends import contradicts_lengths

RUN_AGAIN = "outputs, h = layer(inputs, lengths)  # the backward pass has read the padding first: run again"
RUN_BOTH_AGAIN = (
    "outputs, (h_fw, h_bw) = layer(inputs, lengths)  # the backward pass has read the padding first: run again\n"
    "h = np.concatenate([h_fw, h_bw], axis=-1)  # the forward half, then the backward one"
)


class LengthsIgnored(Rule):
    name = "lengths-ignored"
    summary = "every final state is the last column, computed by reading the padding, although some rows are shorter"
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
            "The manual called sequence_length a matter of speed; without it the final state has read padding.",
        ),
        Thread(
            "https://github.com/pytorch/pytorch/issues/517",
            "Zero padding still moves the state, through the biases; the request from which packing came.",
        ),
        Thread(
            "https://github.com/keitakurita/practical-torchtext/issues/5",
            "A classifier reads the last step of a padded batch, which is right for the longest sentence alone.",
        ),
    )

    def code(self, case: Case) -> str:
        if self.mends(case):
            return gathered(case, self.fix)
        return RUN_BOTH_AGAIN if case.trace.directions == 2 else RUN_AGAIN

    def mends(self, case: Case) -> bool:
        """Where nothing read the rows from their end: such a pass has read the padding first."""
        return all(t.direction == "forward" for t in case.trace.tracks)

    def check(self, case: Case) -> Iterable[Proposal]:
        seen = []
        for facts in case.facts:
            last = facts.equal[:, -1]
            computed = np.array([p in ("computed", "nonfinite") for p in facts.padding])
            computed &= ~contradicts_lengths(facts)  # such a run had lengths, others than these
            if (facts.mismatched & facts.short & last & computed).any():
                seen.append(Seen(facts, facts.mismatched & last & computed))
        steps = case.trace.steps
        backward = _read_padding_first(case, seen)
        half = "; the backward half of these rows has read the padding first, so its step 0 is wrong too"
        ends = ", ".join(str(e) for e in sorted({int(e) - 1 for s in seen for e in s.facts.ends[s.rows]})[:4])
        yield from proposal(
            self,
            seen,
            f"{{rows}}: final_state.h equals outputs at step {steps - 1}, the last column, whose values were computed; "
            f"these sequences end at step {ends}, so the state has read padding" + half * bool(backward),
            steps=(steps - 1,),
            strength=2,
            spoils=backward,
        )

    def inject(self, case: Case) -> Case:
        if case.batch is None or case.trace.mask.all():
            raise CannotInject("needs inputs and a row with padding")
        batch = replace(case.batch, mask=np.ones_like(case.batch.mask))
        return case.with_trace(replace(case.trace, tracks=case.run(batch).tracks))


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
