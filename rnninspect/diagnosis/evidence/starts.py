"""Whose state a row started from: its first step is tried from every state that is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import numpy as np

from rnninspect.core.batch import Batch
from rnninspect.core.trace import Array, Bools, Direction, Ints, Trace, Track
from rnninspect.diagnosis.case import Case, States
from rnninspect.diagnosis.evidence.agreement import agreeing
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.measure.facts import TrackFacts

FEW = 4  # rows that are tried on every state first; what they have in common is tried on the others
MOST_NAMED = 6  # further arrays of the dump that may be a state
MOST = 1 << 16  # single steps that are run at most


def first_read(facts: TrackFacts) -> Ints:
    """`[B]`: the step that each row reads first."""
    mask = facts.mask
    if facts.track.direction == "backward" and facts.track.order == "time":
        return np.asarray(mask.shape[1] - 1 - mask[:, ::-1].argmax(1), dtype=np.int64)
    return np.asarray(mask.argmax(1), dtype=np.int64)


def starts_off(facts: TrackFacts, run: Trace, limit: float) -> Bools:
    """`[B]`: rows whose first step, in the order read, is not the run's."""
    track = run.track(facts.track.layer, facts.track.direction)
    assert track is not None
    assert track.outputs is not None
    rows, first = np.arange(facts.mask.shape[0]), first_read(facts)
    apart = np.abs(facts.outputs[rows, first].astype(np.float64) - track.outputs[rows, first])
    return np.asarray(~(apart <= limit).all(1) & facts.mask.any(1))


def final_states(case: Case) -> States | None:
    """What every layer and direction ended in, by row; None where one is missing that a start needs.

    A dump without c has a run's instead, for rows that the run gives.
    """
    states: dict[tuple[int, Direction], tuple[Array, Array | None]] = {}
    lstm = case.weights is not None and case.weights.spec.cell == "lstm"
    for track in case.trace.tracks:
        if track.final is None:
            return None
        cell = track.cell
        if lstm and cell is None:
            made = case.reference.track(track.layer, track.direction)
            rows_given = agreeing(case, case.reference).get((track.layer, track.direction))
            if made is None or made.cell is None or rows_given is None:
                return None
            cell = np.where(rows_given[:, None], made.cell, np.nan)
        states[track.layer, track.direction] = track.final, cell
    return states


