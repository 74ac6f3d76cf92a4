"""A state that joins pools of the outputs beside the last step, `[last, max, mean]` of `[B, 3H]`: no states of layers.

Concat pooling (Howard & Ruder 2018, ULMFiT).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.pooling import Pool, is_pool, pools_of
from rnninspect.measure.facts import TrackFacts, measure


def joined_pools(case: Case) -> Trace | None:
    """The trace of one layer whose state is the part that is no pool, or the first that is one of padded steps; None
    where no part of a state read as several layers' is a pool of the top layer's outputs, which its `source` says."""
    raw, trace = case.raw("h"), case.trace
    tops = [track for track in trace.tracks if track.layer == trace.layers - 1 and track.outputs is not None]
    unlike = case.config.layers is not None or raw is None or raw.ndim != 2 or trace.layers < 2
    if unlike or len(tops) != trace.directions or any(t.outputs is not None for t in trace.tracks if t not in tops):
        return None
    parts = [_part(trace, layer, tops) for layer in range(trace.layers)]
    pools = [None if part is None else _pool_of(case, part) for part in parts]
    if not any(pools) or any(part is None for part in parts):
        return None
    wrong = [k for k, pool in enumerate(pools) if pool is not None and pool.padded]
    kept = next(iter(wrong + [k for k, pool in enumerate(pools) if pool is None]), 0)
    held = ", ".join(f"{k}: {'a step' if pool is None else pool.kind}" for k, pool in enumerate(pools))
    sentence = f"the state joins parts, as concat pooling does ({held}); part {kept} is compared with the outputs"
    tracks = tuple(replace(track, layer=0) for track in parts[kept] or ())
    return replace(trace, tracks=tracks, source={**trace.source, "state": sentence})


def _part(trace: Trace, layer: int, tops: list[Track]) -> list[Track] | None:
    """The top layer's outputs with the states that were read as this layer's; None where widths differ."""
    tracks = []
    for top in tops:
        track = trace.track(layer, top.direction)
        if track is None or track.final is None or top.final is None or track.final.shape != top.final.shape:
            return None
        tracks.append(replace(top, final=track.final, cell=None))
    return tracks


def _pool_of(case: Case, part: list[Track]) -> Pool | None:
    """The pool that every state of a part is, the same in each direction; None where it is none."""
    tolerance = case.tolerance
    measured = [measure(case.trace, track, tolerance.rtol, tolerance.atol) for track in part]
    facts = [f for f in measured if f is not None]
    if len(facts) < len(part) or not facts:
        return None
    rows = np.flatnonzero(facts[0].real_counts > 1)
    pools = [
        pool
        for pool in pools_of(facts[0])
        if rows.size and all(_is_whole(f, pool, rows, tolerance.atol) for f in facts)
    ]
    return pools[0] if pools else None


def _is_whole(facts: TrackFacts, pool: Pool, rows: Array, atol: float) -> bool:
    telling = facts.final[rows].any() and not facts.somewhere[rows].all()
    return bool(telling and is_pool(facts, pool, rows, atol).all())
