"""What two dumps of one layer differ by, where the numbers of both show it: rows in another order, a mistake of the one
that was named already, or a backward pass that read the padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rnninspect.core.finding import Finding
from rnninspect.core.tiles import release
from rnninspect.core.trace import Array, Bools, Ints, Trace
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import AGREE
from rnninspect.diagnosis.rule import Rule, describe_rows, listed
from rnninspect.diagnosis.unexplained import dumps_differ
from rnninspect.measure.difference import TrackDifference, differences

MOST_ROWS = 1024  # each is set beside every other
ENOUGH = 8  # numbers that are kept or dropped before they tell a dropout


def what_dumps_differ_by(case: Case, kept: Sequence[Rule]) -> Iterator[Finding]:
    """What the two dumps differ by, beside the causes that were `kept`; nothing where these are it."""
    if case.other is None:
        return
    limit = _drift(case)
    if _is_undone(case, kept, limit) or _is_dropout(case, kept, limit):
        return
    order = _order_of_rows(case, limit)
    if order is not None:
        yield _of_rows(case, order)
    elif (rows := _read_padding(case, limit)) is not None:
        yield _of_padding(case, rows)
    else:
        yield from dumps_differ(case)


def _drift(case: Case) -> float:
    """How far two right runs of one layer may be apart, by the precisions of both."""
    kinds = {kind for d in case.differences for kind in d.precisions}
    return max((AGREE[kind] for kind in kinds), default=0.0) * max((d.scale for d in case.differences), default=0.0)


def _differ(compared_tracks: Sequence[TrackDifference], limit: float) -> bool:
    return any(d.largest > limit or (d.nonfinite & d.real).any() for d in compared_tracks)


def _is_undone(case: Case, kept: Sequence[Rule], limit: float) -> bool:
    """Whether one of the mistakes, undone, leaves the second dump's own outputs."""
    assert case.other is not None
    if not _differ(case.differences, limit):
        return False
    for rule in kept:
        for way in rule.undo(case):
            left = differences(way.case.trace, case.other)
            if len(left) == len(case.differences) and not _differ(left, limit):
                return True
    return False


def _is_dropout(case: Case, kept: Sequence[Rule], limit: float) -> bool:
    """Whether every output is zero or the second dump's times one number, where a dropout was named."""
    if "output-dropout" not in {rule.name for rule in kept}:
        return False
    pairs = [(np.asarray(d.track.outputs)[_mask(d)], np.asarray(d.other.outputs)[_mask(d)]) for d in case.differences]
    ours, theirs = (np.concatenate([pair[n].ravel() for pair in pairs]).astype(np.float64) for n in (0, 1))
    there = (ours != 0) & (np.abs(theirs) > limit)
    if there.sum() < ENOUGH:
        return False
    times = float(np.median(ours[there] / theirs[there]))
    return bool((np.abs(ours - times * theirs)[ours != 0] <= 2 * abs(times) * limit).all())


def _mask(difference: TrackDifference) -> Bools:
    outputs = difference.track.outputs
    assert outputs is not None
    mask = np.zeros(outputs.shape[:2], dtype=np.bool_)
    mask[:, : difference.real.shape[1]] = difference.real
    return mask


def _order_of_rows(case: Case, limit: float) -> Ints | None:
    """`[B]`: the row of the second dump that each row is, outputs and states; None where they are in no other order."""
    assert case.other is not None
    ours, theirs = (_signs(trace) for trace in (case.trace, case.other))
    if ours is None or theirs is None or ours.shape != theirs.shape or len(ours) > MOST_ROWS:
        return None
    order = np.array([np.abs(theirs - row).max(1).argmin() for row in ours], dtype=np.int64)
    if np.unique(order).size < order.size or (order == np.arange(order.size)).all():
        return None
    near = np.abs(theirs[order] - ours).max() <= limit
    return order if near and _are_outputs_of(case.trace, case.other, order, limit) else None


