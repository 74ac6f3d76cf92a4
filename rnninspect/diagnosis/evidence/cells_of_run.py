"""Final states that are the cell states in which a run of the weights ends, where no c stands beside them."""

from __future__ import annotations

import numpy as np

from rnninspect.core.trace import Bools
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.measure.facts import TrackFacts

ADDED_UP = 4  # times what two right runs' h may differ by: c adds up over the steps


def can_run(case: Case) -> bool:
    """Whether the weights can be run, and give a c."""
    weights = case.weights
    return case.batch is not None and weights is not None and weights.spec.cell == "lstm"


def are_cells_of_run(case: Case, facts: TrackFacts) -> Bools:
    """`[B]`: rows that are off and equal no output, whose state is the c of a run of these weights, and is not its h.

    None of them where the run does not give the outputs at the rows' ends.
    """
    off = facts.mismatched & ~facts.final_zero & ~facts.equal.any(1)
    nowhere = np.zeros_like(off)
    if facts.track.cell is not None or not off.any() or not can_run(case):
        return nowhere
    ran = case.reference.track(facts.track.layer, facts.track.direction)
    if ran is None or ran.cell is None or ran.final is None or ran.cell.shape != facts.final.shape:
        return nowhere
    limit = tolerance(case)
    final = facts.final.astype(np.float64)
    is_cell = np.abs(final - ran.cell).max(-1) <= ADDED_UP * limit * max(1.0, float(np.abs(ran.cell).max()))
    is_run = np.abs(facts.at_end.astype(np.float64) - ran.final).max(-1) <= limit
    is_other = np.abs(final - ran.final).max(-1) > ADDED_UP * limit
    return np.asarray(off & is_cell & is_run & is_other)
