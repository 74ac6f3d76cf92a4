"""A reading of what nobody stated, axes or direction, that a run of the weights confirms where the first one fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnninspect import conventions
from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.readings import readings
from rnninspect.core.evidence import Reading
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import TimeOrder
from rnninspect.diagnosis.build_case import batch_of
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.mask_by_run import is_of_its_run, is_right, with_mask_by_run
from rnninspect.measure.choose_reading import choose_reading
from rnninspect.measure.directions import NO_ORDER

ORDERS: tuple[TimeOrder, ...] = ("time", "within", "reversed")
BACKWARDS = "none was stated; a run of the weights that reads backwards gives these outputs and states"


def with_reading_by_run(case: Case) -> Case:
    """The case as a run of its weights confirms it: its mask where none is known, its axes and direction where nobody
    stated them.

    Another reading than the chosen one is taken only where a run gives every number of it and not of the chosen one.
    """
    case = _ordered_by_run(_turned_as_read(case), case.config)
    settled = with_mask_by_run(case)
    if case.other is not None or not (case.facts and case.has("inputs") and case.has("weights")):
        return settled
    if is_of_its_run(settled):
        return settled
    right = next(filter(is_right, map(with_mask_by_run, _others(case))), None)
    if right is not None or agrees(case):
        return right or settled
    outputs_alone = (_ordered_by_run(other, case.config) for other in _backwards(case))
    read_so = next((other for other in outputs_alone if agrees(other)), None)
    return read_so or _with_inputs_turned(case) or _with_inputs_one_later(case) or settled


def with_axes_by_run(case: Case) -> Case:
    """The case along the axes that were stated, or that the layer itself has, where as many rows as steps let the
    states choose the others, and a run of the weights gives the outputs along these alone: the states are wrong then.
    """
    time_major = case.config.time_major if case.reading.time_swapped else case.layer.time_first
    if time_major is None or (case.config.axes_stated and not case.reading.time_swapped):
        return case
    trace, evidence = case.trace, case.reading.evidence
    square = trace.batch_size == trace.steps > 1 and not trace.mask_given
    if case.reading.time_major == time_major or not square or not (case.has("inputs") and case.has("weights")):
        return case
    direction = "bidirectional" if trace.directions == 2 else case.config.direction
    config = replace(case.config, time_major=time_major, axes_stated=True, layers=trace.layers, direction=direction)
    fitting = readings(case.convention, case.dump.slots, config, evidence.framework_stated, evidence.decided)
    shape = trace.layers, trace.directions
    fitting = [r for r in fitting if r.time_major == time_major and (r.trace.layers, r.trace.directions) == shape]
    if not fitting or agrees(case):
        return case
    other = along(case, choose_reading(fitting, case.tolerance).reading)
    source = {**other.trace.source, "the axes": "a run of the weights gives the outputs along these alone"}
    other = other.with_trace(replace(other.trace, source=source), other.facts)
    return other if agrees(other) else case


def _others(case: Case) -> Iterator[Case]:
    """The case with other axes, of the inputs alone too, with the other direction, and with both."""
    batch, trace = case.batch, case.trace
    are_stated = case.config.axes_stated or case.reading.evidence.decided  # which framework has which is known
    if batch is not None and trace.batch_size == trace.steps == batch.inputs.shape[1] and not are_stated:
        sentence = "they are read along the other axes than the outputs; a run of the weights gives these only so"
        noted = replace(trace, source={**trace.source, "the inputs": sentence})
        turned = case.with_trace(noted, case.facts)
        yield replace(turned, batch=replace(batch, inputs=np.ascontiguousarray(batch.inputs.swapaxes(0, 1))))
    fitting = [rival for rival in case.choice.rivals if rival.left_open and _fits_weights(case, rival)]
    rivals = [along(case, rival) for rival in fitting]
    yield from rivals
    for other in (case, *rivals):
        yield from _backwards(other)


def _fits_weights(case: Case, rival: Reading) -> bool:
    """Whether a reading has the layers, directions and units of the weights, so that a run can be held against it."""
    assert case.weights is not None
    units = {(w.layer, w.direction): w.units for w in case.weights.layers}
    recorded = [(t.outputs, units.get((t.layer, t.direction))) for t in rival.trace.tracks]
    return all(n is not None and (outputs is None or outputs.shape[2] == n) for outputs, n in recorded)


def along(case: Case, rival: Reading, told: str = "a run of the weights gives its numbers") -> Case:
    """The case in a rival's reading, which something `told`, its inputs along the same axes."""
    evidence = replace(rival.evidence, because=(*rival.evidence.because, told))
    other = case.with_reading(replace(rival, evidence=evidence, time_swapped=False))  # nobody stated other axes
    config = replace(case.config, time_major=rival.time_major)
    return replace(other, layer=replace(other.layer, config=config), batch=batch_of(case.dump.slots, rival))


