"""What two dumps of one layer differ by, where the numbers of both show it: rows in another order, a mistake of the one
that was named already, or a backward pass that read the padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rnninspect.core.finding import Finding
from rnninspect.core.trace import Bools
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.rows_of_other import RowsOfOther, drift, rows_of_other
from rnninspect.diagnosis.rule import Rule, describe_rows, listed
from rnninspect.diagnosis.unexplained import dumps_differ
from rnninspect.measure.difference import TrackDifference, differences

ENOUGH = 8  # numbers that are kept or dropped before they tell a dropout


def what_dumps_differ_by(case: Case, kept: Sequence[Rule]) -> Iterator[Finding]:
    """What the two dumps differ by, beside the causes that were `kept`; nothing where these are it."""
    if case.other is None:
        return
    limit = drift(case)
    if _is_undone(case, kept, limit) or _is_dropout(case, kept, limit):
        return
    moved = rows_of_other(case)
    if moved is not None:
        yield _of_rows(moved)
    elif (rows := _read_padding(case, limit)) is not None:
        yield _of_padding(case, rows)
    else:
        yield from dumps_differ(case)


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


def _of_rows(moved: RowsOfOther) -> Finding:
    from rnninspect.diagnosis.rules.rows_permuted import RULE

    order = moved.order
    which = np.flatnonzero(order != np.arange(order.size)).tolist()
    arrays = "outputs and states are those" if moved.states_moved else "the outputs, and not the states, are those"
    return Finding(
        rule=RULE.name,
        severity="error",
        certainty="proven",
        message=(
            f"{describe_rows(which, order.size)}: {arrays} of other rows of the second dump: in order, of its rows "
            f"[{listed(order.tolist(), 12)}]; in one order the two dumps agree"
        ),
        rows=which,
        explains=len(which),
        evidence={"rows_of_other": order[:64].tolist()},
        fix=f"order = [{listed(order.tolist(), order.size)}]  # the rows of the second dump that these are\n"
        + (
            "outputs, h, lengths = (a[np.argsort(order)] for a in (outputs, h, lengths))  # rows first; c, inputs too"
            if moved.states_moved
            else "outputs = outputs[np.argsort(order)]  # of the dump whose outputs are not in the order of its inputs"
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
