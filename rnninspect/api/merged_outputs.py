"""Outputs that hold both directions merged into one: which merge it is, and whether the states fit, a run decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Literal

import numpy as np

from rnninspect.api.rounding import allowed_rounding, snapped
from rnninspect.api.state_alone import Run, StateAlone, runs, runs_of_changed_weights
from rnninspect.conventions.dumps.batch import with_what_weights_say
from rnninspect.core.evidence import UNKNOWN, Belief, Role, Slot
from rnninspect.core.trace import Array, Trace, Track
from rnninspect.core.weights import Weights
from rnninspect.diagnosis.case import Case
from rnninspect.errors import ShapeError
from rnninspect.measure.matching import gather
from rnninspect.measure.merged import two_directions

Merge = Literal["sum", "ave", "mul"]
MERGES: dict[Merge, str] = {"sum": "sum", "ave": "mean", "mul": "product"}


def with_merged_outputs(case: Case) -> Case:
    """The case with both directions' outputs as a run of the weights gives them, where what was recorded is their sum,
    mean or product, which its trace's `source` says.

    The case as it is where its outputs are not one direction wide beside weights of two, or inputs or weights are
    missing; without its weights where no run gives these outputs and as one direction they do not fit, so that nothing
    is decided by them.
    """
    outputs = _of_one_width(case)
    if outputs is None or case.weights is None:
        return case
    for weights in _stacks(case.weights):
        alone = _without_outputs(case, weights)
        try:
            for run in chain(runs(alone), runs_of_changed_weights(alone)):
                merge = _merge_of(run, outputs, weights)
                if merge is not None:
                    return _settled(case, run, merge)
        except ShapeError:  # the state is no state of such a layer
            return case
    fits = any(facts.equal.any() for facts in case.facts)  # read as one direction
    return case if fits else case.with_weights(None)


def _of_one_width(case: Case) -> Array | None:
    """The recorded outputs `[B, T, H]`, where they are one array as wide as one of the weights' two directions."""
    outputs = case.raw("outputs")
    if outputs is None or outputs.ndim != 3 or case.batch is None or case.weights is None:
        return None
    if len(case.weights.directions) != 2 or outputs.shape[2] != case.weights.layers[-1].units:
        return None
    return outputs.swapaxes(0, 1) if case.reading.time_major else outputs


def _stacks(weights: Weights) -> Iterator[Weights]:
    """The weights, with every merge that the layers above the first can read by their width."""
    above = [layer for layer in weights.layers if layer.layer > 0]
    if not above or above[0].features != weights.layers[0].units or weights.between == "apart":
        yield weights
        return
    for merge in MERGES:
        yield replace(weights, between=merge)


def _without_outputs(case: Case, weights: Weights) -> StateAlone:
    """What there is without the outputs: the state, and what is run."""
    every = two_directions(case.dump.slots, case.config) or case.dump.slots
    slots = tuple(_of_one_state(slot) for slot in every if slot.role != "outputs")
    batch: dict[Role, Slot] = {slot.role: slot for slot in slots if slot.role in ("inputs", "lengths", "mask")}
    config = replace(case.config, merge_mode="concat", time_major=case.reading.time_major, axes_stated=True)
    return StateAlone(
        {},
        slots,
        batch,
        tuple(slot for slot in slots if slot.role not in batch),
        with_what_weights_say(replace(config, direction="bidirectional"), weights),
        case.convention,
        Belief(case.convention.name),
        weights,
        UNKNOWN,
        case.tolerance,
    )


def _of_one_state(slot: Slot) -> Slot:
    """A state `[1, B, H]` of two directions' weights as `[B, H]`: it is one, and merged if it is of both."""
    alone = slot.role in ("h", "c") and slot.array.ndim == 3 and slot.array.shape[0] == 1
    return replace(slot, array=slot.array[0]) if alone else slot


