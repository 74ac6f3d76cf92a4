"""A Keras model's `config.json` -> what each of its recurrent layers reads, by its order or its `inbound_nodes`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rnninspect.core.feed import Feed
from rnninspect.formats.keras_config import Layer, layer_name, layers_within

RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "CuDNNLSTM", "CuDNNGRU"})
# Layers that hand on what they read when a model is not being trained (keras/src/layers/regularization).
_UNCHANGED = frozenset({"Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout"})
_UNCHANGED |= {"ActivityRegularization", "Identity"}
_DEEP = 5  # layers that are told one within another
_LONG = 64  # layers that are followed one behind the other
_INPUT = ""  # stands for what a Sequential without an InputLayer reads

Tensor = tuple[str, int]  # a layer's name, and which of its outputs


def model_feeds(config: str | bytes, *, by_name: bool) -> dict[str, Feed]:
    """What every recurrent layer of a model reads, by the paths that its weights have (see `model_attributes`).

    Models within a model are gone through: what the inner one gives out and reads is followed to the layers beside it.
    A model whose config does not list its layers (a subclass) says nothing. Raises ValueError where it is no JSON.
    """
    model = json.loads(config)
    return dict(_Graph.of(model, "", by_name, None).feeds()) if _lists_layers(model) else {}


def _lists_layers(node: Any) -> bool:
    return isinstance(node, Mapping) and isinstance(node.get("config"), (dict, list)) and "cells" not in node["config"]


def _calls(node: Layer, layers: list[Layer]) -> dict[str, list[list[Tensor]]]:
    """By layer's name, what each call of it was given, the tensor that it reads first."""
    if _is_sequence(node):
        names = [_INPUT, *(layer_name(layer) for layer in layers)]
        return {
            name: [[(names[i], 0)] if layers[i]["class_name"] != "InputLayer" else []]
            for i, name in enumerate(names[1:])
        }
    return {layer_name(layer): [list(_tensors(call)) for call in layer.get("inbound_nodes") or []] for layer in layers}


def _starts(layers: list[Layer]) -> dict[str, list[Tensor]]:
    """By layer's name, what it was called with as `initial_state`."""
    starts: dict[str, list[Tensor]] = {}
    for layer in layers:
        calls = layer.get("inbound_nodes") or []
        keywords = [call.get("kwargs", {}) for call in calls if isinstance(call, Mapping)]
        tensors = [tensor for held in keywords for tensor in _tensors(held.get("initial_state"))]
        behind = [
            tensor for call in calls for tensor in list(_tensors(call))[1:]
        ]  # Keras 2 lists them behind the inputs
        starts[layer_name(layer)] = [*behind, *tensors]
    return starts


def _is_sequence(node: Layer) -> bool:
    return node["class_name"] == "Sequential" or isinstance(node["config"], list)


def _ends(node: Layer, layers: list[Layer]) -> tuple[list[str], list[Tensor]]:
    """The names of a model's inputs, and the tensors that it gives out."""
    if _is_sequence(node):
        first = layer_name(layers[0]) if layers and layers[0]["class_name"] == "InputLayer" else _INPUT
        return [first], [(layer_name(layer), 0) for layer in layers[-1:]]
    config = node["config"]
    return [name for name, _ in _tensors(config.get("input_layers"))], list(_tensors(config.get("output_layers")))


def _tensors(call: Any) -> Iterator[Tensor]:
    """Keras 3 writes tensors as objects with a history, Keras 2 as `[name, call, output, …]`."""
    if isinstance(call, Mapping):
        history = call.get("config", {}).get("keras_history") if call.get("class_name") == "__keras_tensor__" else None
        if history is not None:
            yield str(history[0]), int(history[2])
        else:
            for part in [call["args"]] if "args" in call else call.values():
                yield from _tensors(part)
    elif isinstance(call, (list, tuple)):
        if len(call) >= 3 and isinstance(call[0], str) and isinstance(call[1], int) and isinstance(call[2], int):
            yield call[0], call[2]
        else:
            for part in call:
                yield from _tensors(part)


