"""ONNX models whose weights are inputs of the graph, and those whose batch comes first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.cli import call
from rnninspect.errors import UserError

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

STEPS, ROWS, FEATURES, UNITS = 5, 3, 2, 4
DRAW = np.random.default_rng(0)
FEED = {
    name: DRAW.normal(size=shape, scale=0.5).astype(np.float32)
    for name, shape in {
        "X": (STEPS, ROWS, FEATURES),
        "W": (1, 3 * UNITS, FEATURES),
        "R": (1, 3 * UNITS, UNITS),
        "B": (1, 6 * UNITS),
    }.items()
}


def model(path: Path, *, stored: tuple[str, ...] = (), turned: bool = False) -> Path:
    """A GRU whose W, R and B are inputs; those `stored` have defaults, W comes transposed where `turned`."""
    kernel = "W_turned" if turned else "W"
    nodes = [helper.make_node("Transpose", ["W"], ["W_turned"], perm=[0, 2, 1])] if turned else []
    nodes += [helper.make_node("GRU", ["X", kernel, "R", "B"], ["Y", "Y_h"], name="gru", hidden_size=UNITS)]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in FEED]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("Y", "Y_h")]
    defaults = [numpy_helper.from_array(FEED[name], name) for name in stored]
    graph = helper.make_graph(nodes, "g", inputs, outputs, defaults)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    path.write_bytes(made.SerializeToString())
    return path


def test_a_batch_may_hold_the_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ONNX Runtime's own feed and results: clean; with another W in the batch they are not."""
    path = model(tmp_path / "m.onnx")
    y, y_h = runtime.InferenceSession(str(path)).run(None, FEED)
    for wrong in (False, True):
        fed = FEED | ({"W": FEED["W"][:, ::-1]} if wrong else {})
        np.savez(tmp_path / "d.npz", Y=y, Y_h=y_h, **fed)
        exit_code = call(["compare", str(tmp_path / "d.npz"), "--weights", str(path), "--lengths", "full", "-q"])
        assert exit_code == int(wrong), capsys.readouterr().out
        report = rnninspect.compare(tmp_path / "d.npz", weights=path, lengths="full")
        assert report.ok is not wrong


@pytest.mark.parametrize("turned", [False, True])
def test_a_feed_goes_with_a_model(turned: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`convert` and `list layers` take it as a file, also where the graph lays the weights out anew; without it, one
    line says what to do."""
    path = model(tmp_path / "m.onnx", turned=turned)
    fed = FEED | ({"W": FEED["W"].transpose(0, 2, 1)} if turned else {})
    np.savez(tmp_path / "feed.npz", **fed)  # type: ignore[arg-type]
    out = str(tmp_path / "w.npz")
    model_and_feed = [str(path), "--feed", str(tmp_path / "feed.npz")]
    assert call(["convert", *model_and_feed, "--to", "onnx", "-o", out, "-q"]) == 0
    assert np.array_equal(np.load(out)["W"], FEED["W"])
    assert call(["list", "layers", *model_and_feed, "--format", "json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out.partition("\n[")[2].join(["[", ""]))[0]["features"] == "2"
    assert call(["convert", str(path), "--to", "onnx", "-o", out]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "is computed from W, an input of the graph" in error if turned else "is an input of the graph" in error
    assert "--feed" in error


def test_a_program_is_told_how_to_feed_a_model(tmp_path: Path) -> None:
    """Python has no --feed: the message says what to give, and `run` and `inspect` take it so."""
    path = model(tmp_path / "m.onnx")
    with pytest.raises(UserError, match=r"a batch or dump of all that the model is fed.*W among them") as raised:
        rnninspect.run({"X": FEED["X"]}, weights=path)
    assert "--" not in str(raised.value)
    assert "feed=" not in str(raised.value)
    trace = rnninspect.run(FEED, weights=path, time_major=True)
    y, y_h = runtime.InferenceSession(str(path)).run(None, FEED)
    assert np.abs(y[:, 0].swapaxes(0, 1) - trace.tracks[0].outputs).max() < 1e-6
    assert rnninspect.inspect({**FEED, "Y": y, "Y_h": y_h}, weights=path, lengths="full").ok


def test_defaults_of_inputs_are_taken(tmp_path: Path) -> None:
    """An initializer is the default of an input of the same name; a feed is before it."""
    from rnninspect.formats import read_arrays

    path = model(tmp_path / "m.onnx", stored=("W", "R", "B"))
    assert np.array_equal(read_arrays(path).arrays["gru.W"], FEED["W"])
    other = FEED["W"] + 1
    assert np.array_equal(read_arrays(path, feed={"W": other}).arrays["gru.W"], other)


@pytest.mark.parametrize("directions", [1, 2])
def test_a_batch_first_node_counts_its_layers(directions: int, tmp_path: Path) -> None:
    """`layout=1`: `[B, T, D, H]` and `[B, D, H]` are one layer, of as many directions as the node has."""
    name = "onnx-simple-rnn-batchwise" if directions == 1 else "onnx-simple-rnn-bidirectional"
    kernel, recurrent = (DRAW.normal(size=(directions, UNITS, n)).astype(np.float32) for n in (FEATURES, UNITS))
    attributes: dict[str, Any] = {"direction": "bidirectional"} if directions == 2 else {}
    node = helper.make_node("RNN", ["X", "W", "R"], ["Y", "Y_h"], name=name, hidden_size=UNITS, layout=1, **attributes)
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, None)]
    outputs = [helper.make_tensor_value_info(value, TensorProto.FLOAT, None) for value in ("Y", "Y_h")]
    held = [numpy_helper.from_array(array, part) for part, array in (("W", kernel), ("R", recurrent))]
    made = helper.make_model(helper.make_graph([node], "g", inputs, outputs, held))
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    inputs_of_batch = DRAW.normal(size=(ROWS, STEPS, FEATURES)).astype(np.float32)
    trace = rnninspect.run(
        {"X": inputs_of_batch}, lengths=[5, 2, 3], weights=tmp_path / "m.onnx", convention="onnx", time_major=False
    )
    assert len(trace.tracks) == directions
    y = np.stack([np.asarray(t.outputs) for t in trace.tracks], axis=2)
    y_h = np.stack([np.asarray(t.final) for t in trace.tracks], axis=1)
    np.savez(tmp_path / "d.npz", X=inputs_of_batch, Y=y, Y_h=y_h, sequence_lens=[5, 2, 3])
    report = rnninspect.compare(tmp_path / "d.npz", weights=tmp_path / "m.onnx")
    assert report.ok, report.render("table")
    assert len(report.tracks) == directions
    state_major = y_h.swapaxes(0, 1)
    np.savez(tmp_path / "d.npz", X=inputs_of_batch, Y=y, Y_h=state_major, sequence_lens=[5, 2, 3])
    if directions == 2:
        assert len(rnninspect.compare(tmp_path / "d.npz", weights=tmp_path / "m.onnx").tracks) == directions
