"""ONNX's activations for each direction: read, run as ONNX Runtime runs them, moved within ONNX, else refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect import conventions
from rnninspect.api.convert import attributes, convert, move
from rnninspect.core.layer_config import LayerConfig
from rnninspect.errors import UserError

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

UNITS, FEATURES = 4, 3
CASES: dict[str, tuple[str, list[str], dict[str, list[float]]]] = {
    "LSTM": (
        "LSTM",
        ["Sigmoid", "Tanh", "Tanh", "HardSigmoid", "Relu", "Softsign"],
        {"activation_alpha": [0.3], "activation_beta": [0.4]},
    ),
    "GRU": ("GRU", ["Sigmoid", "LeakyRelu", "Sigmoid", "Elu"], {"activation_alpha": [0.1, 0.7]}),
    "RNN": ("RNN", ["Tanh", "Relu"], {}),
    "RNN of one kind and two slopes": ("RNN", ["LeakyRelu", "LeakyRelu"], {"activation_alpha": [0.3, 0.6]}),
}
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def weights_of(kind: str) -> dict[str, Any]:
    rng, rows = np.random.default_rng(0), GATES[kind] * UNITS
    shapes = {"W": (2, rows, FEATURES), "R": (2, rows, UNITS), "B": (2, 2 * rows)}
    return {name: (rng.normal(size=shape) / 2).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("which", list(CASES))
def test_each_direction_has_activations_of_its_own(which: str, tmp_path: Path) -> None:
    """Both directions are what ONNX Runtime gives, alphas and betas going to their own direction's functions."""
    kind, activations, more = CASES[which]
    node = helper.make_node(
        kind, ["X", "W", "R", "B"], ["Y"], hidden_size=UNITS, direction="bidirectional", activations=activations, **more
    )
    held = [numpy_helper.from_array(array, name) for name, array in weights_of(kind).items()]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("X", "Y")]
    model = helper.make_model(
        helper.make_graph([node], "g", values[:1], values[1:], held), opset_imports=[helper.make_opsetid("", 14)]
    )
    model.ir_version = 8
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    inputs = np.random.default_rng(1).normal(size=(5, 3, FEATURES)).astype(np.float32)
    (expected,) = runtime.InferenceSession(str(tmp_path / "m.onnx")).run(None, {"X": inputs})
    trace = rnninspect.run(inputs, weights=tmp_path / "m.onnx", convention="onnx")
    for i, track in enumerate(trace.tracks):
        assert track.outputs is not None
        np.testing.assert_allclose(track.outputs.swapaxes(0, 1), expected[:, i], rtol=0, atol=2e-6)


def test_they_move_within_onnx_alone() -> None:
    """Written for ONNX again they are stated for both directions; torch has one for both, and Keras, whose halves have
    their own, none for the cell state."""
    options = {"activations": CASES["LSTM"][1], **CASES["LSTM"][2]}
    weights = conventions.get("onnx").read_weights(weights_of("LSTM"), LayerConfig(attributes=options))
    assert weights.spec_of("forward").activation == "tanh"
    assert weights.spec_of("backward").activation == "relu"
    assert attributes(weights, "onnx") == options
    assert move(weights, "onnx").difference == 0
    with pytest.raises(UserError, match="torch has no activations of its own for each direction"):
        convert(weights, "torch")
    with pytest.raises(UserError, match="keras has no activation of its own for the cell state"):
        convert(weights, "keras")


def test_three_sets_are_refused() -> None:
    """As many as the directions, or one for both."""
    config = LayerConfig(attributes={"activations": "Tanh,Tanh,Tanh"})
    with pytest.raises(UserError, match="rnn needs 1 a direction"):
        conventions.get("onnx").read_weights(weights_of("RNN"), config)
