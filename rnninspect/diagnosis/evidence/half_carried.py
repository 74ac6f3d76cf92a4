"""Loops that pass h and c on from step to step otherwise than as they are: one of them as the row began with it, the
one in place of the other, or one as both.

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
from rnninspect.diagnosis.evidence.weight_search import (
    agrees,
    disagreement,
    fixed,
    fixes_difference,
    largest,
    tolerance,
)
from rnninspect.diagnosis.once import once
from rnninspect.engine import cells

# Which of h and c no step passes on; or that the two are passed in each other's place, or one as both.
Passed = Literal["no c", "no h", "exchanged", "h twice", "c twice"]
PASSED: tuple[Passed, ...] = ("no c", "no h", "exchanged", "h twice", "c twice")
Key = tuple[int, Direction]
GLANCE = 2  # steps that tell most cases: the second one begins with what the first one left


@frozen
class HalfCarried:
    """How the states are passed on, and how far the dump is from a run before and after that is known."""

    passed: Passed
    before: float
    after: float


@once
def half_carried(case: Case) -> HalfCarried | None:
    """How steps pass on h and c, where runs of single steps then give every real step of the dump; None where they are
    passed as they are, or a change of the weights explains the dump."""
    if case.batch is None or case.weights is None or not cells.get(case.weights.spec.cell).has_c:
        return None
    if case.trace.directions != 1 or any(t.order != "time" for t in case.trace.tracks) or case.trace.steps < 2:
        return None
    if agrees(case) or fixed(case) is not None:
        return None
    limit, trials = tolerance(case), [small(case, GLANCE), small(case)]
    if _begins_otherwise(small(case, 1), limit):
        return None
    for passed in PASSED if _are_alike(trials[0]) else PASSED[:2]:
        if any(largest(few, _run(few, passed)) > limit for few in trials):
            continue
        before, after = disagreement(case), largest(case, _run(case, passed))
        if fixes_difference(case, before, after):
            return HalfCarried(passed, before, after)
    return None


def _begins_otherwise(first: Case, limit: float) -> bool:
    """Whether a first step is off that begins with zeros, which are zeros however they are passed on."""
    with_zeros = all(t.initial is None and t.initial_cell is None for t in first.trace.tracks)
    return with_zeros and first.trace.steps == 1 and largest(first, first.reference) > limit


def _are_alike(case: Case) -> bool:
    """Whether h and c are of one width, so that one can stand for the other."""
    ran = case.reference.tracks
    return all(t.final is not None and t.cell is not None and t.final.shape == t.cell.shape for t in ran)


def _run(case: Case, passed: Passed) -> Trace:
    """What a loop gives that passes its states on so, those that the rows began with too."""
    starts = {(t.layer, t.direction): _start(t) for t in case.reference.tracks}
    states = {key: _handed_on(start, start, passed) for key, start in starts.items()}
    made: dict[Key, Array] = {(t.layer, t.direction): np.zeros_like(t.outputs) for t in case.reference.tracks}
    steps = range(case.trace.steps)
    for step in steps if case.trace.tracks[0].direction == "forward" else reversed(steps):
        for track in _step(case, states, step).tracks:
            key = track.layer, track.direction
            assert track.outputs is not None
            made[key][:, step] = track.outputs[:, 0]
            states[key] = _after(track, states[key], starts[key], passed, case.trace.mask[:, step])
    return replace(
        case.reference, tracks=tuple(replace(t, outputs=made[t.layer, t.direction]) for t in case.reference.tracks)
    )


def _start(track: Track) -> tuple[Array, Array]:
    """h `[B, P]` and c `[B, C]` that the rows of a run's track begin with."""
    assert track.final is not None
    assert track.cell is not None
    h, c = track.initial, track.initial_cell
    return np.zeros_like(track.final) if h is None else h, np.zeros_like(track.cell) if c is None else c


def _step(case: Case, states: Mapping[Key, tuple[Array, Array]], step: int) -> Trace:
    """One step of every row, from these states."""
    assert case.batch is not None
    real = np.ones((case.trace.batch_size, 1), dtype=np.bool_)
    tracks = tuple(Track(*key, None, None, None, h, c) for key, (h, c) in states.items())
    alone = replace(case.trace, mask=real, lengths=None, mask_given=True, tracks=tracks)
    return case.with_trace(alone).run(Batch(case.batch.inputs[:, step : step + 1], real, None, True))


def _after(
    track: Track, before: tuple[Array, Array], start: tuple[Array, Array], passed: Passed, real: Bools
) -> tuple[Array, Array]:
    """h and c that the next step begins with: as before in rows whose step is masked."""
    assert track.final is not None
    assert track.cell is not None
    after = _handed_on((track.final, track.cell), start, passed)
    return np.where(real[:, None], after[0], before[0]), np.where(real[:, None], after[1], before[1])


def _handed_on(states: tuple[Array, Array], start: tuple[Array, Array], passed: Passed) -> tuple[Array, Array]:
    """What the next step is given for h and c, behind these states of the step before."""
    h, c = states
    ways = {
        "no c": (h, start[1]),
        "no h": (start[0], c),
        "exchanged": (c, h),
        "h twice": (h, h),
        "c twice": (c, c),
    }
    return ways[passed]
