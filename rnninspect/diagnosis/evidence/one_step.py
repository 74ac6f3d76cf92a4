"""The one-step check: which steps of a dump do not follow from the dump's own step before?

A run from the start carries an error on and lets it grow; fed with the dump's own outputs, the first bad step shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Direction
from rnninspect.core.weights import LayerWeights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.teacher_forcing import forced, weights_of
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.measure.facts import TrackFacts

COARSE = 1e-5  # a limit that rounding in float32 is far below, in a step that others before it do not add to


def first_bad_steps(case: Case) -> Iterator[tuple[Direction, int, int, int]]:
    """(direction, row, first bad step in reading order, how many of its steps are bad) of a one-layer case.

    An LSTM's c is recomputed along the dump's own h. Of a stack nothing is said: its lower outputs are not recorded.
    """
    weights = weights_of(case)
    if weights.depth > 1:
        return
    limit = tolerance(case)
    for facts in case.facts:
        if facts.track.order != "time":
            continue
        direction = facts.track.direction
        if direction not in weights.directions:
            continue
        bad = facts.mask & ~(_gaps(case, facts, weights.at(0, direction), limit) <= limit)
        for row in np.flatnonzero(bad.any(1)):
            steps = np.flatnonzero(bad[row])
            yield direction, int(row), int(steps[-1] if direction == "backward" else steps[0]), steps.size


def _gaps(case: Case, facts: TrackFacts, layer_weights: LayerWeights, limit: float) -> Array:
    """`[B, T]`: how far each step is from what follows the step before; in float32, at half the cost, where that leaves
    no real step in doubt."""
    if limit >= COARSE:
        in_float32 = replace(case, layer=replace(case.layer, dtype="float32"))
        rough = _gaps(in_float32, facts, layer_weights, 0.0)
        if ((rough < limit / 2) | (rough > 2 * limit) | ~facts.mask).all():
            return rough
    gaps: Array = np.abs(forced(case, facts)(layer_weights) - facts.outputs.astype(np.float64)).max(-1)
    return gaps
