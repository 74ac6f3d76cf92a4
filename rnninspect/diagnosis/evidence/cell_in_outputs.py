"""Where c stands in the outputs, and which of two states an LSTM's h can be."""

from __future__ import annotations

import numpy as np

from rnninspect.core.trace import Bools
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import equal_at

NEARLY = 0.02  # of the largest unit: two runs of one layer are no farther apart, h and c are
LAST_BITS = 2e-6  # of the largest unit: a few bits of a float32
SLACK = 1 + 1e-6  # times which rounding may carry |h| over its bound


def cell_is_final_step(facts: TrackFacts) -> Bools:
    """`[B]`: rows that are off and whose c equals the output expected of h; zeros of either tell nothing."""
    cell = facts.track.cell
    if cell is None or cell.shape != facts.final.shape or not facts.mismatched.any():
        return np.zeros(facts.mismatched.shape, dtype=np.bool_)
    ends = equal_at(facts.outputs, cell, np.arange(len(cell)), facts.expected)
    return np.asarray(facts.mismatched & ends & cell.any(-1) & ~facts.final_zero)


def cell_is_nearly_final_step(facts: TrackFacts) -> Bools:
    """`[B]`: rows that are off and whose c is the output expected of h but for the last bits, where another row's is
    that exactly: batches of other shapes are summed in another order."""
    exact, cell = cell_is_final_step(facts), facts.track.cell
    if cell is None or not exact.any():
        return exact
    gap = np.abs(facts.at_end.astype(np.float64) - cell).max(-1)
    return np.asarray(exact | (facts.mismatched & (gap <= LAST_BITS * np.abs(cell.astype(np.float64)).max(-1))))


def bounded_by_cell(facts: TrackFacts) -> Bools:
    """`[B]`: rows whose |h| never exceeds |c| and falls short of it somewhere, as where both carry their own names.

    h = o * tanh(c) with 0 < o < 1 (Hochreiter & Schmidhuber 1997).
    """
    cell = facts.track.cell
    if cell is None or cell.shape != facts.final.shape:
        return np.zeros(facts.mismatched.shape, dtype=np.bool_)
    h, c = np.abs(facts.final.astype(np.float64)), np.abs(cell.astype(np.float64))
    return np.asarray((h <= c * SLACK).all(-1) & (h < c).any(-1))


def nearly_cell(facts: TrackFacts) -> Bools:
    """`[B]`: rows whose h and c are the same state, of two runs or cast: neither is the other's counterpart."""
    cell = facts.track.cell
    if cell is None or cell.shape != facts.final.shape:
        return np.zeros(facts.mismatched.shape, dtype=np.bool_)
    h, c = facts.final.astype(np.float64), cell.astype(np.float64)
    return np.asarray(np.abs(h - c).max(-1) <= NEARLY * np.abs(c).max(-1))
