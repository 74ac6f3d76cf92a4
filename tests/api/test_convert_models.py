"""`convert --to onnx -o m.onnx`: a model that ONNX Runtime runs, and that gives what the layer gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect import conventions
from rnninspect.api.convert import move, write
from rnninspect.api.weights_file import read_layer
from rnninspect.cli import call
from rnninspect.core.batch import Batch
from rnninspect.core.cell import CellSpec
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Direction
from rnninspect.engine.run import run
from rnninspect.errors import UserError
from rnninspect.formats import read_arrays
from tests.support.oracles import random_stack

pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

ROWS, STEPS, FEATURES, UNITS = 3, 5, 2, 4
SPECS: dict[str, tuple[CellSpec, dict[str, Any]]] = {
    "lstm": (CellSpec("lstm"), {}),
    "lstm with a forget bias": (CellSpec("lstm", forget_bias=1.0), {}),
    "lstm with peepholes and a clip": (CellSpec("lstm", gate_clip=0.5), {"peepholes": True}),
    "lstm, coupled, hard": (CellSpec("lstm", input_forget=True, recurrent_activation="hard_sigmoid"), {}),
    "gru reset after": (CellSpec("gru"), {}),
    "gru reset before": (CellSpec("gru", reset_after=False), {}),
    "rnn relu": (CellSpec("rnn", activation="relu"), {}),
    "gru linear": (CellSpec("gru", activation="linear"), {}),
    "gru over a threshold": (CellSpec("gru", activation="thresholded_relu"), {}),
    "gru of Keras 3": (CellSpec("gru", recurrent_activation="hard_sigmoid_keras3", activation="softsign"), {}),
    "lstm whose second slope alone is stated": (
        CellSpec(
            "lstm",
            recurrent_activation="hard_sigmoid",
            activation="leaky_relu",
            output_activation="elu",
            activation_alpha=(("output", 0.3),),
        ),
        {},
    ),
}
WAYS: dict[str, tuple[Direction, ...]] = {
    "forward": ("forward",),
    "backward": ("backward",),
    "both": ("forward", "backward"),
}


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("which", list(SPECS))
def test_onnx_runtime_runs_what_was_written(which: str, layers: int, way: str, tmp_path: Path) -> None:
    """Outputs and final states are the layer's own; read back, the file is known for the stack that it is."""
    spec, parts = SPECS[which]
    weights = random_stack(
        np.random.default_rng(0), spec, FEATURES, UNITS, layers=layers, directions=WAYS[way], dtype="float32", **parts
    )
    weights = type(weights)(spec, weights.layers, convention="onnx")
    path = tmp_path / "m.onnx"
    assert write(move(weights, "onnx"), str(path)).agrees
    inputs = np.random.default_rng(1).normal(size=(ROWS, STEPS, FEATURES)).astype(np.float32)
    tracks = run(Batch(inputs, np.ones((ROWS, STEPS), bool)), weights)
    top = [track for track in tracks if track.layer == layers - 1]
    session = runtime.InferenceSession(str(path))
    y, *states = session.run(None, {"X": inputs.swapaxes(0, 1)})
    for i, track in enumerate(top):
        np.testing.assert_allclose(y[:, i].swapaxes(0, 1), track.outputs, rtol=0, atol=3e-6)  # type: ignore[arg-type]
        last = states[-2 if spec.cell == "lstm" else -1]
        np.testing.assert_allclose(last[i], track.final, rtol=0, atol=3e-6)  # type: ignore[arg-type]
    again = read_layer(read_arrays(path), LayerConfig())
    assert (again.weights.depth, again.weights.directions) == (layers, WAYS[way])


@pytest.mark.parametrize("name", ["gelu", "mish", "selu", "relu6", "softmax", "hard_silu"])
def test_what_no_node_can_have_is_not_written(name: str, tmp_path: Path) -> None:
    """ONNX Runtime would not load such a model; the refusal names the activation."""
    weights = random_stack(np.random.default_rng(0), CellSpec("rnn", activation=name), FEATURES, UNITS)
    with pytest.raises(UserError, match=f"onnx has no activation {name}"):
        write(move(weights, "onnx"), str(tmp_path / "m.onnx"))


