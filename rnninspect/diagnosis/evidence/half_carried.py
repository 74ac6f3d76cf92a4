"""Loops that carry one of h and c from step to step, and begin every step with the other as the row began with it.

Every step is run by itself from the states that such a loop would have kept. A constant on the gates' biases imitates
it: a forget gate that is shut by its bias keeps nothing of c either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from rnninspect.core.batch import Batch
from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Bools, Direction, Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.small_cases import small
from rnninspect.diagnosis.evidence.weight_search import disagreement, fixed, fixes_difference, largest, tolerance
from rnninspect.diagnosis.once import once
from rnninspect.engine import cells

State = Literal["h", "c"]
Key = tuple[int, Direction]
GLANCE = 2  # steps that tell most cases: the second one begins with what the first one left


@frozen
class HalfCarried:
    """The state that is never carried on, and how far the dump is from a run before and after that is known."""

    lost: State
    before: float
    after: float


@once
def half_carried(case: Case) -> HalfCarried | None:
    """The one of h and c that no step passes on, where runs of single steps then give every real step of the dump; None
    where none is, or a change of the weights explains the dump."""
    if case.batch is None or case.weights is None or not cells.get(case.weights.spec.cell).has_c:
        return None
    if case.trace.directions != 1 or any(t.order != "time" for t in case.trace.tracks) or case.trace.steps < 2:
        return None
    if disagreement(case) == 0 or fixed(case) is not None:
        return None
    limit, trials = tolerance(case), [small(case, GLANCE), small(case)]
    for lost in ("c", "h"):
        if any(largest(few, _run(few, lost)) > limit for few in trials):
            continue
        before, after = disagreement(case), largest(case, _run(case, lost))
        if fixes_difference(case, before, after):
            return HalfCarried(lost, before, after)
    return None


def _run(case: Case, lost: State) -> Trace:
    """What a loop gives that carries on all states but this one."""
    starts = {(t.layer, t.direction): _start(case, t) for t in case.reference.tracks}
    states = dict(starts)
    made: dict[Key, Array] = {(t.layer, t.direction): np.zeros_like(t.outputs) for t in case.reference.tracks}
    steps = range(case.trace.steps)
    for step in steps if case.trace.tracks[0].direction == "forward" else reversed(steps):
        for track in _step(case, states, step).tracks:
            key = track.layer, track.direction
            assert track.outputs is not None
            made[key][:, step] = track.outputs[:, 0]
            states[key] = _after(track, states[key], starts[key], lost, case.trace.mask[:, step])
    return replace(
        case.reference, tracks=tuple(replace(t, outputs=made[t.layer, t.direction]) for t in case.reference.tracks)
    )


def _start(case: Case, track: Track) -> tuple[Array, Array]:
    """h `[B, P]` and c `[B, C]` that the rows of a track begin with."""
    recorded = case.trace.track(track.layer, track.direction) or track
    assert track.final is not None
    assert track.cell is not None
    h, c = recorded.initial, recorded.initial_cell
    return np.zeros_like(track.final) if h is None else h, np.zeros_like(track.cell) if c is None else c


def _step(case: Case, states: Mapping[Key, tuple[Array, Array]], step: int) -> Trace:
    """One step of every row, from these states."""
    assert case.batch is not None
    real = np.ones((case.trace.batch_size, 1), dtype=np.bool_)
    tracks = tuple(Track(*key, None, None, None, h, c) for key, (h, c) in states.items())
    alone = replace(case.trace, mask=real, lengths=None, mask_given=True, tracks=tracks)
    return case.with_trace(alone).run(Batch(case.batch.inputs[:, step : step + 1], real, None, True))


def _after(
    track: Track, before: tuple[Array, Array], start: tuple[Array, Array], lost: State, real: Bools
) -> tuple[Array, Array]:
    """h and c that the next step begins with: as before in rows whose step is masked."""
    assert track.final is not None
    assert track.cell is not None
    after = (start[0] if lost == "h" else track.final), (start[1] if lost == "c" else track.cell)
    return np.where(real[:, None], after[0], before[0]), np.where(real[:, None], after[1], before[1])
