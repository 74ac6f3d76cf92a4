"""A stack is what the file says is a stack: graph edges, a Keras config, one module's names; widths are no evidence."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect.api.weights_file import LayerFile, read_layer
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.errors import UserError
from rnninspect.formats import read_arrays

h5py = pytest.importorskip("h5py")
onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

UNITS = 3


def read(path: Path, prefix: str | None = None, **config: Any) -> LayerFile:
    return read_layer(read_arrays(path), LayerConfig(**config), prefix=prefix)


def refusal(path: Path, **config: Any) -> str:
    """The one line and its notes that refuse the file as a stack."""
    with pytest.raises(UserError) as caught:
        read(path, **config)
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# Keras: files made by hand as `keras/src/saving` and the legacy saver write them.


def layer(class_name: str, name: str, reads: tuple[str, int] | None = None, **config: Any) -> dict[str, Any]:
    """A layer of a config; `reads`: the layer and the output that it was called on."""
    if class_name in ("LSTM", "GRU"):
        config = {"return_sequences": True, "units": UNITS, **config}
    made = {"class_name": class_name, "config": {"name": name, **config}, "name": name, "inbound_nodes": []}
    if reads is not None:
        history = {"keras_history": [reads[0], 0, reads[1]]}
        made["inbound_nodes"] = [{"args": [{"class_name": "__keras_tensor__", "config": history}], "kwargs": {}}]
    return made


def keras_file(path: Path, model: dict[str, Any], *layers: str, features: int = UNITS) -> Path:
    """A `.keras` file of that config, with the variables of LSTMs at these paths."""
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        for seed, where in enumerate(layers):
            for number, shape in enumerate([(features, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,)]):
                file[f"layers/{where}/cell/vars/{number}"] = random(*shape, seed=seed)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(model))
        archive.write(path.with_suffix(".h5"), "model.weights.h5")
    return path


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": list(layers)}}


def functional(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Functional", "config": {"name": "functional", "layers": list(layers)}}


BETWEEN = {
    "nothing": ([], ""),
    "Dropout": ([layer("Dropout", "drop")], "through drop, which changes no value in a run"),
    "two noises": ([layer("GaussianNoise", "n"), layer("SpatialDropout1D", "s")], "through s, n, which"),
}


@pytest.mark.parametrize("between", list(BETWEEN))
def test_a_sequential_model_is_a_stack(between: str, tmp_path: Path) -> None:
    """One layer behind the other, Dropout between them: read as a stack, and it is said why."""
    middle, through = BETWEEN[between]
    model = sequential(layer("LSTM", "low"), *middle, layer("LSTM", "high"))
    weights = read(keras_file(tmp_path / "m.keras", model, "lstm", "lstm_1")).weights
    assert weights.depth == 2
    (note,) = weights.notes
    assert note.startswith("layers layers/lstm, layers/lstm_1 are read as one stack: layers/lstm_1 reads the outputs")
    assert through in note


@pytest.mark.parametrize("kind", ["BatchNormalization", "Dense", "LayerNormalization", "RepeatVector", "Lambda"])
def test_what_computes_between_two_layers_parts_them(kind: str, tmp_path: Path) -> None:
    """The layers are listed with what each reads, and each can be picked."""
    model = sequential(layer("LSTM", "low"), layer(kind, "middle"), layer("LSTM", "high"))
    path = keras_file(tmp_path / "m.keras", model, "lstm", "lstm_1")
    message = refusal(path)
    assert "several layers that are no stack; pick one with weights_prefix=:" in message
    assert f"layers/lstm_1: lstm, 3 features, 3 units; reads middle ({kind}) of the outputs of low" in message
    assert "several layers" in refusal(path, layers=2)  # the file knows better than who states it
    assert read(path, "lstm_1").weights.depth == 1


def test_the_last_output_is_not_the_outputs(tmp_path: Path) -> None:
    """A layer that returns its last step alone hands no sequence up; nor does one of which the state is read."""
    path = tmp_path / "m.keras"
    keras_file(path, sequential(layer("LSTM", "low", return_sequences=False), layer("LSTM", "high")), "lstm", "lstm_1")
    assert "reads the last output of low" in refusal(path)
    model = functional(
        layer("InputLayer", "x"),
        layer("LSTM", "low", ("x", 0), return_state=True),
        layer("LSTM", "high", ("low", 1)),
    )
    assert "reads a state of low" in refusal(keras_file(path, model, "lstm", "lstm_1"))


def test_a_functional_model_goes_by_its_edges(tmp_path: Path) -> None:
    """The order in the file does not count, branches beside one another are no stack, a chain is one."""
    path = tmp_path / "m.keras"
    chain = functional(layer("InputLayer", "x"), layer("LSTM", "top", ("bottom", 0)), layer("LSTM", "bottom", ("x", 0)))
    weights = read(keras_file(path, chain, "lstm", "lstm_1")).weights
    assert weights.names == ("layers/lstm_1/cell", "layers/lstm/cell")
    assert np.array_equal(weights.at(0, "forward").bias.ravel(), random(4 * UNITS, seed=1))
    branches = functional(layer("InputLayer", "x"), layer("LSTM", "a", ("x", 0)), layer("LSTM", "b", ("x", 0)))
    assert refusal(keras_file(path, branches, "lstm", "lstm_1")).count("reads the input x") == 2


def test_keras_2_edges_are_read_too(tmp_path: Path) -> None:
    """Nested lists of names, as Keras 2 writes them."""
    low, high = layer("LSTM", "low"), layer("LSTM", "high")
    low["inbound_nodes"], high["inbound_nodes"] = [[["x", 0, 0, {}]]], [[["low", 0, 0, {}]]]
    path = keras_file(tmp_path / "m.keras", functional(layer("InputLayer", "x"), low, high), "lstm", "lstm_1")
    assert read(path).weights.depth == 2


def test_weights_alone_do_not_say(tmp_path: Path) -> None:
    """Numbered layers of a file without a config: asked for, and taken where the user states that they are a stack."""
    path = tmp_path / "m.weights.h5"
    keras_file(tmp_path / "m.keras", sequential(), "lstm", "lstm_1").with_suffix(".h5").rename(path)
    message = refusal(path)
    assert "nothing says that they form one stack; give layers=2 if each reads the one before it, or pick" in message
    stacked = read(path, layers=2)
    assert stacked.weights.notes[0].endswith("are read as one stack: as \ufdd0layers=2\ufdd1 states")
    assert "activations are not stated in the file" in stacked.remarks[0]
    assert not read(path, layers=2, attributes={"activation": "relu"}).remarks


# torch and others: one module's layers are a stack, two modules are not.


def torch_lstm(prefix: str, suffix: str, features: int = UNITS) -> dict[str, Array]:
    shapes = {"weight_ih": (4 * UNITS, features), "weight_hh": (4 * UNITS, UNITS), "bias_ih": (12,), "bias_hh": (12,)}
    return {f"{prefix}{part}{suffix}": random(*shape) for part, shape in shapes.items()}


ONE_MODULE = [
    ("torch", [("rnn.", "_l0"), ("rnn.", "_l1")]),
    ("paddle", [("0.cell.", ""), ("1.cell.", "")]),
]
TWO_MODULES = [
    [("encoder.", "_l0"), ("decoder.", "_l0")],
    [("layers.0.", "_l0"), ("layers.1.", "_l0")],
    [("cell_0.", ""), ("cell_1.", "")],
    [("rnn.", "_l0"), ("rnn.", "_l1"), ("head.", "_l0")],
]


@pytest.mark.parametrize(("name", "scopes"), ONE_MODULE)
def test_layers_of_one_module_are_a_stack(name: str, scopes: list[tuple[str, str]], tmp_path: Path) -> None:
    """`_l0`, `_l1` under one name."""
    arrays = {key: array for prefix, suffix in scopes for key, array in torch_lstm(prefix, suffix).items()}
    np.savez(tmp_path / "w.npz", **arrays)  # type: ignore[arg-type]
    weights = read_layer(read_arrays(tmp_path / "w.npz"), LayerConfig(), name).weights
    assert weights.depth == 2
    assert "one module" in weights.notes[0]


@pytest.mark.parametrize("scopes", TWO_MODULES)
def test_modules_of_other_names_are_not(scopes: list[tuple[str, str]], tmp_path: Path) -> None:
    """Two modules whose widths chain: listed, and picked by name."""
    arrays = {key: array for prefix, suffix in scopes for key, array in torch_lstm(prefix, suffix).items()}
    np.savez(tmp_path / "w.npz", **arrays)  # type: ignore[arg-type]
    assert "nothing says that they form one stack" in refusal(tmp_path / "w.npz")
    assert read(tmp_path / "w.npz", scopes[-1][0].rstrip(".")).weights.depth == 1


def test_several_layers_are_picked_by_a_list(tmp_path: Path) -> None:
    """`a,b` picks both, and they are still asked about."""
    arrays = {key: array for name in "abc" for key, array in torch_lstm(f"{name}.", "_l0").items()}
    np.savez(tmp_path / "w.npz", **arrays)  # type: ignore[arg-type]
    assert read(tmp_path / "w.npz", "a, c", layers=2).weights.names == ("a", "c")


# ONNX: the graph's edges.


def lstm(name: str, x: str, y: str, state: str = "") -> Any:
    inputs = [x, f"{name}.w", "r", *(["", "", state] if state else [])]
    return helper.make_node("LSTM", inputs, [y, f"{y}_h", f"{y}_c"], name=name, hidden_size=UNITS)


def onnx_file(path: Path, nodes: list[Any], inputs: tuple[str, ...] = ("X",)) -> Path:
    names = [node.name for node in nodes if node.op_type == "LSTM"]
    names += [n.name for node in nodes for a in node.attribute for n in a.g.node if n.op_type == "LSTM"]
    stored = [numpy_helper.from_array(random(1, 12, 3, seed=i), f"{name}.w") for i, name in enumerate(names)]
    stored += [numpy_helper.from_array(random(1, 12, 3), "r"), numpy_helper.from_array(np.array([1]), "one")]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inputs]
    made = helper.make_graph(nodes, "g", values, [], stored)
    path.write_bytes(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    return path


def test_a_chain_of_nodes_is_a_stack(tmp_path: Path) -> None:
    """Each node reads the one before, whatever lays the values out anew between; the names' order does not count."""
    nodes = [
        lstm("z", "X", "Y0"),
        helper.make_node("Squeeze", ["Y0", "one"], ["S"]),
        helper.make_node("Dropout", ["S"], ["D"]),
        lstm("a", "D", "Y1"),
    ]
    weights = read(onnx_file(tmp_path / "m.onnx", nodes)).weights
    assert weights.names == ("z", "a")
    assert "a reads the outputs of z, through Dropout, Squeeze, which" in weights.notes[0]


