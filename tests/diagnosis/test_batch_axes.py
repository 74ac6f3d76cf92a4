"""A batch is not read time-major in silence where only the file of weights has it so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect import inspect, run
from rnninspect.cli import call

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

ROWS, STEPS, FEATURES, UNITS = 3, 7, 2, 4
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(ROWS, STEPS, FEATURES)).astype(np.float32)
LENGTHS = [7, 5, 2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An ONNX LSTM whose layout is time-major, as ONNX has it by default."""
    held = [
        numpy_helper.from_array(np.random.default_rng(i).normal(size=(1, 16, n)).astype(np.float32), name)
        for i, (name, n) in enumerate((("W", FEATURES), ("R", UNITS)))
    ]
    node = helper.make_node("LSTM", ["X", "W", "R"], ["Y"], name="lstm", hidden_size=UNITS)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("X", TensorProto.FLOAT, None)], [], held)
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def outputs(batch: Any, model: Path, **more: Any) -> Any:
    return run(batch, weights=model, convention="onnx", **more).tracks[0].outputs


def test_lengths_and_masks_tell_which_axis_is_time(model: Path) -> None:
    """As many lengths as the first axis is long, or a mask of its axes: rows come first; else ONNX's own order."""
    rows_first = outputs(INPUTS, model, lengths=LENGTHS)
    assert rows_first.shape == (ROWS, STEPS, UNITS)
    turned = outputs(INPUTS.swapaxes(0, 1), model, lengths=LENGTHS)
    np.testing.assert_array_equal(rows_first, turned)
    mask = np.arange(STEPS) < np.array(LENGTHS)[:, None]
    np.testing.assert_array_equal(rows_first, outputs(INPUTS, model, mask=mask))
    np.testing.assert_array_equal(rows_first, outputs(INPUTS.swapaxes(0, 1), model, mask=mask))
    np.testing.assert_array_equal(rows_first, outputs(INPUTS, model, lengths=LENGTHS, batch_first=True))
    assert outputs(INPUTS, model).shape == (STEPS, ROWS, UNITS)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--lengths", "7,5,2"], "is read as [B, T, F]: there are 3 lengths"),
        ([], "is read as [T, B, F], as the weights' own framework has it; --batch-first reads it as [B, T, F]"),
        (["--lengths", "3,3,1,2,3,3,1"], "is read as [T, B, F], as the weights' own framework has it\n"),
        (["--batch-first", "--lengths", "7,5,2"], ""),
        (["--time-major"], ""),
    ],
)
def test_how_the_batch_is_read_is_said(
    options: list[str], sentence: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A note says which axis was taken for time, and how to have it otherwise; what is stated needs no word."""
    np.save(tmp_path / "x.npy", INPUTS)
    arguments = ["run", str(tmp_path / "x.npy"), "--weights", str(model), "-q", "--format", "json", *options]
    assert call(arguments) == 0
    shown = capsys.readouterr().out
    assert ("is read as" in shown) == bool(sentence)
    assert sentence.rstrip() in shown
    if sentence.endswith("\n"):
        assert "reads it as" not in shown


@pytest.mark.parametrize("rows", [ROWS, STEPS])
@pytest.mark.parametrize(("convention", "full"), [("auto", "full"), ("onnx", "one a row")])
def test_the_graph_around_a_node_may_have_turned_its_arrays(convention: str, full: str, rows: int, model: Path) -> None:
    """An export of a batch-first layer transposes what its time-major node reads and gives: the node speaks for its
    own `[T, D, B, H]`, and of `[B, T, H]` or `[T, B, H]` the states and a run tell the axes, or nothing does."""
    inputs = np.random.default_rng(1).normal(size=(rows, STEPS, FEATURES)).astype(np.float32)
    about: dict[str, Any] = {"weights": model, "convention": convention}
    about["lengths"] = "full" if full == "full" else [STEPS] * rows
    ran = run(inputs, weights=model, convention="onnx", batch_first=True, lengths=about["lengths"]).tracks[0]
    by_row, state = np.asarray(ran.outputs), np.asarray(ran.final)
    by_step, fed = by_row.swapaxes(0, 1), {"inputs": inputs}
    fed_by_step = {"inputs": inputs.swapaxes(0, 1)}
    right = [(by_row, state[None], fed), (by_row, state, fed), (by_row, state[None], {}), (by_step, state[None], {})]
    for outputs_read, final, of_run in [*right, (by_step, state[None], fed_by_step), (by_step, state, fed_by_step)]:
        report = inspect(outputs_read, final, **of_run, **about)
        assert (report.verdict, report.findings) == ("clean", [])
    if rows == STEPS:  # by the node's own axes `outputs[:, -1]` would be the steps of one row
        assert inspect(by_row, state, **about).verdict == "unjudged"
    wrong = inspect(by_step, by_step[:, -1], **fed_by_step, **about)
    assert wrong.verdict == "findings"
    node = inspect(by_step[:, None], state[None], **fed_by_step, **about)
    assert (node.verdict, node.findings) == ("clean", [])
