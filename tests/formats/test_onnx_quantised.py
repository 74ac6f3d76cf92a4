"""`DynamicQuantizeLSTM`: its weights are the numbers that they stand for, near what ONNX Runtime makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.cli import call
from rnninspect.errors import UnreadableError, UserError
from rnninspect.formats import read_arrays

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

STEPS, ROWS, FEATURES, UNITS = 6, 3, 4, 5
INPUTS = np.random.default_rng(0).normal(size=(STEPS, ROWS, FEATURES)).astype(np.float32)
PLACES = ("X", "W", "R", "B", "", "", "", "", "W_scale", "W_zero_point", "R_scale", "R_zero_point")


def quantised(directions: int, by_column: bool, signed: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """A layer's arrays as ONNX's LSTM holds them, and as the quantised operator does."""
    draw = np.random.default_rng([directions, by_column, signed])  # the same numbers in whichever order tests run
    dtype, low, high = (np.int8, -127, 127) if signed else (np.uint8, 0, 255)
    floats: dict[str, Any] = {"B": draw.normal(size=(directions, 8 * UNITS)).astype(np.float32)}
    whole: dict[str, Any] = {"B": floats["B"]}
    for part, reads in (("W", FEATURES), ("R", UNITS)):
        scale = draw.uniform(0.004, 0.009, (directions, 4 * UNITS) if by_column else directions).astype(np.float32)
        zero = np.full(scale.shape, 0 if signed else 128, dtype)
        numbers = draw.integers(low, high + 1, (directions, reads, 4 * UNITS)).astype(dtype)
        wide = (scale if by_column else scale[:, None])[:, None, :]
        floats[part] = ((numbers.astype(np.float64) - float(zero.flat[0])) * wide).swapaxes(1, 2).astype(np.float32)
        whole |= {part: numbers, f"{part}_scale": scale, f"{part}_zero_point": zero}
    return floats, whole


def write(path: Path, directions: int, whole: dict[str, Any]) -> Path:
    """A model of one such node, which ONNX Runtime runs."""
    direction = "bidirectional" if directions == 2 else "forward"
    node = helper.make_node(
        "DynamicQuantizeLSTM",
        list(PLACES),
        ["Y", "Y_h", "Y_c"],
        name="rnn",
        domain="com.microsoft",
        hidden_size=UNITS,
        direction=direction,
    )
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("X", "Y", "Y_h", "Y_c")]
    held = [numpy_helper.from_array(array, name) for name, array in whole.items()]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], held)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    made = helper.make_model(graph, opset_imports=imports)
    made.ir_version = 8
    path.write_bytes(made.SerializeToString())
    return path


@pytest.mark.parametrize("signed", [True, False], ids=["int8", "uint8"])
@pytest.mark.parametrize("by_column", [True, False], ids=["a scale a column", "one scale"])
@pytest.mark.parametrize("directions", [1, 2])
def test_the_weights_are_what_they_stand_for(directions: int, by_column: bool, signed: bool, tmp_path: Path) -> None:
    """(q - zero point) * scale, laid out as LSTM's; a run comes as near ONNX Runtime's as inputs of 8 bits allow."""
    floats, whole = quantised(directions, by_column, signed)
    path = write(tmp_path / "q.onnx", directions, whole)
    read = read_arrays(path)
    assert {name.rpartition(".")[2] for name in read.arrays} == {"W", "R", "B"}
    for part, expected in floats.items():
        np.testing.assert_allclose(read.arrays[f"rnn.{part}"], expected, rtol=1e-6, atol=0)
    assert any("DynamicQuantizeLSTM" in note and "near" in note for note in read.notes)
    trace = rnninspect.run({"X": INPUTS}, weights=path, time_major=True)
    y = np.stack([np.asarray(track.outputs).swapaxes(0, 1) for track in trace.tracks], axis=1)
    theirs = runtime.InferenceSession(str(path)).run(None, {"X": INPUTS})[0]
    assert 0 < np.abs(y - theirs).max() < 0.05
    floats["R"] = floats["R"][:, ::-1]  # other weights are not as near
    np.savez(tmp_path / "w.npz", **floats)
    trace = rnninspect.run({"X": INPUTS}, weights=tmp_path / "w.npz", time_major=True, bidirectional=directions == 2)
    other = np.stack([np.asarray(track.outputs).swapaxes(0, 1) for track in trace.tracks], axis=1)
    assert np.abs(other - theirs).max() > 0.1


def test_a_right_dump_is_not_measured_by_such_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its numbers are near those of a run, never equal: one line says so, and what to do."""
    path = write(tmp_path / "q.onnx", 1, quantised(1, False, True)[1])
    y, y_h, y_c = runtime.InferenceSession(str(path)).run(None, {"X": INPUTS})
    np.savez(tmp_path / "d.npz", X=INPUTS, Y=y, Y_h=y_h, Y_c=y_c)
    assert call(["compare", str(tmp_path / "d.npz"), "--weights", str(path), "--lengths", "full", "-q"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "DynamicQuantizeLSTM rounds what it reads to 8 bits" in error
    with pytest.raises(UserError, match="compare without weights="):
        rnninspect.inspect({"X": INPUTS, "Y": y, "Y_h": y_h}, weights=path, lengths="full")
    assert call(["compare", str(tmp_path / "d.npz"), "--lengths", "full", "-q"]) == 0


@pytest.mark.parametrize("part", ["W_scale", "R_zero_point"])
def test_scales_of_no_column_are_refused(part: str, tmp_path: Path) -> None:
    """Scales and zero points go with directions, or with their columns."""
    whole = quantised(1, True, True)[1]
    whole[part] = whole[part][:, :-1]
    with pytest.raises(UnreadableError, match=r"q\.onnx"):
        read_arrays(write(tmp_path / "q.onnx", 1, whole))
