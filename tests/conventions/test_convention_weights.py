"""Weights: every framework's variables, gate orders and biases, read and written, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rnninspect import conventions
from rnninspect.conventions.base import Convention
from rnninspect.core.cell import Cell
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.core.weights import Weights
from rnninspect.engine import cells as known_cells
from rnninspect.errors import ShapeError, UserError
from tests.support.logical import assert_same_weights, directions_of, logical_weights

NAMES = list(conventions.conventions())
cells = st.sampled_from(Convention.cells)


def own_weights(name: str, cell: Cell, layers: int, count: int, seed: int = 0, **more: Any) -> Weights:
    """Weights of the cell that this framework builds, with the biases that it keeps."""
    convention = conventions.get(name)
    two = name in ("torch", "paddle", "mxnet", "onnx") or (name, cell) in (("keras", "gru"), ("haiku", "rnn"))
    made = logical_weights(
        convention.spec(cell, {}),
        layers,
        directions_of(count),
        two_biases=two or (name, cell) == ("flax", "gru"),
        convention=name,
        seed=seed,
        **more,
    )
    if (name, cell) != ("flax", "gru"):
        return made
    inner = np.array([[0.0], [0.0], [1.0]])  # Flax keeps a second bias for n alone
    return replace(made, layers=tuple(replace(w, recurrent_bias=w.bias * inner) for w in made.layers))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(cell=cells, layers=st.integers(1, 3), count=st.integers(1, 2), seed=st.integers(0, 5), square=st.booleans())
def test_reading_gives_what_was_written(
    name: str, cell: Cell, layers: int, count: int, seed: int, square: bool
) -> None:
    """Weights written under a framework's own names are read as the same weights, told only that they are one stack."""
    convention = conventions.get(name)
    assume(cell in convention.cells)
    made = own_weights(name, cell, layers, count, seed, features=3 if square else 2)
    arrays = convention.write_weights(made)
    read = convention.read_weights(arrays, LayerConfig(cell=None if name != "tf1" else cell, layers=layers))
    assert_same_weights(made, read)
    again = convention.write_weights(read)
    assert list(again) == list(arrays)
    assert all(np.array_equal(again[k], arrays[k]) for k in arrays)
    assert conventions.of_weights(arrays)[0].name == ("torch" if name == "paddle" else name)
    assert convention in conventions.of_weights(arrays)


@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("name", NAMES)
def test_a_prefix_and_other_layers_do_not_matter(name: str, separator: str) -> None:
    """The layer is found inside a model, between dense layers, whichever way the file joins names."""
    made = own_weights(name, "lstm", 2, 2)
    convention = conventions.get(name)
    arrays = {
        f"model{separator}encoder{separator}" + re.sub(r"[/.]", separator, key): array
        for key, array in convention.write_weights(made).items()
    }
    others = {f"model{separator}dense{separator}kernel": np.zeros((3, 2)), "embedding": np.zeros((9, 2))}
    others |= {f"model{separator}fc{separator}weight": np.zeros((3, 2)), "fc.bias": np.zeros(2)}
    assert_same_weights(made, convention.read_weights(others | arrays, LayerConfig(cell="lstm", layers=2)))


@pytest.mark.parametrize("name", ["tf1", "torch", "paddle", "mxnet"])
def test_projections(name: str) -> None:
    """A projected LSTM goes through every framework that has one; its next layer reads the projection's width."""
    made = own_weights(name, "lstm", 2, 2, projection=2)
    convention = conventions.get(name)
    assert_same_weights(made, convention.read_weights(convention.write_weights(made), LayerConfig()))


@pytest.mark.parametrize("name", ["tf1", "onnx"])
def test_peepholes(name: str) -> None:
    """Peepholes go through the frameworks that have them, each gate's to its own place."""
    made = own_weights(name, "lstm", 1, 2, peepholes=True)
    convention = conventions.get(name)
    assert_same_weights(made, convention.read_weights(convention.write_weights(made), LayerConfig()))


def block(width: int, letters: str, axis: int, rows: int = 2) -> Array:
    """A kernel whose gate blocks are filled with each letter's code."""
    row = np.concatenate([np.full(width, float(ord(ch))) for ch in letters])
    return np.tile(row, (rows, 1)) if axis else np.tile(row[:, None], (1, rows))


