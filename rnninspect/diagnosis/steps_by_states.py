"""Steps that were left out, or a restart, beside outputs that are not what the layer gave: the final states tell them.

Outputs that were dropped, overwritten or exchanged for c show no step that was masked and none that started anew. Their
states are the layer's own still: each row that is off is run without one of its steps, and from each of them on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from rnninspect.core.batch import Batch
from rnninspect.core.finding import Severity
from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Bools, Direction, Ints, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.agreement import without_start
from rnninspect.diagnosis.evidence.restarts import can_run_steps
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.diagnosis.rule import Place, Proposal, Rule, listed

HOLE = "mask-hole"
RESTART = "restarted-within-row"
TELLING = 4  # numbers of states that must agree at least
FAR = 32  # times by which two right runs may differ: nearer states may come near a run without a step by chance
NOTHING = "the outputs tell nothing, since another mistake is in them"
MOST = 1 << 22  # numbers of inputs in all runs together: larger batches are not asked


@frozen(eq=False)
class _Tries:
    """The rows that were run again, a step of each `[N]`, and which steps were real then, `[N, T]`."""

    rows: Ints
    steps: Ints
    real: Bools


def steps_by_states(case: Case, rules: Mapping[str, Rule], named: frozenset[str]) -> list[Proposal]:
    """The mistake, a hole in the mask or a restart, with which a run ends in every final state that a run of all steps
    does not end in; none that is `named`."""
    if case.weights is None or case.batch is None or case.other is not None:
        return []
    off = _off(case)
    rows = np.flatnonzero(np.logical_or.reduce(list(off.values()))) if off else np.array([], dtype=np.int64)
    if not rows.size or _too_many(case, rows) or any(t.order != "time" for t in case.trace.tracks):
        return []
    numbers = [np.count_nonzero(t.final[off[t.layer, t.direction]]) for t in case.trace.tracks if t.final is not None]
    if sum(numbers) < TELLING:
        return []
    if HOLE in rules.keys() - named and (steps := _whole(case, rows, _without_one(case, rows))) is not None:
        return [_hole(rows, steps)]
    if RESTART in rules.keys() - named and can_run_steps(case):
        return list(_restarts(case, off))
    return []


def _too_many(case: Case, rows: Ints) -> bool:
    assert case.batch is not None
    steps = case.trace.steps
    return int(rows.size * steps * steps * case.batch.inputs.shape[2]) > MOST


def _off(case: Case) -> dict[tuple[int, Direction], Bools]:
    """By layer and direction, `[B]`: rows with a real step that a run does not end in; empty where the states of a row
    are off by so little that they may come near a run without a step by chance."""
    limit, off = tolerance(case), dict[tuple[int, Direction], Bools]()
    plainly = np.zeros(case.trace.batch_size, dtype=np.bool_)
    for track in case.trace.tracks:
        ran = case.reference.track(track.layer, track.direction)
        if track.final is not None:
            if ran is None or ran.final is None or ran.final.shape != track.final.shape:
                return {}
            off[track.layer, track.direction] = case.trace.mask.any(1) & _far(track.final, ran.final, limit)
            plainly |= _far(track.final, ran.final, FAR * limit)
    return {} if any((rows & ~plainly).any() for rows in off.values()) else off


def _far(one: Array, other: Array, limit: float) -> Bools:
    return np.asarray(~(np.abs(one.astype(np.float64) - other) <= limit).all(-1))


def _without_one(case: Case, rows: Ints) -> _Tries:
    """Each row without one of its steps between the first and the last."""
    tries = []
    for row in rows.tolist():
        for step in np.flatnonzero(case.trace.mask[row])[1:-1].tolist():
            real = case.trace.mask[row].copy()
            real[step] = False
            tries.append((row, step, real))
    return _tries(case, tries)


def _from_each(case: Case, rows: Ints, direction: Direction) -> _Tries:
    """Each row from each of its steps on, but the one read first, in the order in which this direction reads."""
    tries = []
    for row in rows.tolist():
        steps = np.flatnonzero(case.trace.mask[row])
        along = np.arange(case.trace.steps)
        for step in (steps[:-1] if direction == "backward" else steps[1:]).tolist():
            left = along <= step if direction == "backward" else along >= step
            tries.append((row, step, case.trace.mask[row] & left))
    return _tries(case, tries)


def _tries(case: Case, tries: list[tuple[int, int, Bools]]) -> _Tries:
    real = np.array([t[2] for t in tries], dtype=np.bool_).reshape(len(tries), case.trace.steps)
    return _Tries(np.array([t[0] for t in tries], np.int64), np.array([t[1] for t in tries], np.int64), real)


def _whole(case: Case, rows: Ints, tries: _Tries, direction: Direction | None = None) -> Ints | None:
    """`[N]`: for each of `rows` the step of the last try that ends in its states, of one direction or of all; None
    where a row has none."""
    assert case.batch is not None
    if not tries.rows.size:
        return None

    def begun(track: Track) -> Track:
        if direction is not None:
            return without_start(track)
        h, c = (None if a is None else a[tries.rows] for a in (track.initial, track.initial_cell))
        return replace(track, initial=h, initial_cell=c)

    inputs = case.batch.inputs[tries.rows, : case.trace.steps]
    ran = case.with_tracks(begun).run(Batch(inputs, tries.real, None, True))
    limit, good = tolerance(case), np.ones(tries.rows.size, dtype=np.bool_)
    for track in case.trace.tracks:
        made = ran.track(track.layer, track.direction)
        if track.final is None or direction not in (None, track.direction):
            continue
        assert made is not None
        assert made.final is not None
        good &= ~_far(track.final[tries.rows], made.final, limit)
    told = dict(zip(tries.rows[good].tolist(), tries.steps[good].tolist(), strict=True))
    return np.array([told[row] for row in rows.tolist()]) if set(rows.tolist()) <= set(told) else None


def _hole(rows: Ints, steps: Ints) -> Proposal:
    places: frozenset[Place] = frozenset((0, "forward", int(b)) for b in rows)
    left_out = sorted(set(steps.tolist()))
    return Proposal(
        HOLE,
        f"{{rows}}: a run with these weights ends in final_state.h only where step {listed(left_out)}, inside the row, "
        f"is left out: a real step was masked; {NOTHING}",
        places,
        kind="fact",
        steps=tuple(left_out[:64]),
    )


def _restarts(case: Case, off: Mapping[tuple[int, Direction], Bools]) -> Iterator[Proposal]:
    """One for each direction whose states are off, where all of these are explained."""
    told: list[Proposal] = []
    for direction in dict.fromkeys(d for _, d in off):
        there = [rows for (_, d), rows in off.items() if d == direction]
        rows = np.flatnonzero(np.logical_or.reduce(there))
        if not rows.size:
            continue
        steps = _whole(case, rows, _from_each(case, rows, direction), direction)
        if steps is None:
            return
        told.append(_restart(case, direction, rows, steps))
    yield from told


def _restart(case: Case, direction: Direction, rows: Ints, steps: Ints) -> Proposal:
    """Every row's last step alone, or a later one, is what its state follows from."""
    last = [np.flatnonzero(case.trace.mask[b])[0 if direction == "backward" else -1] for b in rows]
    every = np.array_equal(steps, last) and int((case.trace.real_counts > 1).sum()) == rows.size
    which = "its last step alone, from zeros: the state is never carried over"
    some = f"from zeros at step {listed(sorted(set(steps.tolist())))} on: the state was reset there"
    severity: Severity = "error" if every else "note"
    return Proposal(
        RESTART,
        f"{{rows}}: a run with these weights ends in final_state.h only where it reads {which if every else some}; "
        f"{NOTHING}",
        frozenset((layer, direction, int(b)) for layer in range(case.trace.layers) for b in rows),
        severity=severity,
        kind="fact",
        evidence={"restarts": np.stack([rows, steps], 1).tolist()[:64], "start": "zeros"},
    )
