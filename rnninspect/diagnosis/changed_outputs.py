"""Outputs that something changed behind the layer, beside states in which a run of the weights ends: these are right.

A ReLU, a scale, an L2 norm or a sum with the layer below (a residual connection; Wu et al. 2016, section 3.1) leaves no
output that equals a state, and the outputs of a lower layer end in its own states alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.diagnosis.judge import Judgement
from rnninspect.diagnosis.unexplained import UNEXPLAINED, UNEXPLAINED_DIFFERENCE
from rnninspect.diagnosis.verdict import UNLIKE
from rnninspect.measure.difference import state_differences

DOUBTED = {UNEXPLAINED, UNEXPLAINED_DIFFERENCE, "layer-order-reversed"}
BESIDE = {"state-from-another-run"}  # what is only suspected beside one of these
ROOM = 4  # times what two right runs' outputs may differ by: c is larger
SAME_SIGN = 0.99  # share of numbers that a ReLU, a scale or a norm leaves on their side of zero


def as_changed_outputs(case: Case, judgement: Judgement) -> Case | None:
    """The case without its outputs where a run of the weights ends in every state, which is accused for being none of
    them; None else. Where nothing tells how the outputs came of that run, that is left open."""
    accused = {finding.rule for finding in judgement.findings if finding.severity != "note"}
    if not accused & DOUBTED or not accused <= DOUBTED | BESIDE or not _ends_in_every_state(case):
        return None
    changed = [track for track in case.trace.tracks if track.outputs is not None]
    if not changed or any(_mostly_of_the_run(case, track) for track in changed):
        return None
    how = next((text for text, outputs in _ways(case) if _is_so(case, changed, outputs)), None)
    source = dict(case.trace.source)
    if how is None and all(_keeps_signs(case, track) for track in changed):
        how = "what the layer gave, changed behind it: on the same side of zero, and of another size"
    if how is None:
        source[UNLIKE] = (
            "a run of the weights ends in every final state, and no output is of that run: they were changed behind "
            "the layer, or are of another run"
        )
    else:
        source["the outputs"] = f"{how}; a run of the weights ends in every final state"
    tracks = tuple(replace(track, outputs=None) for track in case.trace.tracks)
    return case.with_trace(replace(case.trace, tracks=tracks, source=source))


def _mostly_of_the_run(case: Case, track: Track) -> bool:
    """Whether most real steps are the run's, of which a few others were changed: a mistake that is not behind it."""
    ran = case.reference.track(track.layer, track.direction)
    outputs = np.asarray(track.outputs)
    if ran is None or ran.outputs is None or ran.outputs.shape != outputs.shape:
        return False
    gap = np.abs(outputs.astype(np.float64) - ran.outputs).max(-1)[case.trace.stored_mask(track)]
    return bool(gap.size and (gap <= ROOM * tolerance(case)).mean() > 0.5)


def _ends_in_every_state(case: Case) -> bool:
    """Whether there are states, and a run of the weights ends in all of them, c too."""
    if case.batch is None or case.weights is None or case.other is not None:
        return False
    held = [t for t in case.trace.tracks if t.final is not None]
    ran = {(t.layer, t.direction): t for t in case.reference.tracks}
    if not held or any((t.layer, t.direction) not in ran for t in held) or not any(np.any(t.final) for t in held):
        return False
    if any(_shape(t) != _shape(ran[t.layer, t.direction]) for t in held):
        return False
    room = ROOM * tolerance(case)
    return all(bool((d.difference <= room).all()) for d in state_differences(case.trace, case.reference))


def _shape(track: Track) -> tuple[int, ...] | None:
    return None if track.final is None else track.final.shape


def _ways(case: Case) -> Iterator[tuple[str, list[Array]]]:
    """What outputs may be of the run, and the arrays: each layer's, and the sums of a layer's and those below it."""
    directions = {t.direction for t in case.reference.tracks}
    for direction in directions:
        by_layer = [t.outputs for t in case.reference.tracks if t.direction == direction and t.outputs is not None]
        for layer, outputs in enumerate(by_layer):
            yield f"those of layer {layer}, of {len(by_layer)}", [outputs]
        for below in range(len(by_layer) - 1):
            if len({outputs.shape for outputs in by_layer[below:]}) == 1:
                added = np.sum(by_layer[below:], axis=0)
                yield f"the sum of the layers {below} to {len(by_layer) - 1}, a residual connection", [added]


def _is_so(case: Case, changed: list[Track], arrays: list[Array]) -> bool:
    """Whether these are the outputs at every real step."""
    if len(changed) != len(arrays):
        return False
    room = ROOM * tolerance(case)
    for track, array in zip(changed, arrays, strict=True):
        outputs = np.asarray(track.outputs)
        if outputs.shape[2] != array.shape[2]:
            return False
        real = case.trace.stored_mask(track)
        steps = min(outputs.shape[1], array.shape[1])
        gap = np.abs(outputs[:, :steps].astype(np.float64) - array[:, :steps])[real[:, :steps]]
        if not gap.size or not gap.max() <= room:
            return False
    return True


def _keeps_signs(case: Case, track: Track) -> bool:
    """Whether the outputs of real steps are zero, or on the same side of zero as the run's, and not all zero."""
    ran = case.reference.track(track.layer, track.direction)
    outputs = np.asarray(track.outputs)
    if ran is None or ran.outputs is None or ran.outputs.shape != outputs.shape:
        return False
    real = case.trace.stored_mask(track)
    one, other = outputs[real].astype(np.float64), ran.outputs[real].astype(np.float64)
    told = one != 0
    return bool(told.sum() > 0.25 * told.size and (one * other >= 0)[told].mean() >= SAME_SIGN)