def test_slopes_of_each_direction_stay_with_it() -> None:
    """A direction that takes its activation's default does not take over the value that the other one states."""
    rng = np.random.default_rng(0)
    forward = CellSpec("rnn", activation="leaky_relu", output_activation="leaky_relu")
    backward = CellSpec("rnn", activation="elu", output_activation="elu", activation_alpha=(("candidate", 0.3),))
    made = random_stack(rng, forward, FEATURES, UNITS, directions=WAYS["both"])
    moved = move(type(made)(forward, made.layers, convention="onnx", backward=backward), "onnx")
    assert moved.options["activation_alpha"] == [0.01, 0.3]
    assert moved.difference == 0


def test_the_command_writes_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From torch's state dict; a model file of another framework's layers is refused with what to do."""
    torch = conventions.get("torch")
    made = random_stack(np.random.default_rng(0), CellSpec("gru"), FEATURES, UNITS, layers=2, dtype="float32")
    np.savez(tmp_path / "t.npz", **torch.write_weights(made))  # type: ignore[arg-type]
    assert call(["convert", str(tmp_path / "t.npz"), "--to", "onnx", "-o", str(tmp_path / "m.onnx"), "-q"]) == 0
    assert "state beside it: --linear-before-reset 1" in capsys.readouterr().out
    assert read_layer(read_arrays(tmp_path / "m.onnx"), LayerConfig()).weights.spec.reset_after
    with pytest.raises(UserError, match="such a file holds onnx's layers, not keras's"):
        write(move(read_layer(read_arrays(tmp_path / "t.npz"), LayerConfig()).weights, "keras"), "x.onnx")


@pytest.mark.parametrize(
    ("layers", "way", "paths"),
    [
        (1, "forward", ["layers/lstm/cell"]),
        (2, "forward", ["layers/lstm/cell", "layers/lstm_1/cell"]),
        (
            2,
            "both",
            [f"layers/bidirectional{n}/{half}_layer/cell" for n in ("", "_1") for half in ("forward", "backward")],
        ),
    ],
)
def test_keras_finds_its_own_paths_in_weights_h5(layers: int, way: str, paths: list[str], tmp_path: Path) -> None:
    """`model.load_weights` of a Sequential looks there; `.h5` and other formats keep the names of the parts."""
    h5py = pytest.importorskip("h5py")
    weights = random_stack(
        np.random.default_rng(0), CellSpec(), FEATURES, UNITS, layers=layers, directions=WAYS[way], dtype="float32"
    )
    moved = move(type(weights)(weights.spec, weights.layers, convention="keras"), "keras")
    assert write(moved, str(tmp_path / "m.weights.h5")).agrees
    read = read_arrays(tmp_path / "m.weights.h5").arrays
    assert set(read) == {f"{path}/vars/{number}" for path in paths for number in range(3)}
    with h5py.File(tmp_path / "m.weights.h5") as file:
        assert list(file["vars"]) == []  # the model's own variables, which Keras 3.5 opens
    assert write(moved, str(tmp_path / "m.h5")).agrees
    assert not any("vars" in name for name in read_arrays(tmp_path / "m.h5").arrays)


def test_merged_directions_must_be_stated() -> None:
    """Two Bidirectionals whose upper one reads as many features as one direction gives: summed, multiplied, or what?"""
    keras = conventions.get("keras")
    made = random_stack(
        np.random.default_rng(0), CellSpec(), 3, 3, layers=2, directions=WAYS["both"], between="sum", dtype="float32"
    )
    arrays = keras.write_weights(made)
    with pytest.raises(UserError, match="do not say how: state merge_mode='sum', mul or ave"):
        keras.read_weights(arrays, LayerConfig(layers=2))
    assert keras.read_weights(arrays, LayerConfig(layers=2, merge_mode="sum")).between == "sum"
