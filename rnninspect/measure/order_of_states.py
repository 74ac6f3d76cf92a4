"""What the order in which layers and directions are listed tells of a reading: right states that stand in each other's
place show along which axis the rows lie, and an order that fits one direction alone shows nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Reading
from rnninspect.core.trace import Trace, Track
from rnninspect.measure.facts import TrackFacts, may_end_right


def hold_states_of_others(trace: Trace, rtol: float, atol: float) -> bool:
    """Whether every track with outputs finds the states `[B, H]` of all its rows, none of them zero, under another
    layer or direction, each under its own, and not all under their own."""
    with_outputs = [track for track in trace.tracks if track.outputs is not None]
    places = [_place_of(track, trace, rtol, atol) for track in with_outputs]
    own_places = [(track.layer, track.direction) for track in with_outputs]
    return bool(places) and None not in places and len(set(places)) == len(places) and places != own_places


def lists_one_direction(reading: Reading, measured: tuple[TrackFacts, ...]) -> bool:
    """Whether states read by direction first, and not layer by layer, fit in one direction and in the other not at all:
    one of them stands in its place in many another order too."""
    fits = [bool(facts.somewhere.any()) for facts in measured]
    return "(D L)" in reading.state_axes and any(fits) and not all(fits)


def _place_of(track: Track, trace: Trace, rtol: float, atol: float) -> tuple[int, str] | None:
    """The layer and direction under which the track's states stand; None where no whole array holds them."""
    if not trace.knows_padding:
        return None
    rows = np.arange(trace.batch_size)
    for other in trace.tracks:
        if other.final is None or not other.final.any(-1).all():
            continue
        right = may_end_right(trace, replace(track, final=other.final), rtol, atol, rows)
        if right is not None and right.all():
            return other.layer, other.direction
    return None
