"""One number of steps between where states stand and where their rows end."""

from __future__ import annotations

from collections import Counter

import numpy as np

from rnninspect.core.trace import Bools, Ints
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.run_ends import cut_ends


def offsets_of(facts: TrackFacts, ends: Ints) -> list[tuple[int, bool]]:
    """The one offset that holds on every row that can tell (True), or those that hold on some of them (False).

    `ends` `[B]`: how many steps each row has. An offset needs two rows that share it without a wrap, or to be the
    commonest slip, a single step.
    """
    if facts.track.direction == "backward" and facts.track.order == "time":
        return []
    telling = selective(facts)
    votes: Counter[int] = Counter()
    for b in np.flatnonzero(telling):
        votes.update((np.flatnonzero(facts.equal[b]) - (ends[b] - 1)).tolist())
    votes.pop(0, None)
    for offset, _ in sorted(votes.items(), key=lambda item: (-item[1], abs(item[0]))):
        at = rows_at(facts, ends, offset)
        steps = ends - 1 + offset
        inside = (steps >= 0) & (steps < facts.steps)
        contradicts = inside & ~at & (ends > 0) & ~facts.uniform & facts.equal.any(1)
        shown = facts.equals(steps) & ~facts.uniform & ~facts.final_blank
        if (at | ~telling).all() and not contradicts.any() and (abs(offset) == 1 or shown.sum() > 1):
            return [(offset, True)]
    return [(offset, False) for offset, count in votes.items() if count > 1 or abs(offset) == 1]


def rows_at(facts: TrackFacts, ends: Ints, offset: int) -> Bools:
    """`[B]`: rows whose state equals the step `offset` from their last; index -1 wraps to the end, as in numpy, whose
    padding may have been zero, and a run of no step leaves zeros."""
    steps = ends - 1 + offset
    at = facts.equals(np.where(steps < 0, steps + facts.steps, steps)) | ((steps < 0) & facts.final_zero)
    return np.asarray(at | (moved_ends(facts, ends, offset) != ends + offset))


def moved_ends(facts: TrackFacts, ends: Ints, offset: int) -> Ints:
    """`[B]`: the ends moved by the offset; that of its state in a row whose larger length was cut to the time axis."""
    later = cut_ends(facts, ends + offset)
    return np.where((later > 0) & (ends == facts.steps) & (offset < 0), later, ends + offset)


def selective(facts: TrackFacts) -> Bools:
    """`[B]`: rows that are off and stand at a step of their own, which tells by how much."""
    return np.asarray(facts.mismatched & ~facts.uniform & ~facts.final_blank & facts.equal.any(1))
