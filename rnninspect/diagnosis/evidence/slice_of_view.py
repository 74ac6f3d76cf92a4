"""Columns of `h_n.view(B, -1)`: states of every layer and row, of which a slice was taken for the top layer's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Bools, Ints, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees, tolerance
from rnninspect.diagnosis.once import once
from rnninspect.measure.matching import same

DEEPEST = 4  # layers, where nothing says how many there are
TELLING = 8  # numbers that must be other rows' or layers' states at least


@frozen(eq=False)
class SliceOfView:
    """`told`: what the states are, in words. `rows`: `[B]` of each of the facts, those that are off. `open_rows`: those
    whose vectors would be lower layers' states, which nothing holds."""

    told: str
    rows: tuple[Bools, ...]
    open_rows: tuple[Bools, ...]


@frozen(eq=False)
class _Origin:
    """`[B]` of one track's states: the track, counted over layers and directions, and the row that each would be of."""

    track: Ints
    row: Ints


@once
def slice_of_view(case: Case) -> SliceOfView | None:
    """The slice of a view that the top layer's states are; None where they are none, or a whole view.

    A state that would be of the top layer must be that step of the outputs, bit for bit; one of a lower layer the state
    in which a run of the weights ends, or else no step of the outputs.
    """
    if not any(f.mismatched.any() for f in case.facts) or not _holds_top_alone(case):
        return None
    states = _lower_states(case)
    for layers in _depths(case):
        total = layers * case.trace.directions
        if total == case.trace.batch_size:
            continue  # the view is h_n itself: it was indexed as if rows came first
        states |= {_place(f.track, total, case): (f.at_end, 0.0) for f in case.facts}
        for first in range(total - len(case.facts) + 1):
            for told, origins in _views(case.trace.batch_size, len(case.facts), total, first):
                open_rows = _open_rows(case, origins, states, total)
                if open_rows is not None:
                    return SliceOfView(told, tuple(np.asarray(f.mismatched) for f in case.facts), open_rows)
    return None


def _holds_top_alone(case: Case) -> bool:
    """Whether all states are of one layer with outputs, and of one width."""
    held = [t for t in case.trace.tracks if t.final is not None]
    one_layer = len({t.layer for t in held}) == 1 and len(held) == len(case.facts)
    return one_layer and len({f.final.shape for f in case.facts}) == 1


def _depths(case: Case) -> Iterator[int]:
    """How many layers the whole view may have: more than its slice."""
    depth = case.weights.depth if case.weights is not None else case.config.layers
    depths = range(2, DEEPEST + 1) if depth is None else (depth,)
    yield from (layers for layers in depths if layers > 1)


def _place(track: Track, total: int, case: Case) -> int:
    """Where a track of the top layer stands among all of them."""
    return total - case.trace.directions + (track.direction == "backward" and case.trace.directions == 2)


def _views(rows: int, width: int, total: int, first: int) -> Iterator[tuple[str, list[_Origin]]]:
    """Where the vectors of `width` of `total` tracks from that one on are from: in a view by rows of `[L*D, B, H]`, and
    in one by tracks of `[B, L*D, H]`."""
    row, tracks = np.arange(rows), range(first, first + width)
    by_row = [row * total + k for k in tracks]
    columns = f"columns {first} * H to {first + width} * H of a view ({rows}, -1) of ({total}, {rows}, H)"
    yield columns, [_Origin(n // rows, n % rows) for n in by_row]
    by_track = [k * rows + row for k in tracks]
    part = f"[{first}:{first + width}] of a view ({total}, {rows}, H) of ({rows}, {total}, H)"
    yield part, [_Origin(n % total, n // total) for n in by_track]


def _lower_states(case: Case) -> dict[int, tuple[Array, float]]:
    """`[B, H]` by track, and how far a state may be from it: the lower layers', in which a run of the weights ends that
    gives these outputs; none without one."""
    if case.batch is None or case.weights is None or not agrees(case):
        return {}
    tracks = [t for t in case.reference.tracks if t.layer < case.weights.depth - 1 and t.final is not None]
    return {
        t.layer * case.trace.directions + (t.direction == "backward"): (np.asarray(t.final), tolerance(case))
        for t in tracks
    }


def _open_rows(
    case: Case, origins: list[_Origin], states: Mapping[int, tuple[Array, float]], total: int
) -> tuple[Bools, ...] | None:
    """`[B]` of each of the facts: rows whose vector is of a lower layer that nothing holds; None where a vector is not
    what the view has there, or too few tell."""
    every, telling = [], 0
    for facts, origin in zip(case.facts, origins, strict=True):
        open_rows, here = np.zeros_like(facts.mismatched), _place(facts.track, total, case)
        for row, (track, of) in enumerate(zip(origin.track.tolist(), origin.row.tolist(), strict=True)):
            if track not in states:
                open_rows[row] = True
                continue
            state, allowed = states[track]
            if state.shape != facts.final.shape or not _is_near(facts.final[row], state[of], allowed):
                return None
            telling += int(np.count_nonzero(facts.final[row])) if (track, of) != (here, row) else 0
        if facts.final_zero[open_rows].any() or any(case.elsewhere(facts, open_rows).values()):
            return None  # a state of the top layer
        every.append(np.asarray(open_rows & facts.mismatched))
    return tuple(every) if telling >= TELLING else None


def _is_near(state: Array, other: Array, allowed: float) -> bool:
    if not allowed:
        return bool(same(state, other).all())
    return bool((np.abs(state.astype(np.float64) - other) <= allowed).all())
