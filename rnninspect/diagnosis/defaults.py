"""What a framework does by default and nobody states: read off the numbers, taken, and said.

What is taken stands in the trace's `source`, by what it is about.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import DIRECTIONS, Trace
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import disagreement
from rnninspect.diagnosis.judge import Judgement
from rnninspect.diagnosis.unexplained import UNEXPLAINED
from rnninspect.measure.facts import TrackFacts

FAR = 0.02  # share of the largest state: what a cast or a second run moves is less


def with_defaults(case: Case) -> Case:
    """The case with the activation that its numbers show, where none was stated."""
    return _with_relu(case)


def with_direction_of_weights(case: Case) -> Case:
    """Read the case as forward, if it was taken for a backward layer only because that fits, and a run of its weights
    forward gives these outputs. Weights alone do not say in which direction their layer reads."""
    tracks, weights = case.trace.tracks, case.weights
    if weights is None or case.batch is None or "direction" not in case.trace.source or len(tracks) != 1:
        return case
    if tracks[0].direction != "backward" or weights.directions != ("forward",):
        return case
    source = {about: text for about, text in case.trace.source.items() if about != "direction"}
    track = replace(tracks[0], direction="forward", order="time")
    forward = case.with_trace(replace(case.trace, tracks=(track,), source=source))
    return case if disagreement(forward) else forward


def as_merged(case: Case, judgement: Judgement) -> Case | None:
    """The case with its outputs taken for two directions' sum, mean or product; None where another cause was found.

    That is so where nobody stated layers or directions, the state `[2L, B, H]` is as wide as the outputs, and every
    state of the top equals no output, nor comes near one, for no reason that is known.
    """
    raw, trace = case.raw("h"), case.trace
    was_stated = case.config.layers is not None or case.config.directions is not None or case.weights is not None
    if was_stated or raw is None or raw.ndim != 3 or trace.directions != 1 or trace.layers % 2:
        return None
    if [f.rule for f in judgement.findings if f.severity != "note"] != [UNEXPLAINED] or not all(
        map(_is_far, case.facts)
    ):
        return None
    pairs = [trace.tracks[i : i + 2] for i in range(0, len(trace.tracks), 2)]
    tracks = tuple(
        replace(track, layer=layer, direction=direction, outputs=None)
        for layer, pair in enumerate(pairs)
        for track, direction in zip(pair, DIRECTIONS, strict=True)
    )
    sentence = (
        "none was stated; the state holds two planes a layer and no output equals one of them: the outputs may be the "
        "sum (or mean, or product) of two directions, which cannot be taken apart"
    )
    return _noting(case, replace(trace, tracks=tracks), "direction", sentence)


def _is_far(facts: TrackFacts) -> bool:
    """Whether no state equals an output, and none is near one, beside the largest of them."""
    return not facts.equal.any() and bool((facts.distance > FAR * np.abs(facts.final).max(initial=0.0)).all())


def _with_relu(case: Case) -> Case:
    """A plain RNN whose outputs are never negative, run with relu, where that gives the dump's numbers and tanh does
    not. A state dict does not hold the activation."""
    weights = case.weights
    if weights is None or case.batch is None or weights.spec.cell != "rnn" or weights.spec.activation != "tanh":
        return case
    activation_stated = {"activation", "activations"} & set(case.config.attributes)
    if (
        activation_stated
        or not case.facts
        or not all(_is_never_negative(f) for f in case.facts)
        or disagreement(case) == 0
    ):
        return case
    relu = case.with_weights(replace(weights, spec=replace(weights.spec, activation="relu")))
    if disagreement(relu) > 0:
        return case
    return _noting(
        relu, relu.trace, "activation", "none was stated; the outputs are never negative, and relu gives them"
    )


def _is_never_negative(facts: TrackFacts) -> bool:
    real = np.asarray(facts.outputs[: facts.mask.shape[0]])[facts.mask]
    return bool((real >= 0).all() and (real > 0).any())


def _noting(case: Case, trace: Trace, about: str, sentence: str) -> Case:
    return case.with_trace(replace(trace, source={**trace.source, about: sentence}))
