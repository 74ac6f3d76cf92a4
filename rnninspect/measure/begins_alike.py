"""Rows that begin with equal inputs: at which end of the rows the second half of the units begins.

A layer begins at one state, so that rows whose first inputs are equal (a token that begins every sentence, or ends it)
are equal after one of them, and only there. At that end a half that has read the rows whole differs.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from rnninspect.core.trace import Array, Bools, Ints
from rnninspect.measure.decimals import decimals
from rnninspect.measure.directions import telling
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import gather
from rnninspect.measure.saturated import saturated_units

MOST_ROWS = 32  # rows that are set beside one another
MOST_PAIRS = 16  # pairs of rows whose other steps are read
ROUNDING = 16  # units in the last place by which one product of matrices may part two rows
UNITS = 2  # that are equal by more than chance at least
DIGITS = 4  # of numbers printed with fewer, some are equal by chance


def second_half_begins(facts: TrackFacts) -> Literal["first", "last", ""]:
    """The end of the real steps at which the second half of the units begins, of a state of an even number of units:
    the `first` step, as all units do there, or the `last`, as the first half does not; empty where no two rows tell."""
    rows = np.flatnonzero(telling(facts) & (facts.real_counts > 1))[:MOST_ROWS]
    first, last = facts.mask[rows].argmax(1), facts.expected[rows]
    ends = gather(facts.outputs, rows, first), gather(facts.outputs, rows, last)
    digits = decimals(np.concatenate(ends))
    if digits is not None and digits < DIGITS:
        return ""
    half = facts.final.shape[1] // 2
    begun, read = (_alike(end[:, half:]) for end in ends)
    as_one = begun & _alike(ends[0][:, :half])
    by_itself = read & ~_alike(ends[1][:, :half])
    forward = _part(facts, rows, half, as_one, first, last)
    backward = _part(facts, rows, half, by_itself, last, first)
    return "" if forward == backward else "first" if forward else "last"


def _alike(states: Array) -> Bools:
    """`[N, N]`: which pairs of rows are equal in all units `[N, H]` up to rounding, in some that can tell."""
    values = states.astype(np.float64)
    spacing = float(np.finfo(states.dtype).eps) if states.dtype.kind == "f" else 0.0
    gap = np.abs(values[:, None] - values).max(-1, initial=0.0)
    telling_units = (~saturated_units(states)).sum(-1) >= UNITS
    return np.asarray((gap <= ROUNDING * spacing * np.abs(values).max(-1, initial=0.0)) & telling_units)


def _part(facts: TrackFacts, rows: Ints, half: int, pairs: Bools, begin: Ints, end: Ints) -> bool:
    """Whether the second halves of any of these pairs, equal where they `begin`, part on the way to their `end`."""
    for a, b in np.argwhere(np.triu(pairs, 1))[:MOST_PAIRS].tolist():
        count = int(min(abs(end[a] - begin[a]), abs(end[b] - begin[b])))
        steps = np.arange(1, count + 1) * (1 if end[a] > begin[a] else -1)
        one, other = (facts.outputs[rows[i], begin[i] + steps, half:].astype(np.float64) for i in (a, b))
        if (np.abs(one - other) > np.sqrt(np.finfo(np.float32).eps) * np.abs(one)).any():
            return True
    return False
