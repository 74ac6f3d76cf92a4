"""Steps that start anew: every step is run on its own, and rows are put together again from what starts there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from rnninspect.core.batch import Batch
from rnninspect.core.trace import Array, Bools, Ints, Track
from rnninspect.diagnosis.case import Case, States
from rnninspect.diagnosis.evidence.agreement import Key, only_rows
from rnninspect.diagnosis.evidence.starts import MOST, first_read, follows
from rnninspect.diagnosis.evidence.weight_search import compared, tolerance
from rnninspect.measure.facts import TrackFacts

# A track of these rows `[N]` of the whole case as one that starts where the steps in question do.
Begin = Callable[[Track, Ints], Track]
FEW = 4  # rows whose first differing step is looked at before all steps are


def can_run_steps(case: Case) -> bool:
    """Whether a step can be run on its own: a stack of two directions needs the whole row below it."""
    return case.trace.layers == 1 or case.trace.directions == 1


def steps_alone(case: Case, begin: Begin, picked: Ints | None = None) -> Mapping[Key, tuple[Array, Array | None]]:
    """By layer and direction: what every step gives on its own, outputs `[B, T, H]`, c `[B, T, C]` or None. `picked`:
    the rows `[B]` of the whole case that these are; all of them, by default."""
    assert case.batch is not None
    rows, steps = case.trace.mask.shape
    inputs = case.batch.inputs[:, :steps].reshape(rows * steps, 1, -1)

    def repeated(array: Array | None) -> Array | None:
        return None if array is None else np.repeat(array, steps, axis=0)

    def begun(track: Track) -> Track:
        track = begin(track, np.arange(rows) if picked is None else picked)
        return replace(track, initial=repeated(track.initial), initial_cell=repeated(track.initial_cell))

    ran = case.with_tracks(begun).run(Batch(inputs, np.ones((rows * steps, 1), dtype=np.bool_), None, True))
    alone: dict[Key, tuple[Array, Array | None]] = {}
    for track in ran.tracks:
        assert track.outputs is not None
        cells = None if track.cell is None else track.cell.reshape(rows, steps, -1)
        alone[track.layer, track.direction] = track.outputs.reshape(rows, steps, -1), cells
    return alone


def restarts(case: Case, facts: TrackFacts, begin: Begin) -> tuple[Bools, Bools] | None:
    """`[B, T]`: the steps inside a row that start anew; `[B]`: the rows that are then given from first step to last.

    None where the first differing steps of a few rows do not start so, or where no row is given in full.
    """
    limit = tolerance(case)
    key = facts.track.layer, facts.track.direction
    differs = differing(case, facts)
    few = np.flatnonzero(differs.any(1))[:FEW]
    if not few.size:
        return None
    alone = steps_alone(only_rows(case, few), begin, few)[key][0]
    first = _first(differs[few], facts)
    if not _close(alone, facts.outputs[few], limit)[np.arange(few.size), first].any():
        return None
    anew = differs & _close(steps_alone(case, begin)[key][0], facts.outputs, limit)
    rows = anew.any(1) & _given(case, facts, anew, begin)
    return (anew & rows[:, None], rows) if rows.any() else None


def differing(case: Case, facts: TrackFacts) -> Bools:
    """`[B, T]`: real steps after the first that are not a run's."""
    key = facts.track.layer, facts.track.direction
    difference = next(d for d in compared(case, case.reference) if (d.track.layer, d.track.direction) == key)
    differs = np.zeros(facts.mask.shape, dtype=np.bool_)
    differs[:, : difference.real.shape[1]] = difference.real & (difference.difference > tolerance(case))
    differs[np.arange(len(differs)), first_read(facts)] = False
    return differs


