"""States that no output tells, held against a run of the weights: c, and the h of layers without outputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnninspect.core.finding import Finding
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.states_of_run import far_from_run
from rnninspect.diagnosis.rule import describe_rows
from rnninspect.measure.difference import StateDifference


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
