"""Padding that was filled with another value than zero tells no step, as zeroed padding tells none."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect
from rnninspect.core.trace import Array

LENGTHS = np.array([10, 4, 7, 2, 5, 8])
STEPS = {"last column": np.full(6, 9), "the step before": LENGTHS - 2, "right": LENGTHS - 1}


def filled(value: float, directions: int) -> Array:
    outputs = np.random.default_rng(0).uniform(-0.9, 0.9, (6, 10, 4 * directions)).astype(np.float32)
    outputs[np.arange(10) >= LENGTHS[:, None]] = value
    return outputs


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("value", [0.0, -1.0, -np.inf])
@pytest.mark.parametrize(
    ("taken", "cause"),
    [("last column", "last-column-as-final-state"), ("the step before", "off-by-one-length"), ("right", None)],
)
def test_the_fill_is_the_last_column_and_no_step(taken: str, cause: str | None, value: float, directions: int) -> None:
    """`outputs[:, -1]` of filled padding is that cause and no other, whatever the value; a state one step early is
    still told, and right states are accused of nothing."""
    outputs, rows = filled(value, directions), np.arange(6)
    state = outputs[rows, STEPS[taken]]
    if directions == 2 and taken != "last column":
        state[:, 4:] = outputs[:, 0, 4:]
    report = rnninspect.inspect(outputs, state, lengths=LENGTHS, bidirectional=directions == 2 or None)
    causes = {f.rule for f in report.findings if f.severity != "note"}
    wrong_end = {"backward-final-at-last-step"} if directions == 2 and taken == "last column" else set()
    assert causes == ({cause} | wrong_end if cause else set())


def test_a_fill_that_is_no_number_is_told_as_such() -> None:
    """NaN has a cause of its own, which the last column would hide: a run over NaN in the padding gives it too."""
    outputs = filled(np.nan, 1)
    report = rnninspect.inspect(outputs, outputs[:, -1], lengths=LENGTHS)
    assert "nonfinite-values" in {f.rule for f in report.findings}
    assert "last-column-as-final-state" not in {f.rule for f in report.findings}


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_fill_needs_no_lengths_to_be_one(value: float) -> None:
    """Rows that end in one value are padded, whatever it is, and right states beside them are accused of nothing."""
    outputs = filled(value, 1)
    report = rnninspect.inspect(outputs, outputs[np.arange(6), LENGTHS - 1])
    assert {(f.rule, f.severity) for f in report.findings} == {("nonfinite-values", "note")}


def test_one_unit_in_one_row_may_hold_it_by_chance() -> None:
    """A single number that equals a single padded one is no fill: it stays one step after the end."""
    outputs = np.array([[[0.1], [0.2], [0.7]], [[0.3], [0.4], [0.5]]])
    report = rnninspect.inspect(outputs, np.array([[0.7], [0.5]]), lengths=[2, 3])
    assert "last-column-as-final-state" not in {f.rule for f in report.findings}
