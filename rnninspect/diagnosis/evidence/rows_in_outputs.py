"""The rows in whose outputs states are found that are another row's."""

from __future__ import annotations

import numpy as np

from rnninspect.core.trace import Ints
from rnninspect.diagnosis.case import Case
from rnninspect.measure.facts import TrackFacts


def rows_in_outputs(case: Case, facts: TrackFacts) -> Ints | None:
    """`[B]`: the row in whose outputs each state that is off is found, at any step; None where that is no permutation,
    or changes nothing."""
    source = np.full(facts.mismatched.size, -1)
    places = case.elsewhere(facts, facts.mismatched & ~facts.final_blank)
    if len(places) < 2:
        return None
    for row, hits in places.items():
        rows = {b for b, _ in hits}
        if len(rows) != 1:
            return None
        source[row] = rows.pop()
    silent = facts.mismatched & facts.final_blank  # a row of zeros may be of any of those that are left
    source = np.where((source < 0) & ~silent, np.arange(source.size), source)
    left = np.setdiff1d(np.arange(source.size), source)
    if left.size == np.count_nonzero(silent):
        source[silent] = left
    moved = source != np.arange(source.size)
    return source.astype(np.int64) if moved.any() and np.unique(source).size == source.size else None
