"""Lengths beyond the steps that there are: outputs cut after the run, which no cut of the lengths mends."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect
from rnninspect.report.report import Report
from tests.support.made import correct_case

LENGTHS = np.array([13, 4, 9, 2, 11, 6])


def report(ran: np.ndarray, kept: int, directions: int = 1, told: np.ndarray = LENGTHS) -> Report:
    """The report of a run over `ran` steps of each row, of whose outputs the first `kept` are there."""
    tracks = correct_case("gru", 1, directions, lengths=ran, steps=13).trace.tracks
    outputs = np.concatenate([np.asarray(t.outputs) for t in tracks], -1)[:, :kept]
    states = np.stack([np.asarray(t.final) for t in tracks])
    return rnninspect.inspect(outputs, states, lengths=told, bidirectional=directions == 2)


@pytest.mark.parametrize("kept", [10, 12])
@pytest.mark.parametrize("directions", [1, 2])
def test_states_that_are_no_step_are_of_steps_that_were_cut(kept: int, directions: int) -> None:
    """The shorter rows bear their lengths out: no cut of the lengths is advised."""
    findings = report(LENGTHS, kept, directions).findings
    rows = np.flatnonzero(kept < LENGTHS).tolist()
    assert [(f.rule, f.certainty, f.rows) for f in findings] == [("truncated-time-axis", "suspected", rows)]
    assert findings[0].fix.startswith("assert lengths.max() <= outputs.shape[1]")


def test_a_run_of_cut_lengths_is_another_matter() -> None:
    """States at the last step that there is: the lengths alone are too large."""
    assert [f.rule for f in report(np.minimum(LENGTHS, 10), 10).findings] == ["length-exceeds-time"]


def test_lengths_that_no_row_bears_out_say_nothing_of_a_cut() -> None:
    """Where the shorter rows end elsewhere too, the lengths may be wrong altogether."""
    other = np.array([7, 5, 3, 6, 8, 1])
    assert "truncated-time-axis" not in [f.rule for f in report(other, 10).findings]