def _merge_of(run: Run, outputs: Array, weights: Weights) -> Merge | None:
    """How the two directions of a run make the outputs `[B, T, H]` over real steps; None where they do not."""
    trace = run.case.trace
    top = [track.outputs for track in trace.tracks if track.layer == trace.layers - 1]
    if len(top) != 2 or top[0] is None or top[1] is None or top[0].shape != outputs.shape:
        return None
    real = trace.mask
    forward, backward = (array[real].astype(np.float64) for array in top if array is not None)
    recorded, allowed = outputs[real].astype(np.float64), 2 * allowed_rounding(run.case, weights)
    merged = {"sum": forward + backward, "ave": (forward + backward) / 2, "mul": forward * backward}
    return next((name for name in MERGES if np.abs(merged[name] - recorded).max(initial=0.0) <= allowed), None)


def _settled(case: Case, run: Run, merge: Merge) -> Case:
    """The case of the run, as what was recorded: its arrays, its evidence, and the weights that it came with."""
    sentence = (
        f"they hold the {MERGES[merge]} of both directions; those of a run of the weights ({run.what}), whose "
        f"{MERGES[merge]} they are, are taken apart instead"
    )
    evidence = replace(case.reading.evidence, because=tuple(dict.fromkeys(run.case.reading.evidence.because)))
    trace = replace(run.case.trace, source={**run.case.trace.source, "outputs": sentence})
    apart = _with_states_apart(trace, case, run, merge)
    reading = replace(run.case.reading, trace=apart, evidence=evidence)
    facts = run.case.facts if apart is trace else None
    settled = run.case.with_reading(reading, facts).with_weights(case.weights)
    return replace(settled, dump=case.dump, other=case.other, other_batch=case.other_batch, chunk=case.chunk)


def _with_states_apart(trace: Trace, case: Case, run: Run, merge: Merge) -> Trace:
    """The trace with one state `[B, H]`, merged as the outputs are, taken apart: the forward half is the run's own, and
    what is left of it the backward one's. Itself where there are states of both, or of the lower layers."""
    top = [track for track in trace.tracks if track.layer == trace.layers - 1]
    states = [track.final for track in trace.tracks if track.final is not None]
    if len(states) != 1 or merge == "mul" or case.weights is None or any(track.outputs is None for track in top):
        return trace
    rows = np.arange(trace.batch_size)
    forward, backward = (gather(np.asarray(t.outputs), rows, np.maximum(trace.expected_steps(t), 0)) for t in top)
    allowed = 2 * allowed_rounding(run.case, case.weights)
    for half, end in zip(top, (forward, backward), strict=True):
        if np.abs(states[0].astype(np.float64) - end).max(initial=0.0) <= allowed:
            return _of_one_direction(trace, half, states[0], allowed)
    whole = states[0].astype(np.float64) * (2 if merge == "ave" else 1)
    halves = (forward, (whole - forward).astype(forward.dtype))
    split = {
        track.direction: snapped(trace, replace(track, final=half, cell=None), allowed)
        for track, half in zip(top, halves, strict=True)
    }
    source = {**trace.source, "state": f"it is the {MERGES[merge]} of both directions as well, and taken apart so"}
    return replace(
        trace,
        tracks=tuple(split[t.direction] if t.layer == trace.layers - 1 else t for t in trace.tracks),
        source=source,
    )


def _of_one_direction(trace: Trace, half: Track, state: Array, allowed: float) -> Trace:
    """The trace with its one state as that direction's of the top layer, and without the other direction there."""
    taken = snapped(trace, replace(half, final=state), allowed)
    tracks = tuple(
        taken if track is half else replace(track, outputs=None, final=None, cell=None)
        for track in trace.tracks
        if track is half or track.layer == half.layer or track.final is not None
    )
    source = {**trace.source, "state": f"it is that of the {half.direction} direction alone"}
    return replace(trace, tracks=tracks, source=source)