def origins(case: Case, facts: TrackFacts, rows: Ints, states: States) -> Ints:
    """`[N]`: for each of these rows `[N]` the row of `states` from which its first step follows; -1 where none.

    A few rows are tried from every state. The others are tried from the state as far away first, then from all as far
    as MOST allows. Of several states that give the step, the row before comes first.
    """
    count = len(next(iter(states.values()))[0])
    whose = np.full(rows.size, -1, dtype=np.int64)
    if case.batch is None or (case.trace.layers > 1 and case.trace.directions > 1):
        return whose
    few = min(rows.size, FEW, max(1, MOST // max(1, count)))
    whose[:few] = _among_all(case, facts, rows[:few], states, count)
    if (whose[:few] < 0).all():
        return whose
    for apart in dict.fromkeys((rows[:few] - whose[:few])[whose[:few] >= 0].tolist()):
        left = np.flatnonzero((whose < 0) & (rows - apart >= 0) & (rows - apart < count))
        hit = follows(case, facts, rows[left], rows[left] - apart, states)
        whose[left[hit]] = rows[left[hit]] - apart
    left = np.flatnonzero(whose < 0)[: max(0, MOST // max(1, count))]
    whose[left] = _among_all(case, facts, rows[left], states, count)
    return whose


def _among_all(case: Case, facts: TrackFacts, rows: Ints, states: States, count: int) -> Ints:
    """`[N]`: as `origins`, every state tried."""
    pairs = np.repeat(rows, count), np.tile(np.arange(count), rows.size)
    hits = follows(case, facts, *pairs, states).reshape(rows.size, count)
    hits[np.arange(rows.size)[rows < count], rows[rows < count]] = False  # its own is no other's
    rank = (rows[:, None] - 1 - np.arange(count)) % max(1, count)
    return np.where(hits.any(1), np.where(hits, rank, count).argmin(1), -1)


def states_in_dump(case: Case) -> Iterator[tuple[str, States]]:
    """Every state of all rows that a row may have started from, in words: the one in which it ends itself, and those of
    one layer and direction that lie in arrays of the dump which nothing was read from."""
    ended = final_states(case)
    if ended is not None:
        yield "the state in which it ends itself, as where a batch is run a second time and keeps its state", ended
    key = (case.trace.tracks[0].layer, case.trace.tracks[0].direction)
    used = {id(slot.array) for slot in case.dump.slots}
    named = {name: array for name, array in case.dump.arrays.items() if id(array) not in used}
    final = case.trace.tracks[0].final
    if len(case.trace.tracks) > 1 or final is None:
        return
    vectors = {
        name: a.reshape(final.shape) for name, a in named.items() if a.size == final.size and a.dtype.kind == "f"
    }
    if case.weights is not None and case.weights.spec.cell == "lstm":
        for h, c in permutations(list(vectors)[:MOST_NAMED], 2):
            yield f"{h} and {c}", {key: (vectors[h], vectors[c])}
    else:
        for name in list(vectors)[:MOST_NAMED]:
            yield name, {key: (vectors[name], None)}


def follows(case: Case, facts: TrackFacts, rows: Ints, whose: Ints, states: States, steps: Ints | None = None) -> Bools:
    """`[N]`: whether the first step of `rows[n]` (or the step `steps[n]`) follows from the state of row `whose[n]`."""
    assert case.batch is not None
    if not rows.size:
        return np.zeros(0, dtype=np.bool_)
    first = first_read(facts)[rows] if steps is None else steps
    alone = Batch(case.batch.inputs[rows, first][:, None], np.ones((rows.size, 1), dtype=np.bool_), None, True)
    ran = started(case, {key: (h[whose], None if c is None else c[whose]) for key, (h, c) in states.items()}).run(alone)
    track = ran.track(facts.track.layer, facts.track.direction)
    assert track is not None
    assert track.outputs is not None
    apart = np.abs(facts.outputs[rows, first].astype(np.float64) - track.outputs[:, 0])
    return np.asarray((apart <= tolerance(case)).all(1))


def started(case: Case, states: States) -> Case:
    """The case as one that starts from these states."""

    def begun(track: Track) -> Track:
        h, c = states.get((track.layer, track.direction), (None, None))
        return replace(track, initial=h, initial_cell=c)

    return case.with_tracks(begun)


def begun_elsewhere(states: States, whose: Ints) -> States:
    """`[B, H]` by layer and direction: the state of row `whose[b]` for row b, zeros where that is -1."""

    def picked(array: Array | None) -> Array | None:
        return None if array is None else np.where(whose[:, None] >= 0, array[np.maximum(whose, 0)], 0)

    starts: dict[tuple[int, Direction], tuple[Array, Array | None]] = {}
    for key, (h, c) in states.items():
        start = picked(h)
        assert start is not None
        starts[key] = start, picked(c)
    return starts


def describe_starts(rows: Ints, whose: Ints, most: int = 4) -> str:
    """Which row started from which: `rows` and `whose` are `[N]` each.

    >>> describe_starts(np.array([1, 2]), np.array([0, 1]))
    "row 1 from row 0's, row 2 from row 1's"
    """
    return ", ".join(_each(rows[:most], whose[:most])) + (f" and {rows.size - most} more" if rows.size > most else "")


def _each(rows: Ints, whose: Ints) -> Iterator[str]:
    return (f"row {row} from row {other}'s" for row, other in zip(rows.tolist(), whose.tolist(), strict=True))