# What the frameworks' own documents say (the table "Cells: gate order, biases, variants"), written out by hand.
# A letter is a gate's canonical name; capital Z: the block that Haiku negates.
LAYOUTS: dict[tuple[str, str], dict[str, Array]] = {
    ("tf1", "lstm"): {"rnn/lstm_cell/kernel": block(3, "igfo", 1, 5), "rnn/lstm_cell/bias": block(3, "igfo", 1)[0]},
    ("tf1", "gru"): {
        "rnn/gru_cell/gates/kernel": block(3, "rz", 1, 5),
        "rnn/gru_cell/gates/bias": block(3, "rz", 1)[0],
        "rnn/gru_cell/candidate/kernel": block(3, "n", 1, 5),
        "rnn/gru_cell/candidate/bias": block(3, "n", 1)[0],
    },
    ("keras", "lstm"): {
        "kernel": block(3, "ifgo", 1),
        "recurrent_kernel": block(3, "ifgo", 1, 3),
        "bias": block(3, "ifgo", 1)[0],
    },
    ("keras", "gru"): {
        "kernel": block(3, "zrn", 1),
        "recurrent_kernel": block(3, "zrn", 1, 3),
        "bias": block(3, "zrn", 1),
    },
    ("torch", "lstm"): {
        "weight_ih_l0": block(3, "ifgo", 0),
        "weight_hh_l0": block(3, "ifgo", 0, 3),
        "bias_ih_l0": block(3, "ifgo", 1)[0],
        "bias_hh_l0": block(3, "ifgo", 1)[0],
    },
    ("torch", "gru"): {
        "weight_ih_l0": block(3, "rzn", 0),
        "weight_hh_l0": block(3, "rzn", 0, 3),
        "bias_ih_l0": block(3, "rzn", 1)[0],
        "bias_hh_l0": block(3, "rzn", 1)[0],
    },
    ("paddle", "gru"): {
        "0.cell.weight_ih": block(3, "rzn", 0),
        "0.cell.weight_hh": block(3, "rzn", 0, 3),
        "0.cell.bias_ih": block(3, "rzn", 1)[0],
        "0.cell.bias_hh": block(3, "rzn", 1)[0],
    },
    ("mxnet", "lstm"): {
        "lstm0_l0_i2h_weight": block(3, "ifgo", 0),
        "lstm0_l0_h2h_weight": block(3, "ifgo", 0, 3),
        "lstm0_l0_i2h_bias": block(3, "ifgo", 1)[0],
        "lstm0_l0_h2h_bias": block(3, "ifgo", 1)[0],
    },
    ("onnx", "lstm"): {
        "W": block(3, "iofg", 0)[None],
        "R": block(3, "iofg", 0, 3)[None],
        "B": np.tile(block(3, "iofg", 1)[:1], (1, 2)),
        "P": block(3, "iof", 1)[:1],
    },
    ("onnx", "gru"): {
        "W": block(3, "zrn", 0)[None],
        "R": block(3, "zrn", 0, 3)[None],
        "B": np.tile(block(3, "zrn", 1)[:1], (1, 2)),
    },
    ("haiku", "lstm"): {"lstm/linear/w": block(3, "igfo", 1, 5), "lstm/linear/b": block(3, "igfo", 1)[0]},
    ("flax", "lstm"): {f"cell/i{g}/kernel": block(3, g, 1) for g in "ifgo"}
    | {f"cell/h{g}/kernel": block(3, g, 1, 3) for g in "ifgo"}
    | {f"cell/h{g}/bias": block(3, g, 1)[0] for g in "ifgo"},
    ("flax", "gru"): {
        "cell/dense_i/kernel": block(3, "rzn", 1),
        "cell/dense_h/kernel": block(3, "rzn", 1, 3),
        "cell/dense_i/bias": block(3, "rzn", 1)[0],
    },
}


@pytest.mark.parametrize(("name", "cell"), list(LAYOUTS))
def test_gates_are_where_the_framework_puts_them(name: str, cell: Cell) -> None:
    """Each gate's block, marked by hand in the framework's own layout, arrives at that gate."""
    weights = conventions.get(name).read_weights(LAYOUTS[name, cell], LayerConfig())
    (layer,) = weights.layers
    assert (layer.features, layer.units) == (2, 3)
    for k, gate in enumerate(known_cells.get(cell).gates):
        code = float(ord(gate))
        assert (layer.input_kernel[k] == code).all()
        assert (layer.recurrent_kernel[k] == code).all()
        assert (layer.bias[k] == code).all()
    if layer.peepholes is not None:
        assert layer.peepholes[:, 0].tolist() == [float(ord(ch)) for ch in "ifo"]


