"""Rows and states that were copied apart, as for a search over several beams: one by one, or as a whole."""

from __future__ import annotations

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import same


@frozen
class Copies:
    """How rows and states were copied apart, in words, and what mends it."""

    how: str
    fix: str


def copied_otherwise(facts: TrackFacts) -> Copies | None:
    """Whether every row was copied (one for each beam, say) row by row, and the states as a whole, or the other way."""
    right, final = facts.at_end, np.asarray(facts.final)
    size = len(right)
    for times in (k for k in range(2, size) if size % k == 0):
        rows = size // times
        each, whole = np.repeat(np.arange(rows), times), np.tile(np.arange(rows), times)
        if same(right, right[each * times]).all() and same(final, right[whole * times]).all():
            how = f": each row was copied {times} times, np.repeat, the states as a whole, np.tile"
            return Copies(how, f"h = np.repeat(h[:{rows}], {times}, axis=0)  # as the rows were; not np.tile")
        if same(right, right[whole]).all() and same(final, right[each]).all():
            how = f": the rows were copied {times} times as a whole, np.tile, each state, np.repeat"
            return Copies(how, f"h = np.tile(h[::{times}], ({times}, 1))  # as the rows were; not np.repeat")
    return None
