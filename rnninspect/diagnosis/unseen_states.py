"""States that no output tells, held against a run of the weights: c, and the h of layers without outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.finding import Finding
from rnninspect.core.trace import Array, Trace
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.diagnosis.rule import describe_rows
from rnninspect.measure.decimals import decimals
from rnninspect.measure.difference import StateDifference, state_differences

FAR = 32  # times what two right runs' outputs may differ by: c adds up over the steps, and is larger
SHARE = 0.05  # of the state's own size: less is rounding, clipping or a lower precision


def states_unlike_the_run(case: Case, rule: str) -> Iterator[Finding]:
    """A finding of `rule` for every state of another value than the run's, where the run gives the dump's outputs."""
    off = _far_off(case, case.reference)
    if not off or case.batch is None:
        return
    off_unpacked = off
    if any("computed" in facts.padding for facts in case.facts):  # a run into the padding, which the outputs tell
        everywhere = np.ones(case.batch.mask.shape, dtype=np.bool_)
        off_unpacked = _far_off(case, case.run(replace(case.batch, mask=everywhere, lengths=None)))
    unknown = _may_end_before(case)
    for place, (difference, rows) in off.items():
        left = [r for r in rows if place in off_unpacked and r in off_unpacked[place][1] and r not in unknown]
        if left:
            yield _finding(case, rule, difference, left)


def _may_end_before(case: Case) -> set[int]:
    """Rows of no known length whose h equals a step before the last: the run may have gone on over their padding."""
    blind = [facts for facts in case.facts if not facts.expected_known]
    return {int(row) for f in blind for row in np.flatnonzero(f.somewhere & ~(f.equal[:, -1] | f.near[:, -1]))}


_Place = tuple[int, str, str]


def _far_off(case: Case, run: Trace) -> dict[_Place, tuple[StateDifference, list[int]]]:
    """By layer, direction and state: the rows with real steps whose state is far from the run's."""
    off: dict[_Place, tuple[StateDifference, list[int]]] = {}
    for difference in state_differences(case.trace, run):
        track = difference.track
        recorded = track.cell if difference.state == "c" else track.final
        if recorded is None or (difference.state == "h" and track.outputs is not None):
            continue  # the outputs tell it
        far = np.isfinite(difference.difference) & (difference.difference > _allowed(case, recorded, run, difference))
        rows = [int(row) for row in np.flatnonzero(far & case.trace.mask.any(1))]
        if rows:
            off[track.layer, track.direction, difference.state] = difference, rows
    return off


def _allowed(case: Case, recorded: Array, run: Trace, difference: StateDifference) -> Array:
    """`[B]`: how far a state may be from the run's; its own last printed digit is allowed for."""
    ran = run.track(difference.track.layer, difference.track.direction)
    state = None if ran is None else ran.cell if difference.state == "c" else ran.final
    size = np.abs((recorded if state is None else state).astype(np.float64)).max(-1)
    digits = decimals(recorded)
    printed = 0.0 if digits is None else 10.0**-digits
    return np.asarray(np.maximum(FAR * tolerance(case), SHARE * size) + printed)


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
