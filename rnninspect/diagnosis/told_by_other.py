"""What two dumps of one layer differ by, where the numbers of both show it: rows in another order, a mistake of the one
that was named already, or a backward pass that read the padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rnninspect.core.finding import Finding, Severity
from rnninspect.core.trace import Array, Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.rows_of_other import RowsOfOther, drift, rows_of_other
from rnninspect.diagnosis.own_names import in_own_names
from rnninspect.diagnosis.rule import Rule, describe_rows, listed
from rnninspect.diagnosis.unexplained import dumps_differ
from rnninspect.measure.difference import TrackDifference, differences

ENOUGH = 8  # numbers that are kept or dropped before they tell a dropout


def what_dumps_differ_by(case: Case, kept: Sequence[Rule]) -> Iterator[Finding]:
    """What the two dumps differ by, beside the causes that were `kept`; nothing where these are it."""
    if case.other is None:
        return
    yield from _not_compared(case)
    limit = drift(case)
    if _is_undone(case, kept, limit) or _is_dropout(case, kept, limit):
        return
    moved = rows_of_other(case)
    if moved is not None:
        yield _of_rows(case, moved)
    elif (rows := _read_padding(case, limit)) is not None:
        yield _of_padding(case, rows)
    else:
        yield from dumps_differ(case)


def _not_compared(case: Case) -> Iterator[Finding]:
    """Real steps for which the second dump has no outputs, or none that are finite where these are."""
    from rnninspect.diagnosis.rules import nonfinite_values, truncated_time_axis

    for d in case.differences:
        outputs, mask = np.asarray(d.track.outputs), case.trace.stored_mask(d.track)
        which = np.flatnonzero((d.nonfinite & d.real).any(1)).tolist()
        which = [row for row in which if np.isfinite(outputs[row][mask[row]]).all()]
        if which:
            step = int((d.nonfinite & d.real)[which[0]].argmax())
            yield _of_no_use(
                case,
                nonfinite_values.RULE,
                which,
                f"the outputs of the second dump hold NaN or infinity in real steps, first in step {step} of row "
                f"{which[0]} ({d.track.name}), and these do not",
                "error",
            )
            break
    steps = min((d.real.shape[1] for d in case.differences), default=case.trace.steps)
    which = np.flatnonzero(case.trace.mask[:, steps:].any(1)).tolist()
    if which and case.differences:
        yield _of_no_use(
            case,
            truncated_time_axis.RULE,
            which,
            f"the second dump has {steps} steps, so no outputs to compare with the real steps from {steps} on: its "
            "time axis was cut, or its lengths are others",
            "warning",
        )


def _of_no_use(case: Case, rule: Rule, which: list[int], what: str, severity: Severity) -> Finding:
    return Finding(
        rule=rule.name,
        severity=severity,
        certainty="proven",
        message=f"{describe_rows(which, case.trace.batch_size)}: {what}",
        rows=which,
        explains=len(which),
        fix="assert np.isfinite(outputs[mask]).all()  # of the second dump: run it again"
        if severity == "error"
        else "assert outputs.shape[1] >= lengths.max()  # of the second dump: save the outputs of all its steps",
    )


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
    pairs = [(_real_steps(d, d.track), _real_steps(d, d.other)) for d in case.differences]
    ours, theirs = (np.concatenate([pair[n].ravel() for pair in pairs]).astype(np.float64) for n in (0, 1))
    there = (ours != 0) & (np.abs(theirs) > limit)
    if there.sum() < ENOUGH:
        return False
    times = float(np.median(ours[there] / theirs[there]))
    return bool((np.abs(ours - times * theirs)[ours != 0] <= 2 * abs(times) * limit).all())


def _real_steps(difference: TrackDifference, track: Track) -> Array:
    """`[N, H]`: the outputs of the real steps that both dumps have."""
    assert track.outputs is not None
    return track.outputs[:, : difference.real.shape[1]][difference.real]


def _of_rows(case: Case, moved: RowsOfOther) -> Finding:
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
        fix=in_own_names(
            case,
            f"order = np.array([{listed(order.tolist(), order.size)}])  # the rows of the second dump that these are\n"
            + (
                "outputs, h, lengths = (a[np.argsort(order)] for a in (outputs, h, lengths))  # c, inputs too"
                if moved.states_moved
                else "outputs = outputs[np.argsort(order)]  # of the dump whose outputs are in another order"
            ),
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
        ends = np.clip(case.trace.real_counts - 1, 0, d.difference.shape[1] - 1)  # the second dump may have fewer steps
        begins = d.difference[np.arange(short.size), ends] > limit
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