def _signs(trace: Trace) -> Array | None:
    """`[B, N]`: the numbers of every row that tell it from others: its length, its states, the output of its first real
    step; None where some are not finite."""
    rows, begun = np.arange(trace.batch_size), (trace.real_counts > 0)[:, None]
    recorded = [(t.outputs, trace.stored_mask(t)) for t in trace.tracks if t.outputs is not None]
    parts = [outputs[rows, mask.argmax(1)] * begun for outputs, mask in recorded]
    parts += [state for t in trace.tracks for state in (t.final, t.cell) if state is not None]
    whole = np.concatenate([trace.real_counts[:, None], *parts], axis=1)
    return whole.astype(np.float64) if np.isfinite(whole).all() else None


def _are_outputs_of(ours: Trace, theirs: Trace, order: Ints, limit: float) -> bool:
    """Whether the real steps of each row are those of row `order[b]`; a row is read at a time, of large dumps too."""
    recorded = [[track for track in trace.tracks if track.outputs is not None] for trace in (ours, theirs)]
    if len(recorded[0]) != len(recorded[1]):
        return False
    for track, other in zip(*recorded, strict=True):
        assert track.outputs is not None
        assert other.outputs is not None
        masks = ours.stored_mask(track), theirs.stored_mask(other)
        for row, source in enumerate(order):
            one, two = track.outputs[row][masks[0][row]], other.outputs[source][masks[1][source]]
            if one.shape != two.shape or not (np.abs(one.astype(np.float64) - two) <= limit).all():
                return False
            release(track.outputs[row])
            release(other.outputs[source])
    return True


def _of_rows(case: Case, order: Ints) -> Finding:
    from rnninspect.diagnosis.rules.rows_permuted import RULE

    moved = np.flatnonzero(order != np.arange(order.size)).tolist()
    return Finding(
        rule=RULE.name,
        severity="error",
        certainty="proven",
        message=(
            f"{describe_rows(moved, order.size)}: outputs and states are those of other rows of the second dump: in "
            f"order, of its rows [{listed(order.tolist(), 12)}]; in one order the two dumps agree"
        ),
        rows=moved,
        explains=len(moved),
        evidence={"rows_of_other": order[:64].tolist()},
        fix=(
            f"order = [{listed(order.tolist(), order.size)}]  # the rows of the second dump that these are\n"
            "outputs, h, lengths = (a[np.argsort(order)] for a in (outputs, h, lengths))  # rows first; c likewise"
        ),
    )


def _read_padding(case: Case, limit: float) -> Bools | None:
    """`[B]`: the short rows whose backward outputs alone differ, most where their pass begins or no less, and which
    were computed in the padding; None where others differ too."""
    short = case.trace.real_counts < case.trace.steps
    if not short.any() or case.trace.mask_given or {t.order for t in case.trace.tracks} != {"time"}:
        return None
    rows = np.zeros(short.size, dtype=np.bool_)
    for d in case.differences:
        off = ((d.difference > limit) & d.real).any(1)
        if (d.nonfinite & d.real).any() or (off & ~(short & (d.track.direction == "backward"))).any():
            return None
        begins = d.difference[np.arange(short.size), np.maximum(case.trace.real_counts - 1, 0)] > limit
        if (off & ~begins).any():
            return None
        rows |= off
    computed = [all(p == "computed" for p, row in zip(f.padding, rows, strict=True) if row) for f in case.facts]
    return rows if rows.any() and all(computed) and case.facts else None


def _of_padding(case: Case, rows: Bools) -> Finding:
    from rnninspect.diagnosis.fixes import fix_in
    from rnninspect.diagnosis.rules.weights.backward_read_padding import RULE

    which = np.flatnonzero(rows).tolist()
    return Finding(
        rule=RULE.name,
        severity="error",
        certainty="suspected",
        message=(
            f"{describe_rows(which, rows.size)}: of the short rows alone, and of the backward direction alone, the "
            "outputs differ from the second dump's, from the last real step on, which is read first; the outputs "
            "behind it were computed: the backward pass began in the padding"
        ),
        direction="backward",
        rows=which,
        explains=len(which),
        evidence={"largest": max(d.largest for d in case.differences)},
        fix=fix_in(RULE, case),
    )
