"""Gathers that take each state from another row, or at another row's length, and give every state of a track at once.

No step is sought: the lengths say where each state must be, so that a state of padding, all zeros, is reconstructed as
well as any other. Forward tracks only: what a backward pass ends in does not depend on the lengths.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from rnninspect.core.trace import Bools, Ints
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import Seen
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import all_equal_at, equal_at
from rnninspect.measure.run_ends import ends_of_outputs


def rows_gathered(facts: TrackFacts, orders: Iterable[Ints]) -> Ints | None:
    """The first of these `orders` `[B]`, and of those of rows sorted by length, by which the state of every row b is
    the step before row b's length in row `order[b]`; None where none is."""
    if not _may_tell(facts):
        return None
    rows = np.arange(facts.ends.size)
    for order in (*orders, *orders_by_length(facts.ends)):
        if (order != rows).any() and _gives_all(facts, order, facts.ends - 1):
            return order
    return None


def one_row_gathered(facts: TrackFacts) -> int | None:
    """The one row of which the state of every row b is the step before row b's length; None where there is none."""
    if not _may_tell(facts):
        return None
    telling = np.flatnonzero(_telling(facts))
    for row in np.flatnonzero(_holders(facts, int(telling[0]))).tolist():
        if _gives_all(facts, np.full(facts.ends.size, row), facts.ends - 1):
            return int(row)
    return None


def row_whose_length(facts: TrackFacts) -> int | None:
    """The row in whose last step's column every state is, and others are longer; None where there is none."""
    if not _may_tell(facts):
        return None
    rows = np.arange(facts.ends.size)
    for length in np.unique(facts.ends)[:-1].tolist():
        row = int(np.flatnonzero(facts.ends == length)[0])
        is_right = bool(facts.at_expected[row]) and not facts.uninformative[row]
        if is_right and _gives_all(facts, rows, np.full(rows.size, length - 1)):
            return row
    return None


def also_gathered(case: Case, facts: TrackFacts, rows: Ints, steps: Ints) -> list[Seen]:
    """The rows that are off in a track, and in the other direction of its layer where that was gathered by the same
    `rows` and `steps` `[B]`, as outputs of both directions side by side are."""
    return [
        Seen(f, f.mismatched)
        for f in case.facts
        if f is facts or (f.track.layer == facts.track.layer and _gives_all(f, rows, steps))
    ]


def orders_by_length(lengths: Ints) -> Iterator[Ints]:
    """The orders `[B]` of rows sorted by their lengths, and those that put such rows back."""
    for key in (-lengths, lengths):
        order = np.argsort(key, kind="stable")
        yield from (order, np.argsort(order))


def ends_move_with(tracks: Iterable[TrackFacts], order: Ints) -> bool | None:
    """Whether the outputs end in zeros where the lengths of other rows say: row `order[b]`, of `[B]`, where that of row
    b does. None where they do not end, or end elsewhere."""
    tracks = list(tracks)
    ends = ends_of_outputs(tracks)
    if ends is None:
        return None
    if np.array_equal(ends[order], tracks[0].ends):
        return None if np.array_equal(ends, tracks[0].ends) else True
    return False if np.array_equal(ends, tracks[0].ends) else None


def _may_tell(facts: TrackFacts) -> bool:
    """Whether rows of several lengths, none without a step, are read forwards, and a state is off that is not blank."""
    uneven = facts.ends.size > 1 and facts.ends.min() > 0 and facts.ends.min() < facts.ends.max()
    return bool(facts.track.direction == "forward" and uneven and _telling(facts).any())


def _telling(facts: TrackFacts) -> Bools:
    """`[B]`: rows that are off and hold more than padding."""
    return np.asarray(facts.mismatched & ~facts.final_blank)


def _holders(facts: TrackFacts, row: int) -> Bools:
    """`[B]`: the rows whose step before this row's length is this row's state."""
    count = facts.ends.size
    column = np.full(count, facts.ends[row] - 1)
    return equal_at(facts.outputs, np.broadcast_to(facts.final[row], facts.final.shape), np.arange(count), column)


def _gives_all(facts: TrackFacts, rows: Ints, steps: Ints) -> bool:
    """Whether every state is `outputs[rows[b], steps[b]]`, and the states that are off are so of rows that change."""
    telling = _telling(facts)
    if telling.any() and facts.uniform[rows[telling]].all():
        return False
    return all_equal_at(facts.outputs, np.asarray(facts.final), rows, steps)
