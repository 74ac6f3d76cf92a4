"""States in another order of the rows are not taken for other axes, where the shapes leave both open."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.rules import rules
from rnninspect.report.report import Report
from tests.support.made import correct_case


def permuted(rows: int, steps: int, convention: str, directions: int = 1) -> dict[str, np.ndarray]:
    """Outputs `[B, T, H]` and states of other rows, of full rows."""
    case = correct_case("gru", 1, directions, lengths=np.full(rows, steps), steps=steps, convention=convention)
    wrong = rules()["rows-permuted"].inject(case)
    tracks = wrong.trace.tracks
    states = np.stack([t.final for t in tracks])  # type: ignore[arg-type]
    return {"output": np.concatenate([t.outputs for t in tracks], -1), "h_n": states}  # type: ignore[arg-type]


def named(report: Report) -> list[str]:
    return [f.rule for f in report.findings if f.severity != "note"]


@pytest.mark.parametrize("convention", ["torch", "paddle", "mxnet"])
@pytest.mark.parametrize("rows", [2, 4, 6])
def test_one_step_a_row(rows: int, convention: str) -> None:
    """Lengths that count one step of each row say which axis is time: states of other rows are no steps of one row."""
    arrays = permuted(rows, 1, convention)
    assert named(rnninspect.inspect(arrays, lengths=np.ones(rows, dtype=int), convention=convention)) == [
        "rows-permuted"
    ]


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("directions", [1, 2])
def test_as_many_rows_as_steps(size: int, directions: int) -> None:
    """Axes that were stated are believed, unless by others the states are of the last steps."""
    arrays = permuted(size, size, "torch", directions)
    stated_axes = {"lengths": np.full(size, size), "time_major": False, "bidirectional": directions == 2}
    report = rnninspect.inspect(arrays, convention="torch", **stated_axes)
    assert named(report) == ["rows-permuted"]


@pytest.mark.parametrize("size", [3, 5])
def test_other_axes_are_seen(size: int) -> None:
    """A layer that read the batch's axis as time is still told from that."""
    case = correct_case("gru", 1, 1, lengths=np.full(size, size), steps=size, convention="torch")
    track = case.trace.tracks[0]
    assert track.outputs is not None
    assert track.final is not None
    arrays = {"output": track.outputs.swapaxes(0, 1), "h_n": track.final[None]}
    report = rnninspect.inspect(arrays, lengths=np.full(size, size), convention="torch", time_major=False)
    assert "batch-time-swapped" in named(report)


@pytest.mark.parametrize("lengths", [[1, 2], [2, 2]])
def test_inputs_say_how_many_rows_there_are(lengths: list[int]) -> None:
    """ONNX's `Y` `[2, 2, 1, H]` fits two rows, or one of two directions; inputs of two rows fit the first alone."""
    right = correct_case("gru", 1, 1, lengths=np.array(lengths), steps=2, convention="onnx")
    arrays = build_case.dump(rules()["rows-permuted"].inject(right))
    report = rnninspect.inspect(arrays, convention="onnx")
    assert report.shape["batch"] == 2
    assert report.shape["directions"] == 1
    assert "rows-permuted" in {name for f in report.findings for name in (f.rule, *f.alternatives)}
