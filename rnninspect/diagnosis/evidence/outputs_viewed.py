"""Outputs that are a view of those of the other axes: steps stacked as [T, B, H], and reshaped to [B, T, H]."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.once import once


@once
def outputs_viewed_back(case: Case) -> Case | None:
    """The case with its outputs viewed as they lay before, where every state is then right; None else, and where a run
    of the weights gives other outputs than these. Without weights an index of the other axes gives the same numbers."""
    if case.trace.batch_size == 1 or case.trace.steps == 1 or not any(f.mismatched.any() for f in case.facts):
        return None
    if any(t.outputs is not None and t.order != "time" for t in case.trace.tracks):
        return None
    viewed = case.with_tracks(lambda track: _viewed_back(track, case.reading.time_major))
    right = all(not f.mismatched.any() and (~f.uninformative).sum() > 1 for f in viewed.facts)
    weighed = case.has("inputs") and case.has("weights")
    return viewed if viewed.facts and right and (not weighed or agrees(viewed)) else None


def _viewed_back(track: Track, time_major: bool) -> Track:
    return track if track.outputs is None else replace(track, outputs=_turned(track.outputs, time_major))


def _turned(outputs: Array, time_major: bool) -> Array:
    """`[B, T, H]` outputs as they were before their stored axes were exchanged by a reshape."""
    rows, steps, units = outputs.shape
    if time_major:
        return np.asarray(outputs.swapaxes(0, 1).reshape(rows, steps, units))
    return np.asarray(outputs.reshape(steps, rows, units).swapaxes(0, 1))
