"""Whether c can be the cell state behind h, told by the two alone: in an LSTM h = o * tanh(c), and 0 < o < 1.

(Hochreiter & Schmidhuber 1997.) So h has c's sign, and |h| is at most |tanh(c)|, unit by unit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from rnninspect.core.trace import Array, Bools, Ints, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.cell_in_outputs import NEARLY
from rnninspect.measure.decimals import decimals
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import same

SLACK = 0.02  # share by which |h| may exceed |tanh(c)|: a cast to bfloat16 moves either by less
MANY = 16  # numbers that go together as h and c do by chance once in 65,000 times, by their signs alone
FEW_UNITS = 3  # with fewer, another row's c goes with h too often
MOST_ROWS = 256  # rows that are set beside every other


def cannot_be_of(case: Case, track: Track) -> Bools | None:
    """`[B]`: rows with a real step whose c cannot be the one behind their h; None where the two do not tell.

    They do not where c has other units (a projection), where another cell or activation than tanh is stated, or where h
    leaves [-1, 1], as no plain LSTM's does.
    """
    final, cell = track.final, track.cell
    attributes = case.config.attributes
    usual = attributes.get("activation") in (None, "tanh") and "activations" not in attributes
    usual = usual and case.config.cell in (None, "lstm")
    if final is None or cell is None or final.shape != cell.shape or not usual:
        return None
    real = case.trace.mask.any(1)
    if not (np.abs(final[real]) <= 1).all():
        return None
    return np.asarray(~go_together(final, cell) & real)


def rows_of_cells(case: Case, track: Track) -> Ints | None:
    """`[B]`: the row behind whose h each c can be, where no c is out of place by these alone and in one way only; None
    where c's rows are in no such order, or stand where they should."""
    off = cannot_be_of(case, track)
    if off is None or not off.any() or off.size > MOST_ROWS or track.final is None or track.cell is None:
        return None
    final, cell = track.final, track.cell
    if final.shape[1] < FEW_UNITS:
        return None
    room, real = _room(final, cell), case.trace.mask.any(1)
    fits = np.stack([go_together(final, np.broadcast_to(c, final.shape), room) & real for c in cell])  # [c's, h's]
    fits[~real, :] = False
    fits[~real, ~real] = True
    if (fits.sum(0) != 1).any() or (fits.sum(1) != 1).any():
        return None
    return np.asarray(fits.argmax(1), dtype=np.int64)


def with_cells_put_back(case: Case) -> Case | None:
    """The case with every c in the row of the h that it goes with, where that is another; None where none is."""
    orders = {(f.track.layer, f.track.direction): rows_of_cells(case, f.track) for f in case.facts}
    back = {track: np.argsort(order) for track, order in orders.items() if order is not None}
    if not back:
        return None

    def turned(track: Track) -> Track:
        order = back.get((track.layer, track.direction))
        return track if order is None or track.cell is None else replace(track, cell=track.cell[order])

    return case.with_tracks(turned)


def outputs_end_in(facts: TrackFacts) -> Literal["h", "c", ""]:
    """Which of the two the outputs end in, where one state stands in the place of both and equals no step: h, whose c
    the states then are, or c, whose h they are; empty where nothing tells."""
    final, cell = facts.final, facts.track.cell
    real = facts.expected >= 0
    if (
        cell is None
        or cell.shape != final.shape
        or not real.any()
        or not same(final, cell)[real].all()
        or not facts.mismatched[real].all()
        or facts.somewhere.any()
    ):
        return ""
    end, final = facts.at_end[real], final[real]
    near = np.abs(end.astype(np.float64) - final).max(-1) <= NEARLY * np.abs(final.astype(np.float64)).max(-1)
    if near.any() or np.count_nonzero(final) < MANY:
        return ""
    ways = [name for name, h, c in (("h", end, final), ("c", final, end)) if go_together(h, c).all()]
    return ways[0] if len(ways) == 1 else ""  # type: ignore[return-value]


def go_together(final: Array, cell: Array, room: float | None = None) -> Bools:
    """`[B]`: whether every unit of h `[B, H]` has the sign of c `[B, H]` and does not exceed tanh(c), but for rounding:
    `room`, or what the two show of theirs."""
    h, c = final.astype(np.float64), cell.astype(np.float64)
    against_c = np.where(h * c < 0, np.minimum(np.abs(h), np.abs(c)), 0.0)
    beyond_c = np.abs(h) - np.abs(np.tanh(c)) * (1 + SLACK)
    off = np.maximum(against_c, beyond_c)
    if not (off > 0).any():  # the usual case, which no rounding need explain
        return np.ones(len(h), dtype=np.bool_)
    room = _room(final, cell) if room is None else room
    return np.asarray(~(off > room).any(-1) | ~np.isfinite(h + c).all(-1))


def _room(final: Array, cell: Array) -> float:
    """How far apart the two may be by their own rounding: a unit of the last printed digit; little else."""
    digits = [d for d in (decimals(final), decimals(cell)) if d is not None]
    return 10.0 ** -min(digits) if digits else 1e-3 * float(np.abs(final).max(initial=0.0))
