"""States that no output tells, c and the h of lower layers, that stand in another order of rows than a run's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Bools, Ints, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.states_of_run import FAR, StatePlace, far_from_run
from rnninspect.diagnosis.evidence.weight_search import agrees, tolerance
from rnninspect.diagnosis.once import once


@once
def orders_in_run(case: Case) -> dict[StatePlace, Ints]:
    """`[B]` by layer, direction and state: the row of the run that each state is of, where every one that is far from
    its own is another row's; empty where one is no row's, or the run gives other outputs."""
    if not (case.has("inputs") and case.has("weights")) or case.other is not None or not case.facts:
        return {}
    if any(f.mismatched.any() for f in case.facts) or not agrees(case):
        return {}
    orders: dict[StatePlace, Ints] = {}
    ended = np.asarray(case.trace.mask.any(1))
    for place, (difference, _) in far_from_run(case).items():
        layer, _, name = place
        tracks = [trace.track(layer, difference.track.direction) for trace in (case.trace, case.reference)]
        ours, theirs = (None if t is None else t.cell if name == "c" else t.final for t in tracks)
        order = None if ours is None or theirs is None else _order(ours, theirs, ended, FAR * tolerance(case))
        if order is None:
            return {}
        orders[place] = order
    return orders


def _order(states: Array, of_run: Array, ended: Bools, allowed: float) -> Ints | None:
    """The rows of the run's `[B, H]` that `states` `[B, H]` are, each once, rows that have not `ended` their own."""
    order = np.arange(len(states))
    for b in np.flatnonzero(ended):
        gaps = np.abs(of_run.astype(np.float64) - states[b]).max(-1)
        order[b] = gaps.argmin()
        if gaps.min() > allowed:
            return None
    return order if len(set(order.tolist())) == order.size else None


def with_rows_of_run(case: Case) -> Case:
    """The case with those states in the order of its rows."""
    back = {place: np.argsort(order) for place, order in orders_in_run(case).items()}

    def turned(track: Track) -> Track:
        h, c = (back.get((track.layer, track.direction, name)) for name in ("h", "c"))
        final = track.final if h is None or track.final is None else track.final[h]
        return replace(track, final=final, cell=track.cell if c is None or track.cell is None else track.cell[c])

    return case.with_tracks(turned)
