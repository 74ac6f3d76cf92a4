"""One direction of an even number of units, or two side by side of which the second was taken at the wrong end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Slot
from rnninspect.core.trace import Track
from rnninspect.core.wording import argument
from rnninspect.measure.begins_alike import second_half_begins
from rnninspect.measure.choose_reading import Choice
from rnninspect.measure.directions import MOST_ROWS, telling
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import gather

# Two halves that begin at opposite ends: the share of rows in which each begins smaller than it ends, and how small
# they begin beside how they end; or how many standard errors, over rows and units, the second half ends smaller than it
# begins. Measured: so look 1 in 200 layers of one direction, and 3 in 4 of two (LSTM, GRU).
MOSTLY, TOGETHER, SURELY = 0.7, 0.6, 2.0
EITHER = 0.9  # how small either half may begin beside how it ends, at most
# How many standard errors the second half begins smaller than it ends where it is read forward. Measured: so look 9 in
# 10 layers of one direction (GRU, LSTM; of plain RNN 5 in 10), and of two 1 in 60 (of plain RNN 1 in 7).
FORWARD, ENOUGH = 0.75, 3  # ENOUGH: numbers whose scatter says anything
ONE = "one direction"
_SHOWN = "rows whose second half is equal at their last step, and nothing else there or before, show two"


def maybe_two(choice: Choice, slots: tuple[Slot, ...], stacks: bool = False) -> Choice:
    """The choice, said to be undecided where its one direction may be two side by side, taken at the same step.

    That is so where the last step of outputs `[B, T, 2H]` is the state `[B, 2H]` (`outputs[:, -1]` of a bidirectional
    layer) or the top one of `[L, B, 2H]`, the first half of the units begins small at the first real step, and the
    second half at the last one. Where the second half does not plainly begin smaller than it ends, one direction is
    taken and that is said: it is the usual case, and nothing shows it. Not beside the c of that h, and not in a stack
    of a framework that was stated and `stacks` states: its own has a plane for each direction.
    """
    trace = choice.reading.trace
    states = [slot for slot in slots if slot.role == "h"]
    if not choice.measured or len(choice.measured) != 1 or len(states) != 1:
        return choice
    unsure = one_or_two(choice.measured[0]) if trace.directions == 1 else None
    plane = states[0].array.ndim > 2  # `[1, B, H]`, as of a layer that gives one for each direction
    if unsure is None or (plane and (stacks or unsure[0] == ONE)):
        return choice
    source = {**trace.source, unsure[0]: unsure[1]}
    return replace(choice, reading=replace(choice.reading, trace=replace(trace, source=source)))


def one_or_two(facts: TrackFacts) -> tuple[str, str] | None:
    """Where one direction may be two: what is undecided, the direction or that it is one, and a sentence about it."""
    units = facts.final.shape[1]
    track = facts.track
    if track.direction != "forward" or track.initial is not None or units % 2 or is_beside_its_c(track):
        return None
    begins = second_half_begins(facts)
    if begins == "last" and facts.at_expected[telling(facts)].all():
        return "direction", f"{_either(units)}; {_SHOWN}"
    if begins != "first" and _ends_where_one_begins(facts):
        return "direction", _either(units)
    return None if begins == "first" or _begins_small(facts) else (ONE, _usual(units))


def _either(units: int) -> str:
    return (
        f"none was stated; one direction of {units} units fits, and so do two of {units // 2} side by side, whose "
        "backward half would then be at the wrong end, after one input: outputs[:, -1] of a bidirectional layer"
    )


def _usual(units: int) -> str:
    return (
        f"{units} units are taken for one, as none was stated and nothing shows two; the backward half of two side by "
        f"side would end at step 0: state {argument('bidirectional', True)} if they are"
    )


def _begins_small(facts: TrackFacts) -> bool:
    """Whether the second half of the units is smaller at the first real step than at the expected one, by more than
    chance makes it: it is read forward then, for a layer begins small."""
    rows = np.flatnonzero(telling(facts) & (facts.real_counts > 1))[:MOST_ROWS]
    if not rows.size:
        return True  # no step tells the two ends apart
    half = facts.final.shape[1] // 2
    first, last = (
        np.abs(gather(facts.outputs, rows, at)[:, half:].astype(np.float64))
        for at in (facts.mask[rows].argmax(1), facts.expected[rows])
    )
    grown = last - first
    return bool(grown.size >= ENOUGH and grown.mean() * np.sqrt(grown.size) > FORWARD * grown.std())


def is_beside_its_c(track: Track) -> bool:
    """Whether a cell state stands beside h that has its sign in all units: both were returned, and h is no step of the
    outputs. Of two directions the backward c is of step 0, and of that sign by chance alone."""
    c, h = track.cell, track.final
    return c is not None and h is not None and c.shape == h.shape and bool((c * h >= 0).all() and c.any())


def _ends_where_one_begins(facts: TrackFacts) -> bool:
    """Whether every state is the last real step, at which the second half of the units has only begun."""
    rows = np.flatnonzero(telling(facts) & (facts.real_counts > 2))[:MOST_ROWS]
    if rows.size < 2 or not np.take_along_axis(facts.equal[rows], facts.expected[rows, None], 1).all():
        return False
    ends = [gather(facts.outputs, rows, at) for at in (facts.mask[rows].argmax(1), facts.expected[rows])]
    half = facts.final.shape[1] // 2
    first, last = (np.abs(end.astype(np.float64)).reshape(rows.size, 2, half) for end in ends)
    begun = [(first[:, 0], last[:, 0]), (last[:, 1], first[:, 1])]  # of each half: where it begins, where it ends
    shares = [float(small.sum() / max(large.sum(), np.finfo(np.float64).tiny)) for small, large in begun]
    mostly = all((small.sum(-1) < large.sum(-1)).mean() >= MOSTLY for small, large in begun)
    if mostly and max(shares) < EITHER and shares[0] * shares[1] < TOGETHER:
        return True
    gap = first[:, 1] - last[:, 1]
    surely = gap.mean() * np.sqrt(gap.size) > SURELY * gap.std()
    return bool(surely and shares[0] < 1 and shares[1] < EITHER)
