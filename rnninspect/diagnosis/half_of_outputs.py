"""Outputs of which one half alone is the layer's, where nobody stated directions and there are no weights: a context
beside them, or another layer's outputs. Two directions side by side have the same shape."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from rnninspect.core.trace import DIRECTIONS, Array, Bools, Trace, Track
from rnninspect.core.wording import argument
from rnninspect.diagnosis.case import Case
from rnninspect.measure.directions import MOST_ROWS
from rnninspect.measure.facts import measure, of_other_rows
from rnninspect.measure.matching import gather, take_rows
from rnninspect.measure.one_or_two import is_beside_its_c

Backward = Literal["no", "yes", "open"]
# How many standard errors, over rows and units, the second half ends smaller than it begins where it is read backwards,
# and larger where it is read forward. Measured on packed layers: of 5 rows, 7 steps and 4 units 1 in 4 are told, of 16
# rows, 12 steps and 16 units all of two directions; wrongly none of LSTM and GRU (of plain RNN, which begins large, 1
# in 100).
SURELY = 3.0
ENOUGH = 24  # numbers between the bounds of the other half from which on that is no chance


def with_half_of_outputs(case: Case) -> Case:
    """The case of the half, or of each half as a layer, whose last real steps the states are, where two directions were
    read and the second half is not plainly read backwards; the case itself else.

    Where the numbers leave open which it is, that is said, and nothing is clean.
    """
    trace = case.trace
    told = case.config.directions is not None or _has_axis_of_directions(case)
    told = told or case.weights is not None or case.reading.state_rows is not None
    if told or trace.directions != 2 or any(t.order != "time" or t.initial is not None for t in trace.tracks):
        return case
    halves = [t for t in trace.tracks if t.outputs is not None]
    if len(halves) != 2 or halves[0].layer != halves[1].layer:
        return case
    states = [t for t in halves if t.final is not None]
    if len(states) == 1:
        return _one_half(case, halves, states[0])
    return _two_layers(case, halves) if len(states) == 2 and (trace.layers == 1 or _holds_layers(case)) else case


def _has_axis_of_directions(case: Case) -> bool:
    """Whether the outputs have directions on an axis of their own, as the stated framework has them; two layers
    that somebody stacked have the same shape."""
    own_axes = case.convention.four_axes or ()
    return case.reading.evidence.framework_stated and case.reading.outputs_axes in own_axes


def _holds_layers(case: Case) -> bool:
    """Whether the state `[L, B, H]` has a plane for each of the layers that were stated: one direction each, then."""
    stacked = case.raw("h")
    planes = 0 if stacked is None or stacked.ndim != 3 else len(stacked)
    return planes > 1 and planes == case.config.layers == case.trace.layers


def _one_half(case: Case, halves: list[Track], state: Track) -> Case:
    number, raw = halves.index(state), case.raw("h")
    if state.direction == "forward" and raw is not None and raw.ndim == 3:
        return case  # every layer's forward state, which is no mistake
    tracks = tuple(replace(t, direction=DIRECTIONS[0]) for t in case.trace.tracks if t.direction == state.direction)
    if state.direction == "backward" and not _ends_forward(case, state):
        return case
    backward = _is_backward(case.trace, halves)
    if backward == "yes":
        return case
    which = ("first", "second")[number]
    return _read_so(case, tracks, backward, f"the final state is of the {which} half of the units")


def _two_layers(case: Case, halves: list[Track]) -> Case:
    stacked = case.raw("h")
    if stacked is None or stacked.ndim != 3 or not all(_ends_forward(case, half) for half in halves):
        return case  # states of directions, or one vector of both, as `outputs[:, -1]` is
    if _is_backward(case.trace, halves) == "yes":
        return case
    tracks = tuple(replace(half, layer=layer, direction=DIRECTIONS[0]) for layer, half in enumerate(halves))
    # A backward half that stands in the order in which it was read looks as a layer's does that reads forward.
    return _read_so(case, tracks, "open", "each half of the units is a layer's, read forward")


def _read_so(case: Case, tracks: tuple[Track, ...], backward: Backward, sentence: str) -> Case:
    """The case of these tracks, with a sentence on what they are, or on what is open about them."""
    source = {**case.trace.source, "the outputs": f"{sentence}; two directions side by side would not look so"}
    if backward == "open":
        source = {
            **case.trace.source,
            "direction": f"none was stated; {sentence}, or two directions lie side by side, one of them "
            f"{'missing' if len(tracks) == 1 else 'never flipped back'} or at the wrong end: state "
            f"{argument('bidirectional', True)} if they do",
        }
    reading = case.reading
    return case.with_reading(
        replace(
            reading,
            trace=replace(case.trace, tracks=tracks, source=source),
            outputs_axes=reading.outputs_axes.replace("(D H)", "H, of one half" if len(tracks) == 1 else "(L H)"),
            state_axes=reading.state_axes.partition(",")[0].replace("(L D)", "L"),
        )
    )


def _ends_forward(case: Case, state: Track) -> bool:
    """Whether states equal steps of their half, and not its first ones; or its last real ones in another order of the
    rows."""
    forward = replace(state, direction=DIRECTIONS[0])
    facts = measure(case.trace, forward, case.tolerance.rtol, case.tolerance.atol)
    if facts is None:
        return False
    rows = (facts.real_counts > 1) & ~facts.uniform & ~facts.final_zero
    if (facts.equal[:, 0] & rows).any():
        return False
    return bool((facts.equal.any(1) & rows).any()) or bool(of_other_rows(case.trace, forward))


def _is_backward(trace: Trace, halves: list[Track]) -> Backward:
    """Whether the second half of the units is read backwards, as far as its numbers tell.

    It is not where a half stays between the bounds of the other, as a weighted mean of its steps does, or is one vector
    a row; nor where the second half begins small at the first real step, as a layer does that starts from zeros, or has
    c of its sign behind all units of the state. It is where it begins small at the last one.
    """
    rows = np.flatnonzero(trace.real_counts > 1)[:MOST_ROWS]
    first, second = (take_rows(half.outputs, rows) for half in halves if half.outputs is not None)
    mask = trace.mask[rows] & ((first != 0).any(-1) | (second != 0).any(-1))  # zeros are padding, lengths or none
    several = mask.sum(1) > 1
    first, second, mask = first[several], second[several], mask[several]
    if not mask.size:
        return "open"
    if _between(second, first, mask) or _between(first, second, mask):
        return "no"
    if _is_constant(second, mask) or _is_constant(first, mask) or is_beside_its_c(halves[1]):
        return "no"
    at = mask.argmax(1), trace.steps - 1 - mask[:, ::-1].argmax(1)
    begin, end = (np.abs(gather(second, np.arange(len(mask)), steps).astype(np.float64)) for steps in at)
    grown = end - begin
    if grown.size < 2 or not grown.any():
        return "open"
    errors = float(grown.mean() * np.sqrt(grown.size) / max(grown.std(), np.finfo(np.float64).tiny))
    return "open" if abs(errors) <= SURELY else "no" if errors > 0 else "yes"


def _between(inner: Array, outer: Array, mask: Bools) -> bool:
    """Whether every real step `[B, T, H]` lies between the least and the largest of the other half, row by row."""
    bound = 1e-5 * np.abs(outer).max(axis=1, keepdims=True)
    low, high = outer.min(axis=1, keepdims=True) - bound, outer.max(axis=1, keepdims=True) + bound
    return inner[mask].size >= ENOUGH and bool(((inner >= low) & (inner <= high))[mask].all())


def _is_constant(half: Array, mask: Bools) -> bool:
    """Whether every row's real steps `[B, T, H]` are one vector."""
    first = gather(half, np.arange(len(half)), mask.argmax(1))
    return bool((half == first[:, None])[mask].all())