def test_haiku_turns_its_update_gate_round() -> None:
    """Haiku's z is one minus everybody else's: its block changes sign, and no other."""
    marks = {"z": 2.0, "r": 3.0, "a": 5.0}
    row = np.concatenate([np.full(3, v) for v in marks.values()])
    arrays = {"gru/w_i": np.tile(row, (2, 1)), "gru/w_h": np.tile(row, (3, 1)), "gru/b": row}
    weights = conventions.get("haiku").read_weights(arrays, LayerConfig())
    assert weights.layers[0].bias[:, 0].tolist() == [3.0, -2.0, 5.0]
    assert weights.layers[0].recurrent_kernel[:, 0, 0].tolist() == [3.0, -2.0, 5.0]
    assert not weights.spec.reset_after


@pytest.mark.parametrize(
    ("name", "cell", "forget_bias", "reset_after"),
    [
        ("tf1", "lstm", 1.0, True),
        ("haiku", "lstm", 1.0, True),
        ("keras", "lstm", 0.0, True),
        ("torch", "lstm", 0.0, True),
        ("tf1", "gru", 0.0, False),
        ("haiku", "gru", 0.0, False),
        ("onnx", "gru", 0.0, False),
        ("keras", "gru", 0.0, True),
        ("torch", "gru", 0.0, True),
        ("flax", "gru", 0.0, True),
        ("paddle", "gru", 0.0, True),
        ("mxnet", "gru", 0.0, True),
    ],
)
def test_defaults_are_the_frameworks(name: str, cell: Cell, forget_bias: float, reset_after: bool) -> None:
    """What nothing states: the forget bias at run time and the side on which a GRU resets."""
    spec = conventions.get(name).spec(cell, {})
    assert (spec.forget_bias, spec.reset_after) == (forget_bias, reset_after)


def test_plain_rnn_activations() -> None:
    """`hk.VanillaRNN` and Gluon's fused RNN are relu where nothing is stated, Gluon's cells and the rest tanh."""
    specs = {name: conventions.get(name).spec("rnn", {}).activation for name in NAMES}
    assert {name for name, activation in specs.items() if activation == "relu"} == {"haiku", "mxnet"}
    parts = {"i2h_weight": (3, 2), "h2h_weight": (3, 3), "i2h_bias": (3,), "h2h_bias": (3,)}
    mxnet = conventions.get("mxnet")
    for prefix, activation in (("rnn0_l0_", "relu"), ("rnn0_", "tanh"), ("l_", "tanh")):
        arrays = {prefix + part: np.zeros(shape) for part, shape in parts.items()}
        assert mxnet.read_weights(arrays, LayerConfig()).spec.activation == activation


def test_a_keras_gru_tells_how_it_resets() -> None:
    """`[2, 3H]` biases belong to reset-after, `[3H]` to reset-before, where nothing is stated; else it must fit."""
    keras = conventions.get("keras")
    arrays = {"kernel": np.zeros((2, 9)), "recurrent_kernel": np.zeros((3, 9)), "bias": np.zeros(9)}
    assert not keras.read_weights(arrays, LayerConfig()).spec.reset_after
    assert keras.read_weights({**arrays, "bias": np.zeros((2, 9))}, LayerConfig()).spec.reset_after
    with pytest.raises(ShapeError, match=r"bias is \(9,\), expected \(2, 9\): 3 gate blocks \(z, r, h\) of 3 units"):
        keras.read_weights(arrays, LayerConfig(attributes={"reset_after": True}))


def test_each_activation_takes_its_own_parameters() -> None:
    """ONNX lists alphas and betas apart: LeakyRelu takes an alpha and no beta, so the beta is ScaledTanh's."""
    options = {"activations": "Sigmoid,LeakyRelu,ScaledTanh", "activation_alpha": [0.3, 0.7], "activation_beta": [0.4]}
    spec = conventions.get("onnx").spec("lstm", options)
    assert spec.activation_alpha == (("candidate", 0.3), ("output", 0.7))
    assert spec.activation_beta == (("output", 0.4),)
    assert conventions.get("onnx").attributes(spec) == {
        **options,
        "activations": ["Sigmoid", "LeakyRelu", "ScaledTanh"],
    }


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"tf1", "onnx"}))
def test_peepholes_are_refused_where_there_are_none(name: str) -> None:
    """What a framework's cell does not have is not left out in silence."""
    convention = conventions.get(name)
    with pytest.raises(UserError, match=f"{name} has no peepholes"):
        convention.write_weights(own_weights(name, "lstm", 1, 1, peepholes=True))
