"""What a weight file says about its own layers, as options."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect import conventions
from rnninspect.conventions.weights.config import of_file, unmatched
from rnninspect.core.layer_config import LayerConfig
from rnninspect.errors import UserError


def test_an_onnx_node_states_its_layer() -> None:
    """A node's attributes are options; `layout` says which axis comes first, and without it time does."""
    onnx = conventions.get("onnx")
    attributes = {"hidden_size": 5, "direction": b"bidirectional", "activations": [b"Relu"], "clip": 3.0}
    assert of_file(onnx, attributes, [""]) == {
        "direction": "bidirectional",
        "activations": ["Relu"],
        "clip": 3.0,
        "time_major": True,
    }
    assert of_file(onnx, {"layout": 1, "linear_before_reset": 1}, [""]) == {
        "linear_before_reset": 1,
        "time_major": False,
    }


def test_only_the_layers_own_words_count() -> None:
    """A Keras config speaks of every layer of a model; a dense layer's activation is not the LSTM's."""
    keras = conventions.get("keras")
    attributes = {
        "dense.activation": "softmax",
        "lstm.units": 4,
        "lstm.activation": "tanh",
        "lstm.recurrent_activation": "hard_sigmoid",
        "lstm.zero_output_for_mask": True,
        "lstm.go_backwards": False,
    }
    assert of_file(keras, attributes, ["layers/lstm/cell"]) == {
        "activation": "tanh",
        "recurrent_activation": "hard_sigmoid_keras3",
        "go_backwards": False,
        "padding": "zero",
    }


def test_layers_that_differ_are_named() -> None:
    """One statement speaks of all layers: where they differ, both are named."""
    keras = conventions.get("keras")
    attributes = {"gru.reset_after": True, "gru_1.reset_after": False}
    with pytest.raises(UserError, match="differ in reset_after: gru True, gru_1 False"):
        of_file(keras, attributes, ["gru", "gru_1"])
    assert of_file(keras, attributes, ["gru_1"]) == {"reset_after": False}


def test_most_weight_files_say_nothing() -> None:
    """A state dict has no words of its own."""
    assert of_file(conventions.get("torch"), {"direction": "reverse"}, [""]) == {}


RENAMED = {
    "a half's scope within a renamed one": ("wrap_19/wrap_19_1/forward_lstm_19/lstm_cell", "wrap_19/forward_lstm_19"),
    "a half of another name": ("model_weights/wrap/wrap/backward_gru_7", "wrap/backward_lstm"),
    "a layer's scope repeated": ("model_weights/lstm_1/lstm_1_1/lstm_cell_4", "lstm_1"),
    "within a model": ("model_weights/encoder/encoder/lstm_1/lstm_cell", "encoder/lstm_1"),
    "by class": ("layers/functional/layers/lstm/cell", "layers/functional/layers/lstm"),
}


@pytest.mark.parametrize("which", list(RENAMED))
def test_a_config_applies_to_renamed_scopes(which: str) -> None:
    """What the file says of a layer reaches its cells whatever Keras called the scopes, and no other layer's word."""
    scope, layer = RENAMED[which]
    attributes = {f"{layer}.recurrent_activation": "hard_sigmoid", "lstm.recurrent_activation": "relu"}
    attributes |= {"layers/lstm.recurrent_activation": "relu", f"{layer}.keras_version": "2.2.4"}
    assert of_file(conventions.get("keras"), attributes, [scope]) == {"recurrent_activation": "hard_sigmoid"}


def test_a_config_without_weights_is_said() -> None:
    """Recurrent layers that the file describes and holds no cells for; dense ones are not."""
    keras = conventions.get("keras")
    attributes = {"gru.class_name": "GRU", "gru.activation": "relu", "lstm.class_name": "LSTM", "d.class_name": "Dense"}
    assert unmatched(keras, attributes, ["layers/lstm/cell"]) == ["gru (activation relu)"]
    assert not unmatched(keras, attributes, ["lstm", "gru/gru_1"])


@pytest.mark.parametrize("halves", [("forward_layer", "backward_layer"), ("forward_gru", "backward_gru_1")])
def test_each_half_has_its_own_activation(halves: tuple[str, str]) -> None:
    """The two layers of a Bidirectional may differ in activations, and in nothing else that one statement says."""
    keras = conventions.get("keras")
    forward, backward = (f"layers/bidirectional/{half}" for half in halves)
    attributes = {f"{forward}.activation": "relu", f"{backward}.activation": "tanh"}
    attributes |= {f"{layer}.recurrent_activation": "sigmoid" for layer in (forward, backward)}
    scopes = [f"{forward}/cell", f"{backward}/cell"]
    assert of_file(keras, attributes, scopes) == {"activation": "relu,tanh", "recurrent_activation": "sigmoid"}
    attributes |= {f"{forward}.reset_after": True, f"{backward}.reset_after": False}
    with pytest.raises(UserError, match="the layers differ in reset_after"):
        of_file(keras, attributes, scopes)


def test_a_backward_layer_that_keeps_its_own_name() -> None:
    """A legacy file calls the `backward_layer` that was given as its author did; two layers are no such pair."""
    keras = conventions.get("keras")
    names = ("w/bi/forward_gru/gru_cell", "w/bi/reader/gru_cell")
    shapes = {"kernel": (3, 12), "recurrent_kernel": (4, 12), "bias": (2, 12)}
    arrays = {f"{name}/{part}": np.ones(shape) for name in names for part, shape in shapes.items()}
    scopes = keras.scopes(arrays, LayerConfig())  # type: ignore[attr-defined]
    assert [(scope.name, scope.direction) for scope in scopes] == [
        ("w/bi/forward_gru/gru_cell", "forward"),
        ("w/bi/backward_reader/gru_cell", "backward"),
    ]
    apart = {name.replace("forward_", "").replace("bi/reader", "reader"): array for name, array in arrays.items()}
    assert {scope.direction for scope in keras.scopes(apart, LayerConfig())} == {None}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3)])
def test_layers_that_ran_on_cudnn(cell: str, gates: int) -> None:
    """Keras 2's CuDNNLSTM and CuDNNGRU: each gate's block holds the numbers of its transpose, and biases are two."""
    keras, draw, features, units = conventions.get("keras"), np.random.default_rng(0), 3, 4
    kernel, recurrent = draw.normal(size=(features, gates * units)), draw.normal(size=(units, gates * units))
    biases = draw.normal(size=(2, gates * units))
    usual = {"kernel": kernel, "recurrent_kernel": recurrent, "bias": biases.sum(0) if gates == 4 else biases}

    def in_rows(whole: np.ndarray) -> np.ndarray:
        blocks = [whole[:, units * g : units * (g + 1)] for g in range(gates)]
        return np.hstack([np.ravel(block, order="F").reshape(block.shape) for block in blocks])

    cudnn = {"kernel": in_rows(kernel), "recurrent_kernel": in_rows(recurrent), "bias": biases.reshape(-1)}
    config = LayerConfig(cell=cell)
    want, got = (keras.read_weights({f"r/{k}:0": a for k, a in w.items()}, config) for w in (usual, cudnn))
    assert want.spec == got.spec
    for part in ("input_kernel", "recurrent_kernel", "bias"):
        np.testing.assert_allclose(getattr(want.layers[0], part), getattr(got.layers[0], part), rtol=1e-15)
