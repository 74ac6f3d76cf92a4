"""The backward half of the state was read at the last step, where the backward pass has only begun."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.diagnosis.fix_code import backward_gathered, gathered, within_lengths
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, proposal
from rnninspect.diagnosis.state_in_hand import top_placed

BOTH_ANEW = "h = outputs[np.arange(B), lengths - 1]  # each direction's own end"


class BackwardFinalAtLastStep(Rule):
    name = "backward-final-at-last-step"
    summary = "the backward half of the state is its output at the last step, after reading a single step"
    why = (
        "The backward pass reads a row from its end to its beginning, and its outputs are stored in input order: the "
        "state after the whole row is at step 0. At the last step the backward pass has read one input only. "
        "outputs[:, -1], or a gather at length - 1, therefore takes the right forward half and the wrong backward "
        "half."
    )
    fix = "h_bw = outputs_bw[:, 0]  # the backward pass ends at step 0"
    fixed_in = "arrays"
    group = "Directions"
    place = 1
    needs = ("outputs", "a direction read backwards")
    example = "bidirectional"
    in_states = True
    threads = (
        Thread(
            "https://github.com/yunjey/pytorch-tutorial/issues/149",
            "A tutorial classifies by the last step, where the backward half has seen one input.",
        ),
        Thread(
            "https://github.com/yalesong/pvse/issues/13",
            "At a row's last step the forward half equals h_n and the backward half does not, shown with numbers.",
        ),
        Thread(
            "https://discuss.pytorch.org/t/pytorch-lstm-output-not-match-hidden-state/114814/3",
            "Why does the output at length - 1 equal the state only for rows of one step?",
        ),
    )

    def code(self, case: Case) -> str:
        return backward_gathered(case, self.fix)

    def held_as(self, case: Case) -> str:
        return within_lengths(case, self.name)

    def in_hand(self, case: Case) -> str:
        return top_placed(case, gathered(case, BOTH_ANEW))

    def fitted(self, case: Case, theirs: str) -> str:
        """Frameworks' code is that of two directions."""
        return theirs if case.trace.directions == 2 else self.code(case)

    def undecided(self, case: Case) -> str:
        order_stated = case.config.keep_order is not None or case.config.go_backwards
        if order_stated or all(t.order == "time" for t in case.trace.tracks):
            return ""
        return (
            "these are the first outputs of a pass whose outputs are stored in the order read, or its last ones, put "
            "back in the order of time; state which (keep_order, go_backwards)"
        )

    def check(self, case: Case) -> Iterable[Proposal]:
        in_time, as_read = [], []
        for facts in (f for f in case.facts if f.track.direction == "backward"):
            if facts.track.order == "time":
                longest = max(1, int(facts.ends.max(initial=1)))  # of a batch that was made wider than its rows
                last = facts.equals(facts.ends - 1) | facts.equal[:, -1] | facts.equal[:, longest - 1]
                in_time.append(Seen(facts, facts.mismatched & last))
            else:
                begins = facts.equals(facts.mask.argmax(1).astype(np.int64)) | facts.equal[:, 0]
                as_read.append(Seen(facts, facts.mismatched & begins))
        yield from proposal(
            self,
            in_time,
            f"{{rows}}: {_half(case)} equals the backward outputs at the last step, after one input; the backward pass "
            "ends at step 0",
            strength=3,
            alternatives=() if _as_the_weights_give(case) else ("backward-not-flipped",),
            evidence={"would_decide": "inputs and weights: which end of the backward outputs has read the whole row"},
        )
        yield from proposal(
            self,
            as_read,
            f"{{rows}}: {_half(case)} equals the first of the backward outputs, after one input; they are stored as "
            "read, so the pass ends at the last of them",
            strength=3,
        )

    def inject(self, case: Case) -> Case:
        ways = {(t.direction, t.order) for t in case.trace.tracks}
        if ("backward", "time") not in ways or not (case.trace.real_counts > 1).any():
            raise CannotInject("needs a direction read backwards, stored in time, and a row of two or more steps")
        rows, ends = np.arange(case.trace.batch_size), case.trace.real_counts - 1

        def misread(track: Track) -> Track:
            if track.direction != "backward" or track.outputs is None:
                return track
            return replace(track, final=track.outputs[rows, ends], cell=None)

        return case.with_tracks(misread)


def _half(case: Case) -> str:
    """The states of backward tracks, in words."""
    return "the backward half of final_state.h" if case.trace.directions == 2 else "final_state.h"


def _as_the_weights_give(case: Case) -> bool:
    """Whether a run of the weights gives the backward outputs as they lie: none of them was left unflipped."""
    if not (case.has("inputs") and case.has("weights")):
        return False
    limit = tolerance(case)
    for facts in case.facts:
        track = case.reference.track(facts.track.layer, facts.track.direction)
        if facts.track.direction != "backward" or track is None or track.outputs is None:
            continue
        if track.outputs.shape != facts.outputs.shape:
            return False
        apart = np.abs(facts.outputs.astype(np.float64) - track.outputs.astype(np.float64))[facts.mask]
        if not (apart <= limit).all():
            return False
    return True


RULE = BackwardFinalAtLastStep()
