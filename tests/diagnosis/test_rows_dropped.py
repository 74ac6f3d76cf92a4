"""A state with rows for a part of the batch: which rows are lost is said, and the rows that are there are judged."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.core.trace import Array
from rnninspect.report.report import Report
from tests.support.made import correct_case

LENGTHS = np.array([7, 7, 5, 3, 2])


def run(directions: int = 1) -> tuple[Array, Array, Array]:
    """Outputs `[B, T, D*H]`, states `[D, B, H]` and inputs of a right run over rows sorted by length."""
    case = correct_case("gru", 1, directions, lengths=LENGTHS)
    tracks = case.trace.tracks
    assert case.batch is not None
    outputs = np.concatenate([np.asarray(t.outputs) for t in tracks], -1)
    return outputs, np.stack([np.asarray(t.final) for t in tracks]), case.batch.inputs


def inspect(outputs: Array, state: Array, **options: Any) -> Report:
    return rnninspect.inspect({"outputs": outputs, "final_state": state, "lengths": LENGTHS}, **options)


@pytest.mark.parametrize("convention", ["torch", "tf1", "keras", "flax", "auto"])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_rows_still_running_are_named(count: int, directions: int, convention: str) -> None:
    """The loop's last state has the longest rows alone: a warning says which, and that the loop left out the others."""
    if directions == 2 and convention not in ("torch", "auto"):
        pytest.skip("this framework returns two states, each of its own name")
    outputs, state, _ = run(directions)
    report = inspect(outputs, state[:, :count], bidirectional=directions == 2, batch_first=True, convention=convention)
    (finding,) = [f for f in report.findings if f.severity != "note"]
    assert (finding.rule, finding.severity, finding.rows) == ("rows-dropped", "warning", list(range(count)))
    assert finding.evidence == {"rows": list(range(count)), "batch_size": 5}
    assert ("still running" in finding.message) == (count in (2, 4))
    assert re.search(rf"outputs?{'_fw' if directions == 2 else ''}\[(np|torch)\.arange", finding.fix)
    assert not report.ok or report.verdict == "findings"


def laid(states: Array, axes: str) -> Array:
    """States `[D, B, H]` of one layer along other axes; of a vector the one row."""
    by_row = states.swapaxes(0, 1)
    return {"L D B H": states[None], "B D H": by_row, "H": by_row.reshape(-1)}[axes]


@pytest.mark.parametrize(("axes", "count"), [("L D B H", 2), ("B D H", 2), ("B D H", 4), ("H", 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_rows_that_stand_on_any_axis_are_named_and_put_in_place(directions: int, axes: str, count: int) -> None:
    """Of states with four axes, with their rows first and of one vector the rows are told, and the fixed state holds
    every row's own along the same axes."""
    outputs, states, _ = run(directions)
    kept, whole = laid(states[:, :count], axes), laid(states, "B D H" if axes == "H" else axes)
    about = {"bidirectional": directions == 2, "batch_first": True}
    assert "rows-dropped" in [f.rule for f in inspect(outputs, kept, **about).findings]
    fixed = rnninspect.fix({"outputs": outputs, "final_state": kept, "lengths": LENGTHS}, **about)
    assert fixed.arrays["final_state"].tolist() == (whole.reshape(5, -1) if axes == "H" else whole).tolist()


def test_the_whole_state_is_clean() -> None:
    """Every row's own state, the right twin, is not remarked on."""
    outputs, state, _ = run()
    assert inspect(outputs, state[0]).verdict == "clean"


def test_rows_from_all_over_the_batch_are_no_shrinking_loop() -> None:
    """Rows 4 and 2 alone: the others are lost, but no loop that shrinks leaves these."""
    outputs, state, _ = run()
    (finding,) = inspect(outputs, state[0][[4, 2]]).findings
    assert finding.rule == "rows-dropped"
    assert finding.evidence["rows"] == [4, 2]
    assert "running" not in finding.message


def test_a_kept_row_is_still_judged() -> None:
    """A wrong step in a row that is there is named beside the rows that are not."""
    outputs, state, _ = run()
    kept = state[0][:3].copy()
    kept[2] = outputs[2, 3]
    assert {f.rule for f in inspect(outputs, kept).findings} == {"rows-dropped", "off-by-one-length"}


@pytest.mark.parametrize(
    ("convention", "row", "rules"),
    [
        ("torch", -1, ["state-read-batch-first"]),
        ("tf1", -1, ["rows-dropped"]),
        ("torch", 0, ["rows-dropped"]),
        ("torch", 3, ["rows-dropped"]),
    ],
)
def test_the_last_row_alone_is_an_axis_read_for_another(convention: str, row: int, rules: list[str]) -> None:
    """`h_n[:, -1]` of one layer is the last row's vector, where states are stacked and that row is none of the
    longest: no shrinking loop ends with it."""
    outputs, state, _ = run()
    report = inspect(outputs, state[:, row], convention=convention, batch_first=True)
    assert [f.rule for f in report.findings if f.severity != "note"] == rules