@dataclass(frozen=True, eq=False)
class _Graph:
    """The layers of one model by name, with their paths, and what they were called on.

    `inputs`, `outputs`: the names of what it reads, the tensors that it gives out. `outer`: the model that it is a
    layer of, and its name there; `inner`: the models within it, by name. `starts`: the initial states of layers.
    """

    layers: Mapping[str, tuple[str, Layer]]
    calls: Mapping[str, list[list[Tensor]]]
    starts: Mapping[str, list[Tensor]]
    inputs: list[str]
    outputs: list[Tensor]
    outer: tuple[_Graph, str] | None
    inner: dict[str, _Graph] = field(default_factory=dict)

    @classmethod
    def of(cls, node: Layer, path: str, by_name: bool, outer: tuple[_Graph, str] | None) -> _Graph:
        """A model's graph, with those of the models within it; `path`: where its weights lie."""
        placed = list(layers_within(node, path, by_name=by_name))
        layers = [layer for _, layer in placed]
        named = {layer_name(layer): (place, layer) for place, layer in placed}
        graph = cls(named, _calls(node, layers), _starts(layers), *_ends(node, layers), outer)
        for place, layer in placed:
            if layer["class_name"] not in RECURRENT and _lists_layers(layer):
                graph.inner[layer_name(layer)] = cls.of(layer, place, by_name, (graph, layer_name(layer)))
        return graph

    def feeds(self) -> Iterator[tuple[str, Feed]]:
        """What each recurrent layer reads, here and within."""
        for name, (place, layer) in self.layers.items():
            if layer["class_name"] in RECURRENT:
                called = "" if name == place.rpartition("/")[2] else name
                yield place, replace(self.feed(name), called=called)
            elif name in self.inner:
                yield from self.inner[name].feeds()

    def feed(self, name: str) -> Feed:
        """What that recurrent layer reads: the first tensor of its one call."""
        calls = self.calls.get(name, [])
        if len(calls) != 1 or not calls[0]:
            return Feed(f"what its {len(calls)} calls give it" if len(calls) > 1 else "the model's input")
        graph, tensor = self._made_by(calls[0][0])
        unchanged: list[str] = []
        while graph._hands_on(tensor[0]) and len(unchanged) < _LONG:
            unchanged.append(tensor[0])
            graph, tensor = graph._made_by(graph.calls[tensor[0]][0][0])
        starts = [start for start in self.starts.get(name, []) if not self._is_input(start)]
        stacked = graph._whole_outputs(tensor) and self._runs_once_with(graph) and not starts
        below = graph.layers[tensor[0]][0] if stacked else None
        reads = [self._words(calls[0][0], _DEEP), *(f"starts from {self._words(start, _DEEP)}" for start in starts[:1])]
        return Feed("; ".join(reads), below, tuple(unchanged))

    def _is_input(self, tensor: Tensor) -> bool:
        """Whether it is what the whole model is given."""
        graph, (name, _) = self._made_by(tensor)
        return graph.outer is None and name in graph.inputs

    def _runs_once_with(self, other: _Graph) -> bool:
        """Whether both models, and all around them, are called once: then one run of the one goes with the other's."""
        return all(len(outer.calls.get(name, [])) == 1 for graph in (self, other) for outer, name in graph._around())

    def _around(self) -> Iterator[tuple[_Graph, str]]:
        if self.outer is not None:
            yield self.outer
            yield from self.outer[0]._around()

    def _made_by(self, tensor: Tensor) -> tuple[_Graph, Tensor]:
        """The tensor as the layer gives it out that makes it, in the model of that layer, which may be another."""
        graph = self
        for _ in range(_LONG):  # a model has no circles, but a damaged file may
            name, which = tensor
            if name in graph.inner and which < len(graph.inner[name].outputs):
                graph = graph.inner[name]
                tensor = graph.outputs[which]
            elif graph.outer is not None and name in graph.inputs:
                outer, called = graph.outer
                calls, at = outer.calls.get(called, []), graph.inputs.index(name)
                if len(calls) != 1 or at >= len(calls[0]):
                    break
                graph, tensor = outer, calls[0][at]
            else:
                break
        return graph, tensor

    def _hands_on(self, name: str) -> bool:
        """Whether a layer gives out the values of its one input."""
        layer, calls = self.layers.get(name, ("", {}))[1], self.calls.get(name, [])
        if not layer or len(calls) != 1 or len(calls[0]) != 1:
            return False
        config = layer["config"] if isinstance(layer["config"], dict) else {}
        wrapped = config.get("layer") if layer["class_name"] == "TimeDistributed" else layer
        linear = layer["class_name"] == "Activation" and config.get("activation") == "linear"
        return linear or (isinstance(wrapped, Mapping) and wrapped.get("class_name") in _UNCHANGED)

    def _whole_outputs(self, tensor: Tensor) -> bool:
        """Whether it is every step that a recurrent layer returns, of both directions where it has two."""
        layer = self.layers.get(tensor[0], ("", {}))[1]
        if not layer or layer["class_name"] not in RECURRENT or tensor[1] != 0:
            return False
        config = layer["config"]
        inner = config.get("layer", {}).get("config", {}) if layer["class_name"] == "Bidirectional" else config
        return bool(inner.get("return_sequences")) and config.get("merge_mode", "concat") is not None

    def _words(self, tensor: Tensor, depth: int) -> str:
        graph, (name, output) = self._made_by(tensor)
        layer = graph.layers.get(name, ("", {}))[1]
        if not layer or layer["class_name"] == "InputLayer":
            return f"the input {name}" if name else "the model's input"
        if layer["class_name"] in RECURRENT:
            if graph._whole_outputs((name, output)):
                return f"the outputs of {name}"
            return f"the last output of {name}" if output == 0 else f"a state of {name}"
        tensors = graph.calls.get(name, [[]])[0] if graph.calls.get(name) else []
        if not tensors:
            return f"{name} ({layer['class_name']}) of the model's input"
        inner = " and ".join(graph._words(t, depth - 1) for t in tensors[:3]) if depth else "…"
        return f"{name} ({layer['class_name']}) of {inner}"
