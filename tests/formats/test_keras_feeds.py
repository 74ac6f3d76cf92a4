"""What the recurrent layers of a Keras model read, by its config, through models within a model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rnninspect.formats.keras_feeds import model_feeds

Layer = dict[str, Any]


def layer(kind: str, name: str, *calls: list[tuple[str, int]], **config: Any) -> Layer:
    """A layer as Keras 3 describes it, called on tensors `(layer, output)`."""
    nodes = [{"args": [keras_tensor(*tensor) for tensor in call], "kwargs": {}} for call in calls]
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def keras_tensor(name: str, output: int) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"shape": [None, 5, 3], "keras_history": [name, 0, output]}}


def lstm(name: str, *calls: list[tuple[str, int]]) -> Layer:
    return layer("LSTM", name, *calls, return_sequences=True)


def sequence(name: str, *layers: Layer, calls: tuple[list[tuple[str, int]], ...] = ()) -> Layer:
    return layer("Sequential", name, *calls, layers=list(layers))


def functional(
    name: str,
    layers: list[Layer],
    inputs: list[str],
    outputs: list[tuple[str, int]],
    calls: tuple[list[tuple[str, int]], ...] = (),
) -> Layer:
    ends = {"input_layers": [[x, 0, 0] for x in inputs], "output_layers": [[x, 0, i] for x, i in outputs]}
    return layer("Functional", name, *calls, layers=layers, **ends)


def below(model: Layer) -> dict[str, str | None]:
    """What is under each recurrent layer, both by the layers' names."""
    return {name: feed.below for name, feed in model_feeds(json.dumps(model), by_name=True).items()}


ENTRY = layer("InputLayer", "x")
AT_X = ([("x", 0)],)


def test_a_sequence_within_a_model() -> None:
    """The layer behind reads what the sequence's last layer returns, through dropout; so does it three deep."""
    inner = sequence("inner", layer("InputLayer", "y"), lstm("a"), layer("Dropout", "d"), calls=AT_X)
    assert below(functional("m", [ENTRY, inner, lstm("b", [("inner", 0)])], ["x"], [("b", 0)])) == {
        "inner/a": None,
        "b": "inner/a",
    }
    deep = sequence("outer", sequence("mid", lstm("a")), lstm("b"), calls=AT_X)
    assert below(functional("m", [ENTRY, deep, lstm("c", [("outer", 0)])], ["x"], [("c", 0)])) == {
        "outer/mid/a": None,
        "outer/b": "outer/mid/a",
        "c": "outer/b",
    }


def test_a_layer_before_a_model_within() -> None:
    """The inner model's own input is what it was called on, by its place among several."""
    y, z = layer("InputLayer", "y"), layer("InputLayer", "z")
    top = functional("top", [y, z, lstm("b", [("z", 0)])], ["y", "z"], [("b", 0)], calls=([("x", 0), ("a", 0)],))
    assert below(functional("m", [ENTRY, lstm("a", [("x", 0)]), top], ["x"], [("top", 0)])) == {"a": None, "top/b": "a"}
    assert below(sequence("m", sequence("n", lstm("a")), sequence("o", lstm("b")))) == {"n/a": None, "o/b": "n/a"}


@pytest.mark.parametrize("by_keyword", [True, False], ids=["initial_state=", "behind the inputs"])
@pytest.mark.parametrize("start", ["a", "dense", "given"])
def test_a_decoder_that_starts_from_the_encoders_state_is_no_stack(start: str, by_keyword: bool) -> None:
    """A run of a stack starts every layer from zeros, or from what the user gives: an input of the model is such."""
    states = [("a", 1), ("a", 2)] if start == "a" else [(start, 0), (start, 0)]
    upper = lstm("b", [("a", 0)])
    if by_keyword:
        upper["inbound_nodes"][0]["kwargs"] = {"initial_state": [keras_tensor(*state) for state in states]}
    else:
        upper = lstm("b", [("a", 0), *states])
    lower, dense = lstm("a", [("x", 0)]), layer("Dense", "dense", [("x", 0)])
    model = functional("m", [ENTRY, layer("InputLayer", "given"), lower, dense, upper], ["x", "given"], [("b", 0)])
    feed = model_feeds(json.dumps(model), by_name=True)["b"]
    assert feed.below == ("a" if start == "given" else None)
    reads = {"a": "; starts from a state of a", "dense": "; starts from dense (Dense) of the input x", "given": ""}
    assert feed.reads == "the outputs of a" + reads[start]


def test_of_several_outputs_the_one_that_is_read() -> None:
    """A dense output beside the sequence's own: only who reads the latter is above it."""
    inside = [layer("InputLayer", "y"), lstm("a", [("y", 0)]), layer("Dense", "wide", [("a", 0)])]
    two = functional("two", inside, ["y"], [("wide", 0), ("a", 0)], calls=AT_X)
    for output, lower in ((0, None), (1, "two/a")):
        model = functional("m", [ENTRY, two, lstm("b", [("two", output)])], ["x"], [("b", 0)])
        assert below(model)["b"] == lower
    reads = model_feeds(json.dumps(functional("m", [ENTRY, two, lstm("b", [("two", 0)])], ["x"], [])), by_name=True)
    assert reads["b"].reads == "wide (Dense) of the outputs of a"


def test_a_model_that_is_called_twice_is_no_layer_of_a_stack() -> None:
    """Its layers run twice, so that one run of them is not what the layer behind reads."""
    inner = sequence("inner", lstm("a"), calls=([("x", 0)], [("inner", 0)]))
    assert below(functional("m", [ENTRY, inner, lstm("b", [("inner", 0)])], ["x"], [("b", 0)])) == {
        "inner/a": None,
        "b": None,
    }


@pytest.mark.parametrize("ends", [[("inner", 0)], [("gone", 0)], []])
def test_configs_that_go_round_in_circles_end(ends: list[tuple[str, int]]) -> None:
    """A damaged model whose inner one gives out itself, or nothing, is read to an end."""
    inner = functional("inner", [layer("InputLayer", "y"), lstm("a", [("y", 0)])], ["y"], ends, calls=([("inner", 0)],))
    assert below(functional("m", [ENTRY, inner, lstm("b", [("inner", 0)])], ["x"], [("b", 0)]))["b"] is None
