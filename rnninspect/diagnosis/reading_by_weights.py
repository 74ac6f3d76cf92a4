"""Layers and directions that nobody stated, read off the weights: a dump that holds one state may be of several layers.

Arrays alone do not tell `h_n[-1]` of three layers from the state of one, nor two directions side by side from one that
is twice as wide.
"""

from __future__ import annotations

from dataclasses import replace

from rnninspect.conventions.dumps.batch import with_what_weights_say
from rnninspect.conventions.dumps.readings import readings
from rnninspect.core.evidence import Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.weights import Weights
from rnninspect.diagnosis.build_case import batch_of
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.reading_by_run import along
from rnninspect.errors import ShapeError
from rnninspect.measure.choose_reading import choose_reading
from rnninspect.measure.merged import are_told_by_states

TOLD = "the weights have {} layer(s) of {} direction(s)"


def with_tracks_of_weights(case: Case) -> Case:
    """The case with as many layers and directions as its weights, where fewer were read and nobody stated them; or with
    that half of its outputs which they give, where two directions were read, and they have one.

    The outputs are then the top layer's. The case as it is where a run of the lowest layer gives them, where they are
    as wide as one of two directions, and where the arrays cannot be read so.
    """
    weights, kept = case.weights, case.reading.state_rows
    if weights is not None and len(weights.directions) == 1 and are_told_by_states(case.trace):
        case = _of_one_direction(case, weights)
    if weights is None or case.batch is None or (kept is not None and kept.slots):
        return case
    if case.config.layers is None and case.trace.layers > weights.depth:
        case = _of_as_many_layers(case, weights)
    if case.trace.layers > 1 and (case.trace.directions >= len(weights.directions) or _has_widths(case, weights)):
        return case
    if case.trace.directions > len(weights.directions):
        return _one_half(case, weights) or case
    config = _as_weights(case, weights)
    if config == case.config or (_has_widths(case, weights) and agrees(case)):
        return case
    return _read_again(case, weights, config)


def _of_one_direction(case: Case, weights: Weights) -> Case:
    """The case of a stack of one direction, whose states were taken for those of two that its outputs hold merged."""
    config = with_what_weights_say(replace(case.config, direction=None, merge_mode="concat"), weights)
    again = _read_again(case, weights, config)
    return case if again is case else again.with_weights(weights, config)


def _of_as_many_layers(case: Case, weights: Weights) -> Case:
    """The case in a rival's reading that has as many layers as the weights: of one row, or one step, rows may as well
    be layers. The case itself where there is none."""
    rival = next((r for r in case.choice.rivals if r.trace.layers == weights.depth), None)
    return case if rival is None else along(case, rival, TOLD.format(weights.depth, len(weights.directions)))


def _one_half(case: Case, weights: Weights) -> Case | None:
    """The case of that half of its outputs which a run of the one direction's weights gives, the other being no output
    of this layer (a context beside it); None where neither is, or two directions were stated."""
    if case.config.directions is not None or case.weights is None or case.weights.depth > 1:
        return None
    states = [track for track in case.trace.tracks if track.final is not None]
    for number, half in enumerate(case.trace.tracks):
        state = half if half.final is not None else next(iter(states), half)
        track = replace(half, direction=weights.directions[0], final=state.final, cell=state.cell)
        sentence = (
            f"{'the second' if number else 'the first'} half of the units is what a run of the weights gives; the "
            "other is no output of this layer"
        )
        trace = replace(case.trace, tracks=(track,), source={**case.trace.source, "the outputs": sentence})
        alone = case.with_trace(trace)
        if _has_widths(alone, weights) and agrees(alone):
            return alone
    return None


def _as_weights(case: Case, weights: Weights) -> LayerConfig:
    """What is stated, and the layers and directions of the weights where nothing is stated of them."""
    config, width = case.config, _width(case) * case.trace.directions
    if config.layers is None and weights.depth > 1:
        config = replace(config, layers=weights.depth)
    if len(weights.directions) == 2 and config.directions is None and width == 2 * weights.layers[-1].units:
        config = replace(config, direction="bidirectional")
    return config


def _read_again(case: Case, weights: Weights, config: LayerConfig) -> Case:
    """The case under another statement, its axes as they were; itself where the arrays, or their widths, do not fit."""
    slots = tuple(map(_of_one_layer, case.dump.slots))
    evidence = case.reading.evidence
    try:
        fitting = readings(case.convention, slots, config, evidence.framework_stated, evidence.decided)
    except ShapeError:
        return case
    fitting = [r for r in fitting if r.time_major == case.reading.time_major and r.trace.steps == case.trace.steps]
    if not fitting:
        return case
    choice = choose_reading(fitting, case.tolerance)
    told = TOLD.format(weights.depth, len(weights.directions))
    evidence = replace(case.reading.evidence, because=(*case.reading.evidence.because, told))
    swapped, kept = case.reading.time_swapped, case.reading.state_rows
    reading = replace(choice.reading, evidence=evidence, time_swapped=swapped, state_rows=kept)
    again = replace(case.with_reading(reading, choice.measured), batch=batch_of(case.dump.slots, reading))
    return again if _has_widths(again, weights) else case


def _of_one_layer(slot: Slot) -> Slot:
    """A state `[1, B, H]`, which `h_n[-1:]` is, as `[B, H]`: a stack of layers would need all of them."""
    alone = slot.role in ("h", "c") and slot.array.ndim == 3 and slot.array.shape[0] == 1
    return replace(slot, array=slot.array[0]) if alone else slot


def _width(case: Case) -> int:
    return max((t.outputs.shape[2] for t in case.trace.tracks if t.outputs is not None), default=0)


def _has_widths(case: Case, weights: Weights) -> bool:
    """Whether the outputs of every track are as wide as the weights of its layer and direction."""
    units = {(w.layer, w.direction): w.units for w in weights.layers}
    recorded = [t for t in case.trace.tracks if t.outputs is not None]
    return all(t.outputs is not None and t.outputs.shape[2] == units.get((t.layer, t.direction)) for t in recorded)
