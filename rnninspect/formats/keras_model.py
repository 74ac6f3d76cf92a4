"""A stack of recurrent layers -> a `.keras` file that Keras 3 loads: a Sequential model that returns every step."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
VERSION = "3.0.0"  # the first that reads such files
_CLASSES = {4: "LSTM", 3: "GRU", 1: "SimpleRNN"}
_HALVES = {"layer": "forward", "backward_layer": "backward"}  # a Bidirectional's parts
# Our names of activations that are not Keras 3's own; keras/src/activations/__init__.py lists those.
_NAMES = {"hard_sigmoid_keras3": "hard_sigmoid"}
_NOT_KERAS = frozenset({"hard_sigmoid", "thresholded_relu", "scaled_tanh", "affine"})

Cells = Mapping[str, Mapping[int, Array]]  # by path within a layer, the numbered variables of each cell
Config = dict[str, Any]


def write_model(arrays: Mapping[str, Array], weights: bytes, options: Mapping[str, Any], target: BinaryIO) -> None:
    """Write the archive. `arrays`: `layers/LAYER/…/vars/NUMBER`, whose HDF5 file `weights` is.

    `options`: the cell's attributes, `direction` and `merge_mode`. Raises UnreadableError where a Sequential model of
    Keras 3 does not compute that.
    """
    layers: dict[str, dict[str, dict[int, Array]]] = {}
    for key, array in arrays.items():
        _, layer, *inner, _, number = key.split("/")
        layers.setdefault(layer, {}).setdefault("/".join(inner), {})[int(number)] = array
    backward = options.get("direction") == "reverse"
    if backward and len(layers) > 1:
        raise UnreadableError(
            ".keras: layers that read backwards, one above the other, hand their outputs up in reversed time in Keras: "
            "write .weights.h5, and flip between them"
        )
    first = next(iter(layers.values()))
    kernel = next(iter(first.values()))[0]
    shape = [None, None, int(kernel.shape[0])]
    dtype = _object("DTypePolicy", {"name": kernel.dtype.name}, "keras")
    entry = _object("InputLayer", {"batch_shape": shape, "dtype": kernel.dtype.name, "name": "input_layer"})
    described = [_layer(name, cells, options, dtype, backward) for name, cells in layers.items()]
    model = _object("Sequential", {"name": "sequential", "layers": [entry, *described], "dtype": dtype}, "keras")
    model["build_config"] = {"input_shape": shape}
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(METADATA, json.dumps({"keras_version": VERSION, "date_saved": ""}))
        archive.writestr(CONFIG, json.dumps(model))
        archive.writestr(WEIGHTS, weights)


def weights_file(arrays: Mapping[str, Array], write: Any) -> bytes:
    """The bytes of the HDF5 file that `write` makes of the arrays."""
    with io.BytesIO() as held:
        write(dict(arrays), held)
        return held.getvalue()


def _object(class_name: str, config: Config, module: str = "keras.layers") -> Config:
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def _layer(name: str, cells: Cells, options: Mapping[str, Any], dtype: Config, backward: bool) -> Config:
    """One layer: a Bidirectional where its cells lie in two halves."""
    if not name.startswith("bidirectional"):
        return _recurrent(name, "", cells, _halved(options, backward), dtype, backward)
    parts = {
        part: _recurrent(f"{way}_{name}", f"{way}_layer/", cells, _halved(options, way == "backward"), dtype, i == 1)
        for i, (part, way) in enumerate(_HALVES.items())
    }
    return _object("Bidirectional", {"name": name, "merge_mode": options["merge_mode"], **parts, "dtype": dtype})


def _recurrent(
    name: str, prefix: str, cells: Cells, options: Mapping[str, Any], dtype: Config, backward: bool
) -> Config:
    """An LSTM, GRU or SimpleRNN, or an RNN of stacked cells; `prefix`: where in the layer its cells lie."""
    here = {path.removeprefix(prefix): variables for path, variables in cells.items() if path.startswith(prefix)}
    returns = {"name": name, "return_sequences": True, "go_backwards": backward, "dtype": dtype}
    if "cell" in here:
        return _object(_class(here["cell"]), {**returns, **_cell(here["cell"], options)})
    stacked = [
        _object(
            f"{_class(variables)}Cell", {"name": path.rpartition("/")[2], "dtype": dtype, **_cell(variables, options)}
        )
        for path, variables in here.items()
    ]
    stack = _object("StackedRNNCells", {"name": "stacked_rnn_cells", "cells": stacked, "dtype": dtype})
    return _object("RNN", {**returns, "cell": stack})


def _class(variables: Mapping[int, Array]) -> str:
    units, wide = variables[1].shape
    return _CLASSES[wide // units]


def _cell(variables: Mapping[int, Array], options: Mapping[str, Any]) -> Config:
    return {"units": int(variables[1].shape[0]), "use_bias": 2 in variables, **options}


def _halved(options: Mapping[str, Any], backward: bool) -> Config:
    """The cell's options under Keras 3's names, those of one direction where each has its own."""
    config: Config = {}
    for name in ("activation", "recurrent_activation"):
        if name in options:
            called = str(options[name]).split(",")[-1 if backward else 0]
            if called in _NOT_KERAS:
                slope = ", whose own hard_sigmoid is x / 6 + 0.5" if called == "hard_sigmoid" else ""
                raise UnreadableError(f".keras: Keras 3 has no {called}{slope}: write .weights.h5 or .npz")
            config[name] = _NAMES.get(called, called)
    if "reset_after" in options:
        config["reset_after"] = options["reset_after"]
    return config