def restarted_from(case: Case, facts: TrackFacts, states: States) -> Ints:
    """`[B]`: the row of `states` from which each row's first differing step follows; -1 where none, or none is looked
    at: of a large batch only the first few are."""
    differs = differing(case, facts)
    whose = np.full(len(differs), -1, dtype=np.int64)
    count = len(next(iter(states.values()))[0])
    rows = np.flatnonzero(differs.any(1))[: max(1, MOST // max(1, count))]
    if rows.size:
        steps = np.repeat(_first(differs[rows], facts), count)
        origins = np.tile(np.arange(count), rows.size)
        hits = follows(case, facts, np.repeat(rows, count), origins, states, steps).reshape(rows.size, count)
        whose[rows] = np.where(hits.any(1), hits.argmax(1), -1)
    return whose


def _first(steps: Bools, facts: TrackFacts) -> Ints:
    """`[N]`: the first of these steps in the order read."""
    backward = facts.track.direction == "backward"
    return np.asarray(steps.shape[1] - 1 - steps[:, ::-1].argmax(1) if backward else steps.argmax(1))


def _close(made: Array, outputs: Array, limit: float) -> Bools:
    """`[B, T]`: steps that are given within the limit in every unit."""
    return np.asarray((np.abs(made.astype(np.float64) - outputs) <= limit).all(-1))


def _given(case: Case, facts: TrackFacts, anew: Bools, begin: Begin) -> Bools:
    """`[B]`: rows that are given where each piece from one restart to the next is run as a row of its own."""
    assert case.batch is not None
    pieces = [piece for row in np.flatnonzero(anew.any(1)).tolist() for piece in _pieces(facts, anew, row)]
    rows_given = np.zeros(len(anew), dtype=np.bool_)
    if not pieces:
        return rows_given
    width = max(stop - start for _, start, stop, _ in pieces)
    inputs = np.zeros((len(pieces), width, case.batch.inputs.shape[2]), dtype=case.batch.inputs.dtype)
    real = np.zeros((len(pieces), width), dtype=np.bool_)
    for n, (row, start, stop, _) in enumerate(pieces):
        inputs[n, : stop - start] = case.batch.inputs[row, start:stop]
        real[n, : stop - start] = facts.mask[row, start:stop]
    rows, opening = np.array([p[0] for p in pieces]), np.array([p[3] for p in pieces])[:, None]

    def begun(track: Track) -> Track:
        other = begin(track, np.arange(len(anew)))
        return replace(
            track,
            initial=_either(track.initial, other.initial, rows, opening),
            initial_cell=_either(track.initial_cell, other.initial_cell, rows, opening),
        )

    ran = case.with_tracks(begun).run(Batch(inputs, real, None, True))
    made = ran.track(facts.track.layer, facts.track.direction)
    assert made is not None
    assert made.outputs is not None
    rows_given[rows] = True
    limit = tolerance(case)
    for n, (row, start, stop, _) in enumerate(pieces):
        there = real[n, : stop - start]
        close = _close(made.outputs[n : n + 1, : stop - start], facts.outputs[row : row + 1, start:stop], limit)
        rows_given[row] &= bool(close[0][there].all())
    return rows_given


def _either(opening_state: Array | None, other: Array | None, rows: Ints, opening: Bools) -> Array | None:
    """`[N, H]`: a row's own initial state for its opening piece, the other one for those after it; None for zeros."""
    if opening_state is None and other is None:
        return None
    shape = (opening_state if opening_state is not None else other)[rows]  # type: ignore[index]
    return np.where(
        opening,
        np.zeros_like(shape) if opening_state is None else opening_state[rows],
        np.zeros_like(shape) if other is None else other[rows],
    )


def _pieces(facts: TrackFacts, anew: Bools, row: int) -> Iterator[tuple[int, int, int, bool]]:
    """(row, start, stop, whether it is read first) of every piece of a row, cut where it starts anew."""
    real = np.flatnonzero(facts.mask[row])
    cuts = np.flatnonzero(anew[row])
    backward = facts.track.direction == "backward"
    edges = [int(real[0]), *((cuts + 1 if backward else cuts).tolist()), int(real[-1]) + 1]
    for i, (start, stop) in enumerate(pairwise(edges)):
        if stop > start:
            yield row, start, stop, i == (len(edges) - 2 if backward else 0)
