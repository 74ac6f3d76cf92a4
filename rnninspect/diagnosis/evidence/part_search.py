"""One part of the weights wrongly converted: one kernel's gates, or one layer or direction of several.

Each change is tried on the first steps of a few rows, and confirmed on the whole batch.
"""

from __future__ import annotations

import numpy as np

from rnninspect.core.trace import Direction
from rnninspect.core.weights import Weights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.small_cases import ROWS, STEPS, cut_to, is_causal
from rnninspect.diagnosis.evidence.weight_changes import changes_of_a_part, exchange_of_directions
from rnninspect.diagnosis.evidence.weight_search import (
    GLANCE,
    WeightFix,
    agrees,
    compared,
    disagreement,
    fixes_difference,
    left_by,
    near,
    tolerance,
)
from rnninspect.diagnosis.once import once

MOST_STEPS = 120_000  # steps of layers that all trials run, of a few rows each: some seconds
MOST_PRODUCTS = 1 << 33  # and the products of numbers that they take


@once
def fixed_in_a_part(case: Case) -> WeightFix | None:
    """The one change of a part of the weights after which they give the dump; None where none does it.

    Where several do, the first is named, which changes least.
    """
    if case.layer.weights_as_run or agrees(case) or case.weights is None or case.batch is None:
        return None
    right = _agreeing(case)
    changes = [change for change, part in changes_of_a_part(case.weights) if not part & right]
    few, limit = _few(case), tolerance(case)
    glance = cut_to(few, np.arange(few.trace.batch_size), GLANCE) if is_causal(case) else few
    if not changes or _is_too_much(glance, case.weights, len(changes)):
        return None
    for (change,) in near(glance, ((change,) for change in changes), limit):
        if left_by(few, (change,)) > limit:
            continue
        after = left_by(case, (change,))
        if fixes_difference(case, disagreement(case), after):
            return WeightFix((change,), disagreement(case), after)
    return None


@once
def exchanged_directions(case: Case) -> WeightFix | None:
    """The weights of the two directions in each other's place, after which they give the dump; None where that is not
    it, or one direction's are right as they are."""
    if case.layer.weights_as_run or agrees(case) or case.weights is None or case.batch is None:
        return None
    if len(case.weights.directions) < 2 or _agreeing(case):
        return None
    change = exchange_of_directions()
    after = left_by(case, (change,)) if left_by(_few(case), (change,)) <= tolerance(case) else np.inf
    return (
        WeightFix((change,), disagreement(case), after) if fixes_difference(case, disagreement(case), after) else None
    )


@once
def forget_bias_in_a_part(case: Case) -> WeightFix | None:
    """The forget bias of one layer or direction, of several, added or taken once, after which the weights give the
    dump; None where that is not it. A bias that may be any number would fit too, and say less."""
    if case.layer.weights_as_run or agrees(case) or case.weights is None or case.batch is None:
        return None
    changes = [change for change, _ in changes_of_a_part(case.weights) if change.rule == "forget-bias"]
    few, limit = _few(case) if changes else case, tolerance(case)
    for change in changes if not _is_too_much(few, case.weights, len(changes)) else ():
        after = left_by(case, (change,)) if left_by(few, (change,)) <= limit else np.inf
        if fixes_difference(case, disagreement(case), after):
            return WeightFix((change,), disagreement(case), after)
    return None


def _is_too_much(case: Case, weights: Weights, trials: int) -> bool:
    """Whether so many runs of the case would take longer than some seconds."""
    steps = trials * case.trace.steps
    numbers = sum(w.input_kernel.size + w.recurrent_kernel.size for w in weights.layers)
    return steps * len(weights.layers) > MOST_STEPS or steps * case.trace.batch_size * numbers > MOST_PRODUCTS


def _agreeing(case: Case) -> frozenset[tuple[int, Direction]]:
    """Layers and directions whose outputs a run gives as they are: no change of their weights is looked for."""
    limit = tolerance(case)
    differences = compared(case, case.reference)
    return frozenset((d.track.layer, d.track.direction) for d in differences if d.largest <= limit)


def _few(case: Case) -> Case:
    """A few short rows of several steps, whole where something reads backwards: that cannot be cut to first steps."""
    lengths = case.trace.real_counts
    rows = np.lexsort((lengths, lengths <= GLANCE))[:ROWS]
    steps = int(np.flatnonzero(case.trace.mask[rows].any(0)).max(initial=0)) + 1
    return cut_to(case, rows, min(steps, STEPS) if is_causal(case) else steps)
