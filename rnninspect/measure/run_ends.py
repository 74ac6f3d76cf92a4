"""Where the outputs themselves show that a run ended, whatever lengths were stated: zeros or repeats from there on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnninspect.core.trace import Bools, Ints, last_true
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.saturated import saturated_units

MOST_ROWS = 64  # rows that are looked at for a number below zero
MOVED = 1e-3  # of the largest unit: a step that moved by more did not creep into a fixed point


def run_ends(facts: TrackFacts) -> Ints:
    """`[B]`: the step at which a row's outputs stop at once, zero, filled with a number or repeated up to the last
    column; -1 where they do not, or creep to a stop or are saturated, as those of a layer may be that reads on over its
    padding."""
    if facts.track.order == "reversed":
        return np.full(facts.ends.size, -1, dtype=np.int64)
    zero = facts.zero[:, -1]
    ends = facts.steps - np.where(zero, _trailing(facts.zero), _trailing(facts.repeats))
    ends[(ends == facts.steps) | (ends == 0)] = -1
    for row in np.flatnonzero(~zero & (ends > 0)):
        last = facts.outputs[row, ends[row] - 1].astype(np.float64)
        before = facts.outputs[row, ends[row] - 2].astype(np.float64) if ends[row] > 1 else np.zeros_like(last)
        if not np.abs(last - before).max() > MOVED * np.abs(last).max():
            ends[row] = -1
    told = _before_fill(facts, ends)
    for row in np.flatnonzero(~zero & (ends > 0) & (told == ends)):
        if saturated_units(facts.outputs[row, ends[row] - 1]).all():
            told[row] = -1  # it would have stayed there whatever it read
    return np.asarray(told, dtype=np.int64)


def _before_fill(facts: TrackFacts, ends: Ints) -> Ints:
    """`[B]`: the ends, one step earlier where what repeats from there on is a padding value: one number in every unit,
    the same in all rows that stop, after steps of several numbers."""
    rows = np.flatnonzero((ends > 1) & ~facts.zero[:, -1])
    repeated, before = facts.outputs[rows, -1], facts.outputs[rows, ends[rows] - 2]
    filled = rows.size and (repeated == repeated[0, 0]).all() and (before != before[:, :1]).any(-1).all()
    moved = ends.copy()
    moved[rows if filled else rows[:0]] -= 1
    return moved


def ends_of_outputs(tracks: Sequence[TrackFacts]) -> Ints | None:
    """`[B]`: the step at which each row's outputs stop and are zero from there on, the same in all tracks, T where they
    do not stop; None where tracks differ, a zero lies between, or no row stops."""
    ends: Ints | None = None
    for facts in tracks:
        stop = facts.steps - _trailing(facts.zero)
        within = np.arange(facts.steps) < stop[:, None]
        if (
            facts.track.order == "reversed"
            or (facts.zero & within).any()
            or (ends is not None and (ends != stop).any())
        ):
            return None
        ends = stop
    return None if ends is None or not (ends < tracks[0].steps).any() else np.asarray(ends, dtype=np.int64)


def stops_of_outputs(tracks: Sequence[TrackFacts]) -> Ints | None:
    """`[B]`: the step at which each row's outputs stop, zero (in all tracks) or repeated (in those that are read
    forwards) from there on; T where they do not stop, None where no row does, or tracks differ."""
    zeros = ends_of_outputs(tracks)
    forward = [facts for facts in tracks if facts.track.direction == "forward"]
    if zeros is not None or not forward:
        return zeros
    stops = [run_ends(facts) for facts in forward]
    if any((stop != stops[0]).any() for stop in stops) or not (stops[0] > 0).any():
        return None
    return np.asarray(np.where(stops[0] < 0, forward[0].steps, stops[0]), dtype=np.int64)


def states_end_elsewhere(facts: TrackFacts) -> Bools:
    """`[B]`: rows whose state is the step behind which their outputs are zero, and not the one that was stated; that of
    the last column, in a row that goes on, where others stop."""
    ends = ends_of_outputs([facts])
    if ends is None:
        return np.zeros(facts.ends.size, dtype=np.bool_)
    return np.asarray(facts.equals(ends - 1) & ~facts.final_zero & (ends != facts.ends))


def contradicts_lengths(facts: TrackFacts) -> Bools:
    """`[B]`: rows whose outputs show another end than was stated."""
    ends = run_ends(facts)
    return np.asarray((ends > 0) & (facts.ends > 0) & (ends != facts.ends))


def ends_elsewhere(tracks: Sequence[TrackFacts]) -> Ints | None:
    """`[B]`: the steps from which on outputs are zero, as a packed run's are, where these are several and not those
    stated; None where they are, or are all the same (an array made wider), or units may be shut (relu)."""
    ends = ends_of_outputs(tracks)
    if ends is None or any(facts.track.order != "time" or not facts.lengths_known for facts in tracks):
        return None
    short = (ends > 0) & (ends < tracks[0].steps)
    if np.unique(ends[short]).size < 2 or not (ends != tracks[0].ends)[short].any():
        return None
    rows = np.flatnonzero(ends > 0)[:MOST_ROWS]
    return ends if any((facts.outputs[row] < 0).any() for facts in tracks for row in rows) else None


def cut_ends(facts: TrackFacts, ends: Ints) -> Ints:
    """`[B]`: where each row's state ends if these were its lengths before they were cut to the time axis: there, or, in
    a row that is as long as that by what was stated, at the first later step that its state equals; -1 elsewhere."""
    at_end = facts.equals(ends - 1)
    steps = np.arange(facts.steps)
    later = facts.equal & (steps >= ends[:, None] - 1) & ((facts.ends == facts.steps) & ~facts.final_blank)[:, None]
    ends_later = np.where(later.any(1), later.argmax(1) + 1, -1)
    return np.asarray(np.where(at_end, ends, ends_later), dtype=np.int64)


def cut_in_words(facts: TrackFacts, rows: Bools) -> str:
    """What is to be said of rows `[B]` that end later than others by their lengths; nothing where there are none."""
    later = np.flatnonzero(rows)
    if not later.size:
        return ""
    return f" (row {later[0]} ends later than that: its length was cut to the {facts.steps} steps that there are)"


def shows_lengths(facts: TrackFacts) -> bool:
    """Whether outputs end where the lengths say, in a row at least that has padding, and nowhere else."""
    ends = run_ends(facts)
    return bool((ends == facts.ends).any()) and not contradicts_lengths(facts).any()


def _trailing(marks: Bools) -> Ints:
    """`[B]`: how many steps up to the last column are marked without a gap."""
    steps = marks.shape[1]
    return np.asarray(np.where(marks.all(1), steps, steps - 1 - last_true(~marks)), dtype=np.int64)


def past_the_stop(facts: TrackFacts) -> tuple[int, Bools]:
    """By how many steps every length goes past the step from which on its row repeats, and the rows `[B]` that show it;
    0 where no one number does. Lengths may have been cut to T, and a row that is no longer than that keeps one
    step, which repeats.
    """
    stops = run_ends(facts)
    told = (stops > 0) & (facts.ends > 0) & ~facts.zero[:, -1]
    whole = facts.ends == facts.steps
    beyond = np.where(told & ~whole, facts.ends - stops, 0)
    past = int(beyond.max(initial=0))
    if past < 1 or (beyond != past)[told & ~whole & (facts.ends > past)].any():
        return 0, told
    clipped = whole & (np.where(told, facts.ends - stops, 0) <= past)
    kept_one = (facts.ends <= past) & (~told | (stops == 1) | (facts.ends - stops == past))
    explained = (told & ~whole & (facts.ends > past)) | clipped | kept_one | facts.uniform
    enough = (told & ~whole & (facts.ends > past)).sum() > 1 or (told & (facts.ends > past)).all()
    return past if explained.all() and enough else 0, np.asarray(told & (facts.ends > stops))
