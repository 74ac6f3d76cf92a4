"""States that no output tells, c and the h of layers without outputs: held against a run of the weights, or against a
second dump."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnninspect.core.finding import Finding
from rnninspect.core.trace import Array, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.states_of_run import far_from_run
from rnninspect.diagnosis.own_names import in_own_names
from rnninspect.diagnosis.rule import describe_rows, listed
from rnninspect.measure.decimals import decimals
from rnninspect.measure.difference import EXPONENTS, FEW, StateDifference, precision, state_differences


def states_unlike_the_run(case: Case, rule: str) -> Iterator[Finding]:
    """A finding of `rule` for every state of another value than the run's, where the run gives the dump's outputs."""
    unknown = _may_end_before(case)
    for difference, rows in far_from_run(case).values():
        left = [row for row in rows if row not in unknown]
        if left:
            yield _finding(case, rule, difference, left)


def _may_end_before(case: Case) -> set[int]:
    """Rows of no known length whose h equals a step before the last: the run may have gone on over their padding."""
    blind = [facts for facts in case.facts if not facts.expected_known]
    return {int(row) for f in blind for row in np.flatnonzero(f.somewhere & ~(f.equal[:, -1] | f.near[:, -1]))}


def _finding(case: Case, rule: str, difference: StateDifference, rows: list[int]) -> Finding:
    track = difference.track
    gap = float(difference.difference[rows].max())
    return Finding(
        rule=rule,
        severity="error",
        certainty="proven",
        message=(
            f"{describe_rows(rows, case.trace.batch_size)}: a run with these weights gives these outputs, but another "
            f"{difference.state} of {track.name} at their end, which differs by up to {gap:.3g}: it is from another "
            "row, step or run"
        ),
        layer=track.layer,
        direction=track.direction,
        rows=rows,
        unexplained=rows,
        evidence={"largest": gap, "state": difference.state},
        fix="",
    )


def states_unlike_the_other(case: Case, rule: str) -> Iterator[Finding]:
    """A finding for every state that a second dump with the same outputs holds otherwise: `rows-permuted` or
    `layer-order-reversed` where that reconstructs it, else one of `rule`.
    """
    if case.other is None or not case.differences or any(d.largest or d.nonfinite.any() for d in case.differences):
        return
    for difference in state_differences(case.trace, case.other):
        track, other = difference.track, case.other.track(difference.track.layer, difference.track.direction)
        here, there = _state(track, difference.state), _state(other, difference.state)
        if here is None or there is None or (difference.state == "h" and track.outputs is not None):
            continue  # the outputs tell it
        apart = (difference.difference > _allowed(case, here, there)) & case.trace.mask.any(1)
        rows = [int(row) for row in np.flatnonzero(apart)]
        if rows:
            yield _unlike(case, rule, difference, rows, here, there)


def _state(track: Track | None, state: str) -> Array | None:
    return None if track is None else track.cell if state == "c" else track.final


def _allowed(case: Case, here: Array, there: Array) -> float:
    """How far two states of the same run may be: by the coarser precision, the printed digits and the tolerance."""
    scale = float(np.nan_to_num(np.abs(there.astype(np.float64)), posinf=0.0).max(initial=0.0))
    digits = [d for d in map(decimals, (here, there)) if d is not None]
    unit = max(EXPONENTS[precision(one)] for one in (here, there) if one.any()) if here.any() or there.any() else 0.0
    printed = 10.0 ** -min(digits) if digits else 0.0
    return FEW * unit * scale + printed + case.tolerance.atol + case.tolerance.rtol * scale


def _unlike(case: Case, rule: str, difference: StateDifference, rows: list[int], here: Array, there: Array) -> Finding:
    from rnninspect.diagnosis.rules.layer_order_reversed import RULE as REVERSED
    from rnninspect.diagnosis.rules.rows_permuted import RULE as PERMUTED
    from rnninspect.diagnosis.rules.state_never_written import RULE as NEVER_WRITTEN

    track, gap = difference.track, float(difference.difference[rows].max())
    origins = {row: np.flatnonzero((there == here[row]).all(-1)) for row in rows}
    mirrored = None if case.other is None else case.other.track(case.trace.layers - 1 - track.layer, track.direction)
    opposite = _state(mirrored, difference.state)
    cause, fix, why = rule, "", "it is from another row, step or run"
    if not here[rows].any():
        cause, fix, why = NEVER_WRITTEN.name, NEVER_WRITTEN.fix, "it is zero in each: it was never written"
    elif all(places.size for places in origins.values()):
        pairs = listed([f"row {row} holds its row {places[0]}" for row, places in origins.items()], 4)
        cause, fix, why = PERMUTED.name, PERMUTED.fix, pairs
    elif opposite is not None and opposite.shape == here.shape and (opposite[rows] == here[rows]).all():
        cause, fix, why = REVERSED.name, REVERSED.fix, f"it holds layer {case.trace.layers - 1 - track.layer}'s"
    return Finding(
        rule=cause,
        severity="error",
        certainty="suspected" if cause == rule else "proven",
        message=(
            f"{describe_rows(rows, case.trace.batch_size)}: the outputs of the two dumps agree, and {difference.state} "
            f"of {track.name} differs from the other's by up to {gap:.3g}: {why}"
        ),
        layer=track.layer,
        direction=track.direction,
        rows=rows,
        explains=0 if cause == rule else len(rows),
        unexplained=rows if cause == rule else [],
        evidence={"largest": gap, "state": difference.state},
        fix=in_own_names(case, fix),
    )
