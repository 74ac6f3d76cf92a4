"""What a weight file says of its own layers stands under what the user says, for the weights and for the dump."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import rnninspect
from rnninspect import conventions
from rnninspect.api.weights_file import read_layer
from rnninspect.cli import call
from rnninspect.core.cell import CellSpec
from rnninspect.core.layer_config import LayerConfig
from rnninspect.errors import ShapeError, UserError
from rnninspect.formats.base import NamedArrays
from tests.support.logical import logical_weights

STEPS, ROWS, FEATURES, UNITS = 5, 3, 2, 3
LENGTHS = np.array([5, 2, 3], dtype=np.int32)
ATTRIBUTES = {"direction": "reverse", "linear_before_reset": 1, "clip": 0.4, "activations": ["HardSigmoid", "Softsign"]}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A GRU node with attributes of its own, and what ONNX Runtime gives for it, time-major as it is."""
    weights = conventions.get("onnx").write_weights(logical_weights(CellSpec("gru"), two_biases=True))
    weights = {name: array.astype(np.float32) for name, array in weights.items()}
    make, kind = onnx.helper, onnx.TensorProto
    node = make.make_node(
        "GRU", ["X", "W", "R", "B", "sequence_lens"], ["Y", "Y_h"], name="gru", hidden_size=UNITS, **ATTRIBUTES
    )
    graph = make.make_graph(
        [node],
        "graph",
        [
            make.make_tensor_value_info("X", kind.FLOAT, [STEPS, ROWS, FEATURES]),
            make.make_tensor_value_info("sequence_lens", kind.INT32, [ROWS]),
        ],
        [make.make_tensor_value_info(name, kind.FLOAT, None) for name in ("Y", "Y_h")],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    made = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.save(made, tmp_path / "model.onnx")
    x = np.random.default_rng(4).normal(size=(STEPS, ROWS, FEATURES)).astype(np.float32)
    feeds = {"X": x, "sequence_lens": LENGTHS}
    y, y_h = onnxruntime.InferenceSession(made.SerializeToString()).run(None, feeds)
    np.savez(tmp_path / "batch.npz", **feeds)
    np.savez(tmp_path / "dump.npz", Y=y, Y_h=y_h, **feeds)
    return tmp_path


def run(folder: Path, *more: str) -> dict[str, np.ndarray]:
    """What `run --save` writes for the batch and the model."""
    arguments = ["run", str(folder / "batch.npz"), "--weights", str(folder / "model.onnx"), "--exit-zero", "-q", *more]
    assert call([*arguments, "--save", str(folder / "saved.npz"), "--format", "json", "-o", str(folder / "o")]) == 0
    with np.load(folder / "saved.npz") as saved:
        return dict(saved)


def test_a_model_states_its_own_layer(model: Path) -> None:
    """Axes, direction and every attribute come out of the model: no option is needed to get what the runtime gave."""
    saved = run(model)
    with np.load(model / "dump.npz") as dump:
        assert saved["Y"].shape == dump["Y"].shape
        np.testing.assert_allclose(saved["Y"], dump["Y"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(saved["Y_h"], dump["Y_h"], rtol=0, atol=1e-6)


def test_a_dump_is_read_as_its_model_says(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`compare --weights model.onnx` knows that the dump is time-major and reads backwards: it is clean."""
    assert call(["compare", str(model / "dump.npz"), "--weights", str(model / "model.onnx"), "-q"]) == 0
    assert "clean" in capsys.readouterr().out


def test_the_users_word_is_before_the_files(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that contradicts the model wins, and that is noted; `--batch-first` takes the axes' word from it."""
    ours = run(model, "--clip", "9")
    assert np.abs(ours["Y"] - run(model)["Y"]).max() > 1e-3
    arguments = ["run", str(model / "batch.npz"), "--weights", str(model / "model.onnx"), "--exit-zero", "--clip", "9"]
    call([*arguments, "--format", "json", "-o", str(model / "o")])
    noted = capsys.readouterr().err
    assert "its own clip is 0.4" in noted
    assert "as stated, 9.0 is used" in noted
    assert call([*arguments, "--batch-first", "-q"]) == 2
    assert "lengths has 3 values, but the batch has 5 rows" in capsys.readouterr().err


def test_rows_first_is_a_statement_in_python_too(model: Path) -> None:
    """`time_major=False` overrules the model's own axes, as `batch_first=True` does; left out, they are the model's."""
    square = np.random.default_rng(0).normal(size=(4, 4, FEATURES))
    arguments = {"weights": str(model / "model.onnx"), "lengths": "full"}
    by_rows, same, by_steps = (
        rnninspect.run(square, **arguments, **axes).tracks[0].outputs  # type: ignore[arg-type]
        for axes in ({"time_major": False}, {"batch_first": True}, {})
    )
    assert np.array_equal(by_rows, same)
    assert np.abs(by_rows - by_steps).max() > 1e-3


def named(arrays: dict[str, Any], **attributes: Any) -> NamedArrays:
    return NamedArrays(arrays, "x", "npz", attributes)


def test_a_dump_of_another_framework_has_its_own_axes() -> None:
    """A model's time-major axes and padding are not another framework's; direction and attributes are the weights'."""
    onnx_like = conventions.get("onnx")
    arrays = onnx_like.write_weights(logical_weights(CellSpec("gru", reset_after=False)))
    layer = read_layer(named(arrays, direction="reverse", clip=0.5), LayerConfig())
    same_framework, other = (layer.config_for(LayerConfig(), conventions.get(name)) for name in ("onnx", "torch"))
    assert (same_framework.time_major, same_framework.direction, same_framework.attributes["clip"]) == (
        True,
        "reverse",
        0.5,
    )
    assert (other.time_major, other.direction, other.attributes["clip"]) == (False, "reverse", 0.5)
    assert layer.weights.layers[0].direction == "backward"
    assert layer.weights.spec.gate_clip == 0.5


def test_what_the_weights_hold_is_stated_too() -> None:
    """Cell, layers, both directions and a projection are known from the arrays; what the user says stays."""
    arrays = conventions.get("torch").write_weights(
        logical_weights(CellSpec(), 2, ("forward", "backward"), projection=2)
    )
    config = read_layer(named(arrays), LayerConfig()).config_for(LayerConfig(), None)
    options = (config.cell, config.layers, config.direction, config.attributes)
    assert options == (
        "lstm",
        2,
        "bidirectional",
        {"num_proj": 2},
    )


def test_names_of_two_frameworks_are_decided_by_the_dump() -> None:
    """PyTorch's names are Paddle's too: PyTorch is likelier, unless the dump looks like Paddle's."""
    read = named(conventions.get("torch").write_weights(logical_weights(CellSpec())))
    assert read_layer(read, LayerConfig()).convention.name == "torch"
    assert read_layer(read, LayerConfig(), likely=["tf1", "paddle"]).convention.name == "paddle"


def test_no_frameworks_names_are_refused() -> None:
    """Names that no framework gives: they are shown, and what to state."""
    with pytest.raises(
        ShapeError, match=r"no known framework names recurrent weights so: a, b; state weights_convention="
    ):
        read_layer(named({"a": np.ones(1), "b": np.ones(1)}), LayerConfig())
    with pytest.raises(UserError, match="found no torch weights"):
        read_layer(named({"a": np.ones(1)}), LayerConfig(), "torch")
