"""A Keras model's `config.json` -> plain values by layer, under the paths that its weights have; no code is run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Layer = Mapping[str, Any]  # an object with a class_name and a config

# Configs within a config that are parts of the layer, and the attribute of the layer that holds the part's weights
# (keras/src/layers/rnn/{bidirectional,rnn,stacked_rnn_cells}.py, keras/src/layers/core/wrapper.py).
_PARTS = ("layer", "backward_layer", "cell")
_ACTIVATIONS = ("activation", "recurrent_activation")
_OF_EVERY_LAYER = ("name", "dtype", "trainable", "batch_input_shape", "batch_shape")
# Layers that compute what a function does (keras/src/layers/activations, keras/src/activations/activations.py).
_AS_FUNCTIONS: tuple[tuple[str, str, Layer], ...] = (
    ("relu", "ReLU", {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}),
    ("relu6", "ReLU", {"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0}),
    ("leaky_relu", "LeakyReLU", {"negative_slope": 0.2}),
    ("leaky_relu", "LeakyReLU", {"alpha": 0.2}),
    ("elu", "ELU", {"alpha": 1.0}),
)


def model_attributes(config: str | bytes, *, version: str, by_name: bool) -> dict[str, Any]:
    """`PATH.attribute` -> value, for every layer of a model's config.

    `by_name`: paths are the layers' names, as in a legacy `.h5`; else they are those of `.weights.h5`, which counts
    classes (`layers/lstm_1`). `version`: the Keras that wrote it, repeated for each layer as `keras_version`; so is its
    class, as `class_name`. Raises ValueError where the config is no JSON.
    """
    attributes: dict[str, Any] = {}
    model = json.loads(config)
    if not isinstance(model, dict):
        return {}
    for path, layer in _walk(model, "", by_name):
        settings = layer["config"]
        values = {key: _plain(value) for key, value in settings.items() if key not in (*_PARTS, "layers", "cells")}
        values |= {key: _activation(settings[key]) for key in _ACTIVATIONS if key in settings}
        if path.rpartition("/")[2].startswith("backward_"):
            values.pop("go_backwards", None)  # it is what makes it the backward one
        attributes |= {f"{path}.{key}": value for key, value in values.items()}
        attributes |= {f"{path}.keras_version": version, f"{path}.class_name": layer["class_name"]}
    return attributes


def _plain(value: Any) -> Any:
    """Plain values as they are; of an object that stands for a function or a class, its name."""
    if isinstance(value, dict) and "class_name" in value:
        return value["config"] if isinstance(value.get("config"), str) else value["class_name"]
    return value


def _activation(value: Any) -> Any:
    """An activation's name; where a layer stands for it, with its settings, apart by spaces: `ELU(alpha=0.5)`.

    A layer with the settings that a function has is that function.

    >>> _activation({"class_name": "LeakyReLU", "config": {"name": "a", "negative_slope": 0.2}})
    'leaky_relu'
    """
    if not _is_layer(value) or not isinstance(value["config"], dict):
        return _plain(value)
    settings = {k: v for k, v in value["config"].items() if k not in _OF_EVERY_LAYER and not isinstance(v, dict)}
    alike = (name for name, class_name, same in _AS_FUNCTIONS if (class_name, same) == (value["class_name"], settings))
    shown = " ".join(f"{k}={v}" for k, v in settings.items())
    return next(alike, f"{value['class_name']}({shown})")


def _layers(node: Any) -> list[Layer]:
    """The layers of a model's config: a list, or within an object (Keras before 2.3 kept a Sequential's as a list)."""
    listed = node.get("layers", node.get("cells")) if isinstance(node, dict) else node
    return [x for x in listed if _is_layer(x)] if isinstance(listed, list) else []


def _is_layer(node: Any) -> bool:
    return (
        isinstance(node, dict)
        and isinstance(node.get("class_name"), str)
        and isinstance(node.get("config"), (dict, list))
    )


def _parts(layer: Layer) -> Iterator[tuple[str, Layer]]:
    config = layer["config"]
    for key in _PARTS:
        part: Any = config.get(key) if isinstance(config, dict) else None
        if _is_layer(part):
            yield key, part
        elif isinstance(part, list):  # RNN([cell, cell]) of Keras 1
            yield from ((key, x) for x in part if _is_layer(x))


def _walk(node: Layer, path: str, by_name: bool) -> Iterator[tuple[str, Layer]]:
    """Every layer and part of a layer within a node, with its path, depth first."""
    parts = _parts_by_name if by_name else _parts_by_class
    for place, layer in (*layers_within(node, path, by_name=by_name), *parts(node, path)):
        if isinstance(layer["config"], dict):
            yield place, layer
        yield from _walk(layer, place, by_name)


def layers_within(node: Layer, path: str, *, by_name: bool) -> Iterator[tuple[str, Layer]]:
    """The layers of a model, or the cells of a stack, each with its path.

    By class as `keras/src/saving/saving_lib.py` makes paths: attributes, and classes counted within a container.
    """
    prefix = f"{path}/" if path else ""
    counts: dict[str, int] = {}
    container = "cells" if "cells" in node["config"] else "layers"
    for layer in _layers(node["config"]):
        called = _snake(layer["class_name"])
        number = counts.get(called, 0)
        counts[called] = number + 1
        place = f"{container}/{called}" + (f"_{number}" if number else "")
        yield prefix + (layer_name(layer) if by_name else place), layer


def _parts_by_class(node: Layer, path: str) -> Iterator[tuple[str, Layer]]:
    """Parts of a layer by the attributes that hold them."""
    prefix = f"{path}/" if path else ""
    for key, part in _parts(node):
        yield prefix + ("forward_layer" if key == "layer" and node["class_name"] == "Bidirectional" else key), part


def _parts_by_name(node: Layer, path: str) -> Iterator[tuple[str, Layer]]:
    """Parts by name. A Bidirectional's halves are called forward_NAME and backward_NAME, in the config or later."""
    prefix = f"{path}/" if path else ""
    for key, part in _parts(node):
        way = {"layer": "forward_", "backward_layer": "backward_"}.get(key, "")
        way = way if node["class_name"] == "Bidirectional" else ""
        yield prefix + way + layer_name(part).removeprefix(way), part


def layer_name(layer: Layer) -> str:
    """The name that the model's author or Keras gave it."""
    config = layer["config"]
    return str(config.get("name", "")) if isinstance(config, dict) else str(layer.get("name", ""))


def _snake(name: str) -> str:
    """`to_snake_case` of keras/src/utils/naming.py."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
