"""A long sequence cut into rows is told row by row, where c of the row before is known by its run alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import rnninspect
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case


@pytest.mark.parametrize(
    ("cell", "pieces", "later"), [("lstm", 1, []), ("lstm", 6, [1, 2, 3, 4, 5]), ("gru", 2, [1, 3, 5])]
)
def test_each_row_goes_on_from_another(cell: str, pieces: int, later: list[int]) -> None:
    """No c is in the dump, so that only the run of a row tells what the next one starts from: no row is called stale.
    Rows of their own, the right twin, are accused of nothing."""
    count = 6 // pieces
    case = correct_case(cell, lengths=np.full(count, 4 * pieces), steps=4 * pieces)
    assert case.batch is not None
    assert case.trace.tracks[0].outputs is not None
    outputs, inputs = (a.reshape(6, 4, -1) for a in (case.trace.tracks[0].outputs, case.batch.inputs))
    report = rnninspect.inspect(outputs, outputs[:, -1], inputs=inputs, weights=case.weights, lengths="full")
    assert [(f.rule, f.rows) for f in report.findings] == ([("rows-chunked", later)] if later else [])


def test_a_state_from_elsewhere_stays_stale() -> None:
    """The twin in which every row starts from a state that no row ended in."""
    case = rules()["stale-initial-state"].inject(correct_case("lstm", lengths=np.full(6, 4), steps=4))
    case = case.with_tracks(lambda track: replace(track, cell=None))
    assert [f.rule for f in judge(case, rules()).findings] == ["stale-initial-state"]
