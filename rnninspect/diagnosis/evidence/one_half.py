"""Two states that nobody called layers: they may be one layer's two directions, of which the outputs hold one half."""

from __future__ import annotations

from dataclasses import replace

from rnninspect.core.regex import regex
from rnninspect.core.trace import DIRECTIONS
from rnninspect.diagnosis.case import Case

_IN_A_LIST = regex(r"[^.]*\.\d+(\.h)?")  # `final_state.0`, and of pairs `final_state.0.h`


def may_be_directions(case: Case) -> bool:
    """Whether two states that nobody called layers may be one layer's two directions, of which outputs hold one."""
    lower, upper = (case.trace.track(layer, "forward") for layer in range(2))
    told = case.config.layers is not None or case.config.direction is not None or case.weights is not None
    if lower is None or upper is None or (case.trace.layers, case.trace.directions) != (2, 1) or told:
        return False
    alike = lower.final is not None and upper.final is not None and lower.final.shape == upper.final.shape
    return alike and lower.outputs is None and _are_unnamed(case)


def _are_unnamed(case: Case) -> bool:
    """Whether the states lie in one array, or in a list without names: as layers they were taken, not called."""
    states = [slot for slot in case.dump.slots if slot.role == "h"]
    return case.reading.state_axes in ("L B H", "B L H", "B (L H)") or all(_IN_A_LIST.fullmatch(s.name) for s in states)


def as_forward_half(case: Case) -> Case:
    """The case with its two states taken for one layer's directions, and its outputs for the forward half of both."""
    trace = case.trace
    bottom, top = (trace.track(layer, "forward") for layer in range(2))
    assert bottom is not None
    assert top is not None
    tracks = (
        replace(bottom, outputs=top.outputs),
        replace(top, layer=0, direction=DIRECTIONS[1], outputs=None),
    )
    sentence = (
        "none was stated; the outputs end in the state listed first of two: they may be the forward half of two "
        "directions, or of the top layer of two that are listed in reverse order (layer-order-reversed)"
    )
    return case.with_trace(replace(trace, tracks=tracks, source={**trace.source, "direction": sentence}))
