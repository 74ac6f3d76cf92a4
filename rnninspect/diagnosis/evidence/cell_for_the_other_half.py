"""c of the forward pass beside its h, where the backward half belongs: of five results the second and fourth taken."""

from __future__ import annotations

import numpy as np

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.cell_beside_state import MANY, go_together
from rnninspect.diagnosis.evidence.cells_of_run import can_run
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.diagnosis.once import once
from rnninspect.measure.facts import TrackFacts

ROOM = 32  # times what outputs may differ by: c adds up over the steps, and is larger


@once
def cell_for_the_other_half(case: Case) -> TrackFacts | None:
    """The backward half that is the forward one's c, as every number of it may be: with the signs of that h, which does
    not exceed its tanh; None where it is not, where c is at hand, or where a run of the weights has another c."""
    if case.trace.directions != 2 or any(t.cell is not None for t in case.trace.tracks) or len(case.facts) != 2:
        return None
    forward, backward = case.facts
    off = backward.mismatched & ~backward.equal.any(1) & ~backward.final_blank
    one_layer = forward.track.layer == backward.track.layer and forward.track.direction == "forward"
    alone = np.array_equal(off, backward.expected >= 0) and not forward.mismatched.any()
    if not one_layer or not alone or forward.final.shape != backward.final.shape or off.sum() < 2:
        return None
    h, c = forward.final[off], backward.final[off]
    if h.size < MANY or not go_together(h, c).all() or go_together(c, h).all():
        return None
    return backward if not can_run(case) or _is_of_the_run(case, backward) else None


def _is_of_the_run(case: Case, facts: TrackFacts) -> bool:
    ran = case.reference.track(facts.track.layer, "forward")
    if ran is None or ran.cell is None or ran.cell.shape != facts.final.shape:
        return False
    gaps = np.abs(ran.cell.astype(np.float64) - facts.final)[facts.mismatched]
    return bool(gaps.max() <= ROOM * tolerance(case))
