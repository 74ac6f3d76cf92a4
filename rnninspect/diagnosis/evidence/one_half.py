"""Two states that nobody called layers: they may be one layer's two directions, of which the outputs hold one half."""

from __future__ import annotations

from dataclasses import replace

from rnninspect.core.regex import regex
from rnninspect.core.trace import DIRECTIONS, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.cell_beside_state import go_together

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
    bottom, top = (case.trace.track(layer, "forward") for layer in range(2))
    assert bottom is not None
    assert top is not None
    return _halved(case, replace(bottom, outputs=top.outputs), replace(top, outputs=None))


def as_half_beside_pair(case: Case) -> Case | None:
    """The case with a listed h and c taken for a layer's two directions (of a GRU, say), where the outputs end in the
    one read as c and no row's two can be an LSTM's h and c in either order; None else."""
    config, tracks = case.config, case.trace.tracks
    told = config.layers or config.directions or config.cell == "lstm" or case.weights is not None
    if told or len(tracks) != 1 or len(case.facts) != 1 or not _are_listed(case):
        return None
    track, rows = tracks[0], case.facts[0].expected >= 0
    if track.final is None or track.cell is None or track.final.shape != track.cell.shape or not rows.any():
        return None
    final, cell = track.final[rows], track.cell[rows]
    if go_together(final, cell).any() or go_together(cell, final).any():
        return None
    return _halved(case, replace(track, final=track.cell, cell=None), replace(track, outputs=None, cell=None))


def _are_listed(case: Case) -> bool:
    """Whether h and c stand in a list without names, the one read as c first."""
    names = {slot.role: slot.name for slot in case.dump.slots if slot.role in ("h", "c")}
    return len(names) == 2 and all(map(_IN_A_LIST.fullmatch, names.values())) and names["c"] < names["h"]


def _halved(case: Case, forward: Track, backward: Track) -> Case:
    """The case of one layer's two directions, of which the outputs hold the forward half, or of layers reversed."""
    trace = case.trace
    tracks = (forward, replace(backward, layer=0, direction=DIRECTIONS[1]))
    sentence = (
        "none was stated; the outputs end in the state listed first of two: they may be the forward half of two "
        "directions, or of the top layer of two that are listed in reverse order (layer-order-reversed)"
    )
    return case.with_trace(replace(trace, tracks=tracks, source={**trace.source, "direction": sentence}))
