"""A state beside a run that it did not come out of: how far the two may be apart, and which step it is then of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Trace, Track
from rnninspect.core.weights import Weights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import AGREE
from rnninspect.measure.decimals import decimals
from rnninspect.measure.difference import precision
from rnninspect.measure.nearest import near_steps

MOST_SOUGHT = 64  # rows that equal no step of their own and are looked for in others


def allowed_rounding(case: Case, weights: Weights) -> float:
    """How far two right runs may be apart: by the state's and the weights' precision, and what printing rounded off."""
    states = [t.final for t in case.trace.tracks if t.final is not None and t.final.size]
    outputs = [t.outputs for t in case.trace.tracks if t.outputs is not None and t.outputs.size]
    kinds = {precision(array) for array in (*states, weights.layers[0].input_kernel) if np.any(array)}
    scale = max((float(np.abs(array[np.isfinite(array)]).max(initial=0.0)) for array in outputs), default=1.0)
    digits = [places for array in states if (places := decimals(array)) is not None]
    printed = max((0.6 * 10.0**-places for places in digits), default=0.0)
    if case.batch is not None and (places := decimals(case.batch.inputs)) is not None:
        printed += 4 * 10.0**-places
    return max((AGREE[kind] for kind in kinds), default=AGREE["float32"]) * scale + printed


def snapped(trace: Trace, track: Track, allowed: float) -> Track:
    """The track with its state set to the step of the run that it is as near to as rounding allows: the expected one,
    else another of its own row, else one of any row. A c that equals h goes with it."""
    if track.outputs is None or track.final is None or track.outputs.shape[2] != track.final.shape[1]:
        return track
    final = np.array(track.final, dtype=np.result_type(track.outputs, track.final))
    near = near_steps(track.outputs, track.final, np.arange(len(final)), 0.0, allowed)
    expected = np.maximum(trace.expected_steps(track), 0)
    for row in np.flatnonzero(near.any(1)):
        step = expected[row] if near[row, expected[row]] else near[row].argmax()
        final[row] = track.outputs[row, step]
    for row in np.flatnonzero(~near.any(1) & np.any(track.final != 0, axis=1))[:MOST_SOUGHT]:
        gap = np.abs(track.outputs.astype(np.float64) - track.final[row].astype(np.float64)).max(-1)
        if gap.min() <= allowed:
            final[row] = track.outputs[np.unravel_index(gap.argmin(), gap.shape)]
    cell = track.cell
    if cell is not None and np.array_equal(cell, track.final):
        cell = final
    return replace(track, final=final, cell=cell)
