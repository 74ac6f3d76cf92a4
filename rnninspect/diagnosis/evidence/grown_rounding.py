"""Rounding that grows from step to step: with large weights two right runs part, as any two that round otherwise do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Ints
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.small_cases import cut_to
from rnninspect.diagnosis.evidence.weight_changes import as_float64
from rnninspect.measure.difference import TrackDifference, differences

APART = (
    16  # times as far as a run in float64 is from one in float32: any two of these grow alike, from chance beginnings
)
FEW = 4  # rows that are run first, those that are farthest from the run
LITTLE = 0.05  # of the largest number: of a stack in two directions, whose first steps carry the lower layer's last


def is_grown_rounding(case: Case, per_track: list[TrackDifference], limit: float) -> bool:
    """Whether a dump leaves a run of its weights at no step by more than that run has left one in float64 by then.

    `per_track`: the dump beside the run, `limit`: how far two right runs may be apart. Weights that are wrong show
    where rows begin, before anything could grow.
    """
    if case.batch is None or case.weights is None or not all(_may_be(case, d, limit) for d in per_track):
        return False
    worst = np.argsort(-np.max([np.where(d.real, d.difference, 0.0).max(1) for d in per_track], axis=0), kind="stable")
    few = [worst[:FEW]] if worst.size > 4 * FEW else []  # which tell most dumps that are no such run's
    return all(_is_within(case, per_track, limit, rows) for rows in (*few, np.sort(worst)))


def _is_within(case: Case, per_track: list[TrackDifference], limit: float, rows: Ints) -> bool:
    """Whether these rows `[N]` leave the run no farther than it has left one in float64."""
    assert case.weights is not None
    narrow = case.with_trace(case.reference)
    narrow = narrow if rows.size == narrow.trace.batch_size else cut_to(narrow, rows, narrow.trace.steps)
    assert narrow.batch is not None
    layers = tuple(as_float64(layer) for layer in case.weights.layers)
    batch = replace(narrow.batch, inputs=narrow.batch.inputs.astype(np.float64))
    wide = narrow.with_weights(replace(case.weights, layers=layers)).run(batch)
    grown = {(d.track.layer, d.track.direction): d for d in differences(narrow.trace, wide)}
    for d in per_track:
        real, difference = d.real[rows], d.difference[rows]
        widened = grown.get((d.track.layer, d.track.direction))
        if widened is None or widened.difference.shape[1] < difference.shape[1]:
            return False
        room = limit + APART * _so_far(widened, _is_mixed(case))[:, : difference.shape[1]]
        if (real & (difference > room)).any():
            return False
    return True


def _may_be(case: Case, d: TrackDifference, limit: float) -> bool:
    """Whether the difference is none where rows begin, or little where these carry others' ends."""
    if d.nonfinite[d.real].any():
        return False
    if _is_mixed(case):
        return d.largest <= LITTLE * d.scale
    first = np.where(_reads_leftward(d), d.real.shape[1] - 1 - d.real[:, ::-1].argmax(1), d.real.argmax(1))
    begins = np.take_along_axis(d.difference, first[:, None], 1)[:, 0]
    return not (begins[d.real.any(1)] > limit).any()


def _is_mixed(case: Case) -> bool:
    """Whether a step carries steps that are read after it: of a layer above one in two directions."""
    return case.weights is not None and case.weights.depth > 1 and case.trace.directions > 1


def _so_far(widened: TrackDifference, mixed: bool) -> Array:
    """`[B, T]`: the largest difference up to each step, in the order read; of the whole row, where mixed."""
    gaps = np.where(widened.real, widened.difference, 0.0)
    if mixed:
        return np.broadcast_to(gaps.max(1, keepdims=True, initial=0.0), gaps.shape)
    if _reads_leftward(widened):
        return np.maximum.accumulate(gaps[:, ::-1], axis=1)[:, ::-1]
    return np.maximum.accumulate(gaps, axis=1)


def _reads_leftward(d: TrackDifference) -> bool:
    return d.track.direction == "backward" and d.track.order == "time"
