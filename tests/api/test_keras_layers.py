"""What a Keras config says of one layer: its own name, and the layer or function that its activation is."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect.api.weights_file import LayerFile, layers_of, read_layer
from rnninspect.core.layer_config import LayerConfig
from rnninspect.errors import UserError
from rnninspect.formats import read_arrays

h5py = pytest.importorskip("h5py")

FEATURES, UNITS = 2, 3


def model(path: Path, *layers: tuple[str, dict[str, Any]]) -> Path:
    """A `.keras` file of SimpleRNNs beside one another, each a name and its config; its biases are its number."""
    config = [
        {"class_name": "SimpleRNN", "name": name, "config": {"name": name, "units": UNITS, **more}}
        for name, more in layers
    ]
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        for i in range(len(layers)):
            place = "layers/simple_rnn" + (f"_{i}" if i else "") + "/cell/vars"
            for number, shape in enumerate([(FEATURES, UNITS), (UNITS, UNITS), (UNITS,)]):
                file[f"{place}/{number}"] = np.full(shape, i, np.float32)
    described = {"class_name": "Functional", "config": {"name": "model", "layers": config}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(described))
        archive.write(path.with_suffix(".h5"), "model.weights.h5")
    return path


def read(path: Path, prefix: str | None = None, **attributes: Any) -> LayerFile:
    return read_layer(read_arrays(path), LayerConfig(attributes=attributes), prefix=prefix)


def number(file: LayerFile) -> int:
    """Which layer of the model it is."""
    return int(file.weights.layers[0].bias[0, 0])


def test_a_layer_is_picked_by_its_own_name_too(tmp_path: Path) -> None:
    """Its weights lie under a path that counts classes; the list says both, and each picks it."""
    path = model(tmp_path / "m.keras", ("first", {}), ("second one", {}))
    assert [number(read(path, prefix)) for prefix in ("first", "second one", "layers/simple_rnn_1")] == [0, 1, 1]
    assert [x.reads.rpartition("; ")[2] for x in layers_of(read_arrays(path))[1]] == [
        "called first",
        "called second one",
    ]
    with pytest.raises(UserError, match="unknown layer for"):
        read(path, "third")


def test_a_name_that_is_another_layers_path_is_no_pick(tmp_path: Path) -> None:
    """Keras numbers names over all models of a program, and paths within one: the full path alone says which."""
    path = model(tmp_path / "m.keras", ("simple_rnn_1", {}), ("simple_rnn_2", {}))
    with pytest.raises(UserError, match="the layer called simple_rnn_1 lies at layers/simple_rnn, and layers/simple"):
        read(path, "simple_rnn_1")
    assert [number(read(path, prefix)) for prefix in ("simple_rnn_2", "layers/simple_rnn_1", "simple_rnn")] == [1, 1, 0]
    alike = model(tmp_path / "n.keras", ("simple_rnn", {}), ("simple_rnn_1", {}))
    assert [number(read(alike, prefix)) for prefix in ("simple_rnn", "simple_rnn_1")] == [0, 1]


def activation_layer(class_name: str, **settings: Any) -> dict[str, Any]:
    return {"activation": {"class_name": class_name, "config": {"name": "a", "trainable": True, **settings}}}


RELU = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}


@pytest.mark.parametrize(
    ("stated_so", "shown"),
    [
        (activation_layer("ELU", alpha=0.5), r"ELU\(alpha=0.5\)"),
        (activation_layer("LeakyReLU", negative_slope=0.3), r"LeakyReLU\(negative_slope=0.3\)"),
        (activation_layer("ReLU", **{**RELU, "max_value": 3.0}), r"ReLU\(max_value=3.0 "),
        ({"activation": {"class_name": "function", "config": "squared"}}, "squared"),
        ({"activation": "glu"}, "glu"),
    ],
)
def test_an_activation_without_a_formula_here_is_refused(stated_so: dict[str, Any], shown: str, tmp_path: Path) -> None:
    """With its settings, and without the name of a function that is another one; the user may state what it is."""
    path = model(tmp_path / "m.keras", ("rnn", stated_so))
    with pytest.raises(UserError, match=f"the file states activation {shown}") as caught:
        read(path)
    assert "did you mean" not in str(caught.value)
    assert read(path, activation="elu").weights.spec.activation == "elu"


@pytest.mark.parametrize(
    ("stated_so", "name"),
    [
        (activation_layer("ELU", alpha=1.0), "elu"),
        (activation_layer("LeakyReLU", negative_slope=0.2), "leaky_relu"),
        (activation_layer("LeakyReLU", alpha=0.2), "leaky_relu"),
        (activation_layer("ReLU", **RELU), "relu"),
        (activation_layer("ReLU", **{**RELU, "max_value": 6.0}), "relu6"),
        ({"activation": {"class_name": "function", "config": "relu"}}, "relu"),
    ],
)
def test_a_layer_that_is_a_known_function_is_that_one(stated_so: dict[str, Any], name: str, tmp_path: Path) -> None:
    """An activation layer with the settings that the function has computes the same."""
    assert read(model(tmp_path / "m.keras", ("rnn", stated_so))).weights.spec.activation == name
