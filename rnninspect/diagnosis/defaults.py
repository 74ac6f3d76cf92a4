"""What a framework does by default and nobody states: read off the numbers, taken, and said.

What is taken stands in the trace's `source`, by what it is about.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import DIRECTIONS, Array, Trace, Track
from rnninspect.core.wording import argument
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.far_from_outputs import is_far, is_untold, nothing_explains
from rnninspect.diagnosis.judge import Judgement
from rnninspect.diagnosis.supposed import with_proven_mask
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.merged import two_directions
from rnninspect.measure.one_or_two import one_or_two


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
    return forward if agrees(forward) else case


def as_merged(case: Case, judgement: Judgement) -> Case | None:
    """The case with its outputs taken for two directions' sum, mean or product; None where another cause was found.

    That is so where nobody stated otherwise, the state `[2L, B, H]` is as wide as the outputs, and every state of the
    top equals no output, nor comes near one, for no reason that is known.
    """
    listed = _listed_directions(case, judgement) or _listed_layers(case, judgement)
    if listed is not None:
        return listed
    planes = _planes(case)
    if planes is None or len(planes) % 2:
        return None
    if not nothing_explains(case, judgement) or not all(map(is_far, case.facts)):
        return None
    tracks = tuple(Track(i // 2, DIRECTIONS[i % 2], None, final, cell) for i, (final, cell) in enumerate(planes))
    sentence = (
        f"{'none was' if case.config.directions is None else 'two were'} stated; the state holds two planes a layer "
        "and no output equals one of them: the outputs may be the sum (or mean, or product) of two directions, which "
        "cannot be taken apart"
    )
    return _noting(case, replace(case.trace, tracks=tracks), "direction", sentence)


def _listed_directions(case: Case, judgement: Judgement) -> Case | None:
    """The case with its list of states as two directions', whose merged outputs nothing takes apart."""
    errors = [finding for finding in judgement.findings if finding.severity != "note"]
    open_ = all(is_untold(case, f) or (f.rule, f.certainty) == ("cell-hidden-swapped", "suspected") for f in errors)
    slots = two_directions(case.dump.slots, case.config) if errors and open_ and case.weights is None else None
    if slots is None or not all(map(is_far, case.facts)):
        return None
    if any(slot.role == "c" for slot in slots) and not all(is_untold(case, finding) for finding in errors):
        return None  # no sum exchanges h and c
    states = {(slot.direction, slot.role): slot.array for slot in slots if slot.role in ("h", "c")}
    tracks = tuple(Track(0, d, None, states[d, "h"], states.get((d, "c"))) for d in DIRECTIONS)
    sentence = (
        f"{'none was' if case.config.directions is None else 'two were'} stated; the list of states may be of two "
        "directions and the outputs their sum (or mean, or product), which cannot be taken apart: if so, state "
        f"{argument('merge_mode', 'sum')}, ave or mul"
    )
    return _noting(case, replace(case.trace, tracks=tracks), "direction", sentence)