SQUEEZED = helper.make_node("Squeeze", ["Y0", "one"], ["S"])
ZEROS = [helper.make_node("Shape", ["X"], ["sizes"]), helper.make_node("ConstantOfShape", ["sizes"], ["H"])]


@pytest.mark.parametrize("start", [[], ZEROS], ids=["given", "zeros of the batch's size"])
def test_states_that_are_given_or_zeros_are_no_bar_to_a_stack(start: list[Any], tmp_path: Path) -> None:
    """An exporter writes them out; a run starts from zeros, or from what is given."""
    nodes = [*start, lstm("a", "X", "Y0", "H"), SQUEEZED, lstm("b", "S", "Y1", "H")]
    assert read(onnx_file(tmp_path / "m.onnx", nodes, ("X", *(["H"] if not start else [])))).weights.depth == 2


APART = {
    "parallel": ([lstm("a", "X", "Y0"), lstm("b", "X", "Y1")], "b: lstm, 3 features, 3 units; reads the input X"),
    "normalised": (
        [lstm("a", "X", "Y0"), helper.make_node("Mul", ["Y0", "Y0"], ["N"]), lstm("b", "N", "Y1")],
        "reads Mul of the outputs of a and the outputs of a",
    ),
    "last output": ([lstm("a", "X", "Y0"), lstm("b", "Y0_h", "Y1")], "reads the last output of a"),
    "decoder": (
        [lstm("a", "X", "Y0"), lstm("b", "Z", "Y1", "Y0_h")],
        "reads the input Z; starts from the last output of a",
    ),
    "decoder of all outputs": (
        [lstm("a", "X", "Y0"), SQUEEZED, lstm("b", "S", "Y1", "Y0_h")],
        "reads the outputs of a; starts from the last output of a",
    ),
    "started by a computed state": (
        [lstm("a", "X", "Y0"), SQUEEZED, helper.make_node("Tanh", ["Z"], ["H"]), lstm("b", "S", "Y1", "H")],
        "reads the outputs of a; starts from Tanh of the input Z",
    ),
    "sliced": (
        [lstm("a", "X", "Y0"), helper.make_node("Gather", ["Y0", "one"], ["N"]), lstm("b", "N", "Y1")],
        "reads Gather of the outputs of a",
    ),
}


@pytest.mark.parametrize("which", list(APART))
def test_nodes_that_do_not_chain_are_listed(which: str, tmp_path: Path) -> None:
    """Beside one another, with an operator between, or over a state: what each reads is said."""
    nodes, reads = APART[which]
    path = onnx_file(tmp_path / "m.onnx", nodes, ("X", "Z"))
    for config in ({}, {"layers": 2}):
        message = refusal(path, **config)
        assert "no stack" in message
        assert reads in message
    assert read(path, "b").weights.names == ("b",)


def test_the_copies_in_two_branches_are_listed_with_their_branch(tmp_path: Path) -> None:
    """The then and else copies of one LSTM are no stack."""
    branches = {
        name: helper.make_graph([lstm(name[:4], "X", f"{name}_y")], name, [], [])
        for name in ("then_branch", "else_branch")
    }
    choice = helper.make_node("If", ["c"], ["Y"], name="choose", **branches)  # type: ignore[arg-type]
    message = refusal(onnx_file(tmp_path / "m.onnx", [choice], ("X", "c")))
    assert "then: lstm, 3 features, 3 units; reads the input X; in the then_branch of If choose" in message
    assert "in the else_branch of If choose" in message
