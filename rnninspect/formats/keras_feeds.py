"""A Keras model's `config.json` -> what each of its recurrent layers reads, by its order or its `inbound_nodes`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rnninspect.core.feed import Feed
from rnninspect.formats.keras_config import Layer, layer_name, layers_within

RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "CuDNNLSTM", "CuDNNGRU"})
# Layers that hand on what they read when a model is not being trained (keras/src/layers/regularization).
_UNCHANGED = frozenset({"Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout"})
_UNCHANGED |= {"ActivityRegularization", "Identity"}
_DEEP = 5  # layers that are told one within another

Tensor = tuple[str, int]  # a layer's name, and which of its outputs


def model_feeds(config: str | bytes, *, by_name: bool) -> dict[str, Feed]:
    """What every recurrent layer of a model reads, by the paths that its weights have (see `model_attributes`).

    A model whose config does not list its layers (a subclass) says nothing. Raises ValueError where it is no JSON.
    """
    model = json.loads(config)
    return dict(_feeds(model, "", by_name)) if isinstance(model, dict) else {}


def _feeds(node: Layer, path: str, by_name: bool) -> Iterator[tuple[str, Feed]]:
    placed = list(layers_within(node, path, by_name=by_name))
    if "cells" not in node["config"]:
        graph = _Graph(
            {layer_name(layer): (place, layer) for place, layer in placed}, _calls(node, [x for _, x in placed])
        )
        for place, layer in placed:
            if layer["class_name"] in RECURRENT:
                yield place, graph.feed(layer_name(layer))
    for place, layer in placed:
        if isinstance(layer["config"], (dict, list)) and layer["class_name"] not in RECURRENT:
            yield from _feeds(layer, place, by_name)


def _calls(node: Layer, layers: list[Layer]) -> dict[str, list[list[Tensor]]]:
    """By layer's name, what each call of it was given, the tensor that it reads first."""
    if node["class_name"] == "Sequential" or isinstance(node["config"], list):
        names = [layer_name(layer) for layer in layers]
        return {name: [[(names[i - 1], 0)] if i else []] for i, name in enumerate(names)}
    return {layer_name(layer): [list(_tensors(call)) for call in layer.get("inbound_nodes") or []] for layer in layers}


def _tensors(call: Any) -> Iterator[Tensor]:
    """Keras 3 writes tensors as objects with a history, Keras 2 as `[name, call, output, …]`."""
    if isinstance(call, Mapping):
        history = call.get("config", {}).get("keras_history") if call.get("class_name") == "__keras_tensor__" else None
        if history is not None:
            yield str(history[0]), int(history[2])
        else:
            yield from _tensors(call.get("args", ()))
    elif isinstance(call, (list, tuple)):
        if len(call) >= 3 and isinstance(call[0], str) and isinstance(call[1], int) and isinstance(call[2], int):
            yield call[0], call[2]
        else:
            for part in call:
                yield from _tensors(part)


@dataclass(frozen=True, eq=False)
class _Graph:
    """The layers of one model by name, with their paths, and what they were called on."""

    layers: Mapping[str, tuple[str, Layer]]
    calls: Mapping[str, list[list[Tensor]]]

    def feed(self, name: str) -> Feed:
        """What that recurrent layer reads: the first tensor of its one call."""
        calls = self.calls.get(name, [])
        if len(calls) != 1 or not calls[0]:
            return Feed(f"what its {len(calls)} calls give it" if len(calls) > 1 else "the model's input")
        tensor, unchanged = calls[0][0], []
        while self._hands_on(tensor[0]) and tensor[0] not in unchanged:
            unchanged.append(tensor[0])
            tensor = self.calls[tensor[0]][0][0]
        whole = self._whole_outputs(tensor)
        return Feed(self._words(calls[0][0], _DEEP), self.layers[tensor[0]][0] if whole else None, tuple(unchanged))

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
        name, output = tensor
        layer = self.layers.get(name, ("", {}))[1]
        if not layer or layer["class_name"] == "InputLayer":
            return f"the input {name}"
        if layer["class_name"] in RECURRENT:
            if self._whole_outputs(tensor):
                return f"the outputs of {name}"
            return f"the last output of {name}" if output == 0 else f"a state of {name}"
        tensors = self.calls.get(name, [[]])[0] if self.calls.get(name) else []
        if not tensors:
            return f"{name} ({layer['class_name']}) of the model's input"
        inner = " and ".join(self._words(t, depth - 1) for t in tensors[:3]) if depth else "…"
        return f"{name} ({layer['class_name']}) of {inner}"
