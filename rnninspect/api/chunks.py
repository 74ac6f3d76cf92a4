"""Chunked and stateful runs: the final state of the previous chunk is the one in which this chunk starts."""

from __future__ import annotations

from dataclasses import replace

from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Track
from rnninspect.diagnosis.build_case import read_case
from rnninspect.diagnosis.case import Case, Chunk, States
from rnninspect.engine import cells
from rnninspect.errors import ShapeError
from rnninspect.formats.base import NamedArrays


def final_states(read: NamedArrays, config: LayerConfig, convention: str) -> States:
    """What every layer and direction of a dump ended in: h `[B, P]`, c `[B, C]` or None.

    Raises ShapeError where a final state is missing, or c of a stated LSTM.
    """
    tracks = read_case(read.arrays, config, convention).trace.tracks
    missing = [track.name for track in tracks if track.final is None]
    if missing:
        raise ShapeError(f"it holds no final state of {', '.join(missing)}; save every layer's")
    has_c = config.cell is not None and cells.get(config.cell).has_c
    if has_c and any(track.cell is None for track in tracks):
        raise ShapeError("it holds no cell state c; an LSTM goes on from h and c, so save both")
    return {(t.layer, t.direction): (t.final, t.cell) for t in tracks if t.final is not None}


def chain_to(case: Case, states: States) -> Case:
    """The case as one that is said to start from these states; what the dump itself names stays, to be compared.

    Raises ShapeError where the chunk before had other layers, directions, rows or units.
    """
    tracks = {(t.layer, t.direction) for t in case.trace.tracks}
    if tracks != set(states):
        before, here = (", ".join(f"layer {k} {d}" for k, d in sorted(keys)) for keys in (set(states), tracks))
        raise ShapeError(f"it holds the states of {before}, but the dump holds {here}")
    for track in case.trace.tracks:
        h = states[track.layer, track.direction][0]
        if track.final is not None and h.shape != track.final.shape:
            raise ShapeError(
                f"{track.name} ended in h {h.shape}, but the dump's is {track.final.shape}: rows and units must agree"
            )

    def started(track: Track) -> Track:
        if track.initial is not None:
            return track
        h, c = states[track.layer, track.direction]
        return replace(track, initial=h, initial_cell=c)

    named = {(t.layer, t.direction): t.initial for t in case.trace.tracks if t.initial is not None}
    return replace(case.with_tracks(started), chunk=Chunk(states, named or None))
