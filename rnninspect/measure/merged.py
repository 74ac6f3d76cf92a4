"""Outputs that hold both directions merged into one array, their sum or alike: told by the states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Reading, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Trace, last_true

MOST_ROWS = 64  # rows that are looked at
EITHER, BOTH = 0.9, 0.75  # how far a state may be from where its direction ends, as a share of how far from elsewhere


def merging(config: LayerConfig) -> LayerConfig:
    """The same layer, its two directions merged into one array: their sum, or alike."""
    return replace(config, merge_mode="sum", direction="bidirectional")


def may_be_merged(slots: tuple[Slot, ...], config: LayerConfig) -> bool:
    """Whether two directions are stated, or named by the states, and the outputs are no wider than a state of one."""
    outputs = [slot.array.shape[-1] for slot in slots if slot.role == "outputs" and slot.array.ndim]
    states = {slot.array.shape[-1] for slot in slots if slot.role == "h" and slot.array.ndim}
    two = len(config.directions or {slot.direction for slot in slots if slot.role == "h" and slot.direction}) == 2
    return two and config.merge_mode == "concat" and len(outputs) == 1 and states == set(outputs)


def as_merged(reading: Reading) -> Reading:
    """Mark the reading as one of outputs that hold both directions merged, which only a run can separate."""
    because = "there are two, and the outputs are as wide as one: they may be the sum of both directions, or alike"
    return replace(reading, trace=replace(reading.trace, source={**reading.trace.source, "direction": because}))


def merged_reading(candidates: Sequence[Reading], outputs: Array, two_stated: bool) -> Reading | None:
    """Of readings that take the outputs `[B, T, H]` as two directions merged, the first whose states say so;
    `two_stated`: somebody said that there are two."""
    for reading in candidates:
        trace = reading.trace
        top = [t.final for t in trace.tracks if t.layer == trace.layers - 1 and t.final is not None]
        by_row = outputs.swapaxes(0, 1) if reading.time_major else outputs
        fits = len(top) == 2 and by_row.ndim == 3 and all(s.shape[1] == by_row.shape[2] for s in top)
        if fits and not reading.time_swapped and are_merged(by_row, top[0], top[1], trace):
            told = (
                "each state is nearest to where its direction ends: the outputs are a sum of both directions, or alike"
            )
            evidence = replace(reading.evidence, because=(*reading.evidence.because, told))
            source = {**trace.source, "direction": f"{'two were' if two_stated else 'none was'} stated; {told}"}
            return replace(reading, trace=replace(trace, source=source), evidence=evidence)
    return None


def are_merged(outputs: Array, forward: Array, backward: Array, trace: Trace) -> bool:
    """Whether the states of two directions, `[B, H]`, lie near to where their direction ends in `outputs` `[B, T, H]`,
    and equal no step: at the last real step the backward direction has only begun, and the forward one at the first.
    """
    rows = np.flatnonzero(trace.real_counts > 1)[:MOST_ROWS]
    if rows.size < 2:
        return False
    steps, real = np.asarray(outputs[rows], dtype=np.float64), trace.mask[rows]
    shares = []
    for state, ends in ((forward, last_true(real)), (backward, real.argmax(1))):
        apart = np.where(real, np.abs(steps - np.asarray(state[rows], dtype=np.float64)[:, None]).sum(-1), 0.0)
        end = np.take_along_axis(apart, ends[:, None], 1)[:, 0]
        others = (apart.sum(1) - end) / (real.sum(1) - 1)
        if not (apart[real] > 0).all() or not (others > 0).all():
            return False
        shares.append(float((end / others).mean()))
    return max(shares) < EITHER and sum(shares) / 2 < BOTH