def _listed_layers(case: Case, judgement: Judgement) -> Case | None:
    """The case with its list of states as those of several layers in two directions, all forward ones first, which
    Keras's Bidirectional returns of stacked cells, and outputs that merge both; None where that is not open."""
    config, tracks = case.config, case.trace.tracks
    half = len(tracks) // 2
    told = config.directions is not None or config.layers is not None or case.weights is not None
    if told or half < 2 or len(tracks) % 2 or case.trace.layers != len(tracks) or not all(map(is_far, case.facts)):
        return None
    if not nothing_explains(case, judgement) or case.raw("h") is not None:
        return None
    widths = [None if track.final is None else track.final.shape[1] for track in tracks]
    if None in widths or widths[:half] != widths[half:]:
        return None
    listed = tuple(Track(i % half, DIRECTIONS[i // half], None, t.final, t.cell) for i, t in enumerate(tracks))
    sentence = (
        f"none was stated; no output equals a state of the list, which may be of {half} layers in two directions, and "
        "the outputs their sum (or mean, or product), which cannot be taken apart: if so, state "
        f"{argument('merge_mode', 'sum')}, ave or mul"
    )
    return _noting(case, replace(case.trace, tracks=listed), "direction", sentence)


def as_joined(case: Case, judgement: Judgement) -> Case | None:
    """The case with one part of its state alone, where the others, which were read as lower layers', are pools of the
    outputs; None where nothing is off, nor a pool."""
    if all(finding.severity == "note" and finding.rule != "pooled-state" for finding in judgement.findings):
        return None
    from rnninspect.diagnosis.evidence.joined_pools import joined_pools

    trace = joined_pools(case)
    if trace is None:
        return None
    notes = tuple(note for note in case.reading.evidence.notes if not note.endswith("layers side by side"))
    reading = replace(case.reading, evidence=replace(case.reading.evidence, notes=notes))
    joined = case.with_reading(reading).with_trace(trace)
    unsure = one_or_two(joined.facts[0]) if case.config.directions is None and len(joined.facts) == 1 else None
    return joined if unsure is None else _noting(joined, joined.trace, *unsure)


def as_one_half(case: Case, judgement: Judgement) -> Case | None:
    """The case with its outputs taken for the forward half of two directions, where the two states would otherwise be
    layers in reverse order and nobody said that they are layers; None where they are told, or nothing is off.

    Both fit, and the layers' order is no cause that numbers could tell from it.
    """
    accused = {f.rule for f in judgement.findings} & {"layer-order-reversed", "cell-hidden-swapped"}
    if not accused:
        return None
    from rnninspect.diagnosis.evidence.one_half import as_forward_half, as_half_beside_pair, may_be_directions

    if "cell-hidden-swapped" in accused:
        return as_half_beside_pair(case)
    return as_forward_half(case) if may_be_directions(case) else None


def as_turned(case: Case, judgement: Judgement) -> Case | None:
    """The case read backwards, its outputs reversed as a whole, where it would otherwise be padded on the left and its
    framework, or one of those it may be of, has a layer that gives the same (Keras `go_backwards`); None else.

    That is so where the steps before the data are zeros, and neither inputs that begin in padding nor weights tell.
    """
    trace, config = case.trace, case.config
    accused = any(f.rule == "left-padded" and f.severity == "error" for f in judgement.findings)
    if not accused or config.directions is not None or config.keep_order is not None or trace.directions > 1:
        return None
    turns = case.convention.order(replace(config, go_backwards=True)) == "reversed"
    if not (turns or not case.reading.evidence.decided) or _inputs_tell(case):
        return None
    tracks = tuple(replace(t, direction="backward", order="reversed") for t in trace.tracks)
    turned = case.with_trace(replace(trace, tracks=tracks))
    if any(f.mismatched.any() or not f.zero[~f.mask].all() for f in turned.facts):
        return None
    sentence = (
        "none was stated; masked steps come first and every state is the last: it may read backwards (go_backwards), "
        "or the rows are padded on the left (left-padded)"
    )
    return _noting(turned, turned.trace, "direction", sentence)


def as_padded_by_other_axes(case: Case, judgement: Judgement) -> Case | None:
    """The case read along its other axes, of as many rows as steps, where nobody stated these or the lengths, and only
    so steps that are zero or repeat prove a mask under which every state is right; None else."""
    rows, steps = case.trace.mask.shape
    accused = any(f.severity == "error" for f in judgement.findings)
    if not accused or rows != steps or case.trace.knows_padding or case.config.axes_stated or case.weights is not None:
        return None
    for rival in case.choice.rivals:
        if rival.left_open and rival.time_major != case.reading.time_major:
            whose = replace(rival.evidence, conventions=case.reading.evidence.conventions)
            other = with_proven_mask(case.with_reading(replace(rival, evidence=whose, time_swapped=False)))
            if other.trace.knows_padding and not any(f.mismatched.any() for f in other.facts):
                return other
    return None


def _inputs_tell(case: Case) -> bool:
    """Whether weights run on the inputs, or inputs that begin with one vector over and over, as padding does, say which
    steps were read."""
    if case.batch is None or case.batch.inputs.shape[1] != case.trace.steps:
        return False
    leading = case.batch.inputs[np.arange(case.trace.steps) < case.trace.steps - case.trace.real_counts[:, None]]
    return case.weights is not None or bool((leading == leading[:1]).all())


def _planes(case: Case) -> list[tuple[Array | None, Array | None]] | None:
    """Each plane `[B, H]` of the states h and c of three axes, where planes may be directions, though they were not
    read so; None where nothing leaves that open."""
    raw, trace, config = case.raw("h"), case.trace, case.config
    if raw is None or raw.ndim != 3 or config.layers is not None or case.weights is not None:
        return None
    if config.directions is None and trace.directions == 1:
        return [(t.final, t.cell) for t in trace.tracks]
    side_by_side = case.reading.state_axes in ("L B (D H)", "B L (D H)") and config.merge_mode == "concat"
    if config.directions is None or not side_by_side:
        return None
    layers = [[t for t in trace.tracks if t.layer == layer] for layer in range(trace.layers)]
    return [(_joined(t.final for t in tracks), _joined(t.cell for t in tracks)) for tracks in layers]


def _joined(halves: Iterable[Array | None]) -> Array | None:
    """`[B, D*H]`: the directions of a layer side by side, as they came; None where one is missing."""
    arrays = [half for half in halves if half is not None]
    return np.concatenate(arrays, axis=1) if len(arrays) == len(DIRECTIONS) else None


def _with_relu(case: Case) -> Case:
    """A plain RNN whose outputs are never negative, run with relu, where that gives the dump's numbers and tanh does
    not. A state dict does not hold the activation."""
    weights = case.weights
    if weights is None or case.batch is None or weights.spec.cell != "rnn" or weights.spec.activation != "tanh":
        return case
    activation_stated = {"activation", "activations"} & set(case.config.attributes)
    if activation_stated or not case.facts or not all(_is_never_negative(f) for f in case.facts) or agrees(case):
        return case
    relu = case.with_weights(replace(weights, spec=replace(weights.spec, activation="relu")))
    if not agrees(relu):
        return case
    return _noting(
        relu, relu.trace, "activation", "none was stated; the outputs are never negative, and relu gives them"
    )


def _is_never_negative(facts: TrackFacts) -> bool:
    real = np.asarray(facts.outputs[: facts.mask.shape[0]])[facts.mask]
    return bool((real >= 0).all() and (real > 0).any())


def _noting(case: Case, trace: Trace, about: str, sentence: str) -> Case:
    return case.with_trace(replace(trace, source={**trace.source, about: sentence}))


# Readings in which what was found is no mistake, or another one; the first that is open is taken.
OTHERWISE = (as_merged, as_one_half, as_turned, as_joined, as_padded_by_other_axes)