def _backwards(case: Case) -> Iterator[Case]:
    """The case with its one direction read backwards, in every order of its outputs that its framework has, the one
    that the weights are of or, where it is undecided, one of the likeliest."""
    trace, weights = case.trace, case.weights
    if case.config.directions is not None or trace.directions > 1 or weights is None or len(weights.directions) > 1:
        return
    reverse = replace(case.config, direction="reverse")
    configs = [reverse, replace(reverse, keep_order=True), replace(case.config, go_backwards=True)]
    likely = [] if case.reading.evidence.decided else [belief.name for belief in case.reading.evidence.conventions]
    likely += [weights.convention] if weights.convention else []
    ways: dict[TimeOrder, tuple[Convention, LayerConfig]] = {}
    for convention in (case.convention, *map(conventions.get, likely)):
        for config in configs:
            ways.setdefault(convention.order(config), (convention, config))
    for order, (convention, config) in ways.items():
        tracks = tuple(replace(track, direction="backward", order=order) for track in trace.tracks)
        source = {**trace.source, "direction": BACKWARDS}
        turned = _turned(replace(case, layer=replace(case.layer, convention=convention)), config)
        yield turned.with_trace(replace(trace, tracks=tracks, source=source, padding=convention.padding_for(config)))


def _with_inputs_turned(case: Case) -> Case | None:
    """The case read backwards, its outputs in time, where a run gives these turned round within each length: the inputs
    were reversed by hand, and the outputs left so (`backward-not-flipped`). None where a direction was stated."""
    trace, weights = case.trace, case.weights
    told = case.config.directions is not None or weights is None or weights.directions != ("forward",)
    if told or trace.mask_given or any(t.direction != "forward" or t.order != "time" for t in trace.tracks):
        return None
    turned = _turned(case, replace(case.config, direction="reverse"))
    if not agrees(_backward_in(turned, "within")):
        return None
    source = {**trace.source, "direction": "none was stated; a run of the weights over the reversed inputs tells it"}
    in_time = _backward_in(turned, "time")
    return in_time.with_trace(replace(in_time.trace, source=source))


def _backward_in(case: Case, order: TimeOrder) -> Case:
    return case.with_tracks(lambda track: replace(track, direction="backward", order=order))


def _with_inputs_one_later(case: Case) -> Case | None:
    """The case with its inputs one step later and zeros at the first, as a decoder reads them, where a run of these
    gives the outputs; None else."""
    batch = case.batch
    if batch is None or case.trace.directions > 1 or any(t.direction != "forward" for t in case.trace.tracks):
        return None
    later = np.concatenate([np.zeros_like(batch.inputs[:, :1]), batch.inputs[:, :-1]], axis=1)
    sentence = (
        "they are read one step later, with zeros at the first, as a run of the weights gives the outputs only so"
    )
    noted = case.with_trace(replace(case.trace, source={**case.trace.source, "the inputs": sentence}), case.facts)
    moved = replace(noted, batch=replace(batch, inputs=later))
    return moved if agrees(moved) else None


def _turned_as_read(case: Case) -> Case:
    """The case with weights that nobody gave a direction in the one that its numbers show."""
    read = {track.direction for track in case.trace.tracks}
    if case.config.directions is not None or case.weights is None or read != {"backward"}:
        return case
    if case.weights.directions != ("forward",):
        return case
    kept = replace(case.config, direction="reverse", keep_order=True)
    order = case.trace.tracks[0].order
    turned_round = replace(case.config, go_backwards=True)
    return _turned(case, kept if case.convention.order(kept) == order else turned_round)


def _ordered_by_run(case: Case, said_of_it: LayerConfig) -> Case:
    """The case with the outputs of its one backward track in the order in which a run of the weights gives them, where
    nobody stated the order: one that its framework leaves them in, or any where it was taken from the states alone."""
    trace = case.trace
    if said_of_it.keep_order is not None or said_of_it.go_backwards or case.batch is None or case.weights is None:
        return case
    if trace.directions > 1 or {t.direction for t in trace.tracks} != {"backward"} or agrees(case):
        return case
    source = {**trace.source, "direction": "a run of the weights that reads backwards gives these outputs"}
    for order in ORDERS if NO_ORDER in trace.source.get("direction", "") else _orders_of(case):
        tracks = tuple(replace(track, order=order) for track in trace.tracks)
        other = case.with_trace(replace(trace, tracks=tracks, source=source))
        if agrees(other):
            return other
    return case


def _orders_of(case: Case) -> list[TimeOrder]:
    """The orders in which the framework that the outputs are known to be of leaves those of a backward layer."""
    if not case.reading.evidence.decided:
        return []
    reverse = replace(case.config, direction="reverse", keep_order=None)
    configs = [reverse, replace(reverse, keep_order=True), replace(reverse, go_backwards=True)]
    return list(dict.fromkeys(case.convention.order(config) for config in configs))


def _turned(case: Case, config: LayerConfig) -> Case:
    """The case with the weights of a layer that reads backwards."""
    assert case.weights is not None
    layers = tuple(replace(layer, direction="backward") for layer in case.weights.layers)
    return case.with_weights(replace(case.weights, layers=layers), config)
