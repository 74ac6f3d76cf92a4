"""The one-step check: which steps of a dump do not follow from the dump's own step before?

A run from the start carries an error on and lets it grow; fed with the dump's own outputs, the first bad step shows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnninspect.core.trace import Direction
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.teacher_forcing import forced, weights_of
from rnninspect.diagnosis.evidence.weight_search import tolerance


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
        made = forced(case, facts)(weights.at(0, direction))
        gap = np.abs(made - facts.outputs.astype(np.float64)).max(-1)
        bad = facts.mask & ~(gap <= limit)
        for row in np.flatnonzero(bad.any(1)):
            steps = np.flatnonzero(bad[row])
            yield direction, int(row), int(steps[-1] if direction == "backward" else steps[0]), steps.size
