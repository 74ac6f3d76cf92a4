"""The order in which one dump holds the rows of another: of outputs and states, or of its outputs alone."""

from __future__ import annotations

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.tiles import release
from rnninspect.core.trace import Array, Ints, Trace
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import AGREE
from rnninspect.diagnosis.once import once

MOST_ROWS = 1024  # each is set beside every other


@frozen(eq=False)
class RowsOfOther:
    """`order` `[B]`: the row of the second dump that each row is. `states_moved`: whether the states are in that order
    too, and not in the second dump's own."""

    order: Ints
    states_moved: bool


@once
def rows_of_other(case: Case) -> RowsOfOther | None:
    """The order by which every real step of every row is one of the second dump; None where it is its own, or none."""
    assert case.other is not None
    limit = drift(case)
    for states_moved in (True, False):
        ours, theirs = (_signs(trace, states_moved) for trace in (case.trace, case.other))
        if ours is None or theirs is None or ours.shape != theirs.shape or not 1 < len(ours) <= MOST_ROWS:
            return None
        order = np.array([np.abs(theirs - row).max(1).argmin() for row in ours], dtype=np.int64)
        if np.unique(order).size < order.size or (order == np.arange(order.size)).all():
            continue
        if np.abs(theirs[order] - ours).max() <= limit and _are_outputs_of(case.trace, case.other, order, limit):
            return RowsOfOther(order, states_moved)
    return None


def drift(case: Case) -> float:
    """How far two right runs of one layer may be apart, by the precisions of both."""
    kinds = {kind for d in case.differences for kind in d.precisions}
    return max((AGREE[kind] for kind in kinds), default=0.0) * max((d.scale for d in case.differences), default=0.0)


def _signs(trace: Trace, states_moved: bool) -> Array | None:
    """`[B, N]`: the numbers of every row that tell it from others: the output of its first real step, and where states
    are moved too those and its length; None where some are not finite, or no outputs are recorded."""
    rows, begun = np.arange(trace.batch_size), (trace.real_counts > 0)[:, None]
    recorded = [(t.outputs, trace.stored_mask(t)) for t in trace.tracks if t.outputs is not None]
    parts = [outputs[rows, mask.argmax(1)] * begun for outputs, mask in recorded]
    if states_moved:
        parts += [state for t in trace.tracks for state in (t.final, t.cell) if state is not None]
        parts.append(trace.real_counts[:, None])
    whole = np.concatenate(parts, axis=1) if recorded else None
    return whole.astype(np.float64) if whole is not None and np.isfinite(whole).all() else None


def _are_outputs_of(ours: Trace, theirs: Trace, order: Ints, limit: float) -> bool:
    """Whether the real steps of each row are those of row `order[b]`; a row is read at a time, of large dumps too."""
    recorded = [[track for track in trace.tracks if track.outputs is not None] for trace in (ours, theirs)]
    if len(recorded[0]) != len(recorded[1]):
        return False
    for track, other in zip(*recorded, strict=True):
        assert track.outputs is not None
        assert other.outputs is not None
        real = ours.stored_mask(track)
        for row, source in enumerate(order):
            one, two = track.outputs[row][real[row]], other.outputs[source][: real.shape[1]]
            if len(two) < real.shape[1] or one.shape[1] != two.shape[1]:
                return False
            if not (np.abs(one.astype(np.float64) - two[real[row]]) <= limit).all():
                return False
            release(track.outputs[row])
            release(other.outputs[source])
    return True
