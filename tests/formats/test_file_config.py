"""What a weight file says about its own layers, as options."""

from __future__ import annotations

import pytest

from rnninspect import conventions
from rnninspect.conventions.weights.config import of_file
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
