"""Weights that do not fit: one line that says which array, what was expected and from where."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from rnninspect import conventions
from rnninspect.conventions.weights.prefix import pick
from rnninspect.core.cell import CellSpec
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.diagnosis.build_case import read_weights
from rnninspect.errors import ShapeError, UnknownNameError, UserError
from tests.support.logical import directions_of, logical_weights

NAMES = list(conventions.conventions())


def written(name: str, cell: str = "lstm", layers: int = 1, count: int = 1, **more: Any) -> dict[str, Array]:
    convention = conventions.get(name)
    spec = convention.spec(cell, {})  # type: ignore[arg-type]
    return convention.write_weights(logical_weights(spec, layers, directions_of(count), **more))


def fails(name: str, arrays: dict[str, Array], config: LayerConfig | None = None) -> str:
    """The message of the UserError that reading gives; one line."""
    message, _ = fails_with_notes(name, arrays, config)
    return message


def fails_with_notes(name: str, arrays: dict[str, Array], config: LayerConfig | None = None) -> tuple[str, list[str]]:
    """The message, and the list below it."""
    with pytest.raises(UserError) as caught:
        conventions.get(name).read_weights(arrays, config or LayerConfig())
    message = str(caught.value)
    assert "\n" not in message
    return message, getattr(caught.value, "__notes__", [])


@pytest.mark.parametrize("name", NAMES)
def test_another_cell_is_named(name: str) -> None:
    """Weights of another cell where an LSTM is stated: both are named, with the arrays that tell."""
    other = next(cell for cell in ("gru", "rnn") if cell in conventions.get(name).cells)
    message = fails(name, written(name, other), LayerConfig(cell="lstm"))
    assert f"the cell of these weights is {other}, not lstm" in message
    assert "(" in message


@pytest.mark.parametrize("name", NAMES)
def test_another_framework_is_recognised(name: str) -> None:
    """Weights of another framework: the message says whose they look like."""
    other = "keras" if name != "keras" else "torch"
    with pytest.raises(ShapeError) as caught:
        read_weights(written(other), LayerConfig(), name)
    assert f"do not look like {name}'s but like" in str(caught.value)
    assert f"weights_convention={other!r}" in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_bad_array_is_listed(name: str) -> None:
    """Not-a-number in two arrays: both are named."""
    arrays = {key: array.copy() for key, array in written(name).items()}
    first, *_, last = arrays
    arrays[first].reshape(-1)[0], arrays[last].reshape(-1)[0] = np.nan, np.inf
    message = fails(name, arrays)
    assert first in message
    assert last in message


@pytest.mark.parametrize("name", NAMES)
def test_missing_and_surplus_arrays_are_both_listed(name: str) -> None:
    """A part that is missing and one that belongs to no cell are named in one message."""
    arrays = written(name, layers=2)
    required = {"keras": "recurrent_kernel", "onnx": "R", "flax": "hg/bias", "haiku": "b", "mxnet": "h2h_bias"}
    lost = next(key for key in arrays if required.get(name, "bias") in key and (name != "haiku" or key.endswith("/b")))
    stray = re.sub(r"[^/._]+$", "stray", lost) if name != "mxnet" else lost.replace("h2h_bias", "stray")
    if name in ("torch", "paddle"):
        stray = "weight_stray_l0"
    if name == "haiku":
        stray = "lstm/stray"
    if name == "flax":
        stray = lost.replace("hg/bias", "hx/bias")
    if name == "onnx":
        stray = lost.replace("R", "Q_kernel")
    del arrays[lost]
    message = fails(name, {**arrays, stray: np.zeros(3)})
    assert re.search(rf"missing: [^;]*{re.escape(lost)}", message), message
    assert re.search(rf"surplus: [^;]*{re.escape(stray)}", message), message


MISFITS = {
    "tf1": ("rnn/lstm_cell/kernel", (5, 8), "expected (any, 12): 4 gate blocks (i, j, f, o) of 3 units"),
    "keras": (
        "kernel",
        (2, 9),
        "expected (any, 12): 4 gate blocks (i, f, g, o) of 3 units, as recurrent_kernel (3, 12)",
    ),
    "torch": ("bias_hh_l0", (9,), "expected (12): 4 gate blocks (i, f, g, o) of 3 units, as weight_hh_l0 (12, 3) says"),
    "paddle": ("weight_ih_l0", (8, 2), "expected (12, any): 4 gate blocks (i, f, g, o) of 3 units, as weight_hh_l0"),
    "mxnet": ("lstm0_l0_i2h_bias", (11,), "expected (12): 4 gate blocks"),
    "flax": ("cell/if/kernel", (4, 3), "expected (2, 3): 3 units, as cell/hi/kernel (3, 3) says"),
    "onnx": ("B", (1, 12), "expected (24): two biases of 4 gate blocks (i, o, f, c) of 3 units, as R (1, 12, 3) says"),
    "haiku": ("lstm/linear/w", (5, 8), "expected (any, 12): 4 gate blocks (i, g, f, o) of 3 units, as lstm/linear/b"),
}


@pytest.mark.parametrize("name", NAMES)
def test_arrays_of_another_width_are_refused(name: str) -> None:
    """Any array that is twice as long as the others say: one line that names an array. One axis counts the features,
    and a bias of Keras may hold two, as CuDNNLSTM's does."""
    arrays = written(name)
    for key, array in arrays.items():
        refused = []
        for axis in range(array.ndim):
            longer = {**arrays, key: np.concatenate([array, array], axis)}
            try:
                conventions.get(name).read_weights(longer, LayerConfig(cell="lstm"))
            except UserError as error:
                refused.append(str(error))
        two_biases = name == "keras" and array.ndim == 1
        assert len(refused) >= (0 if two_biases else max(1, array.ndim - 1))
        assert all(any(other in message for other in arrays) and "\n" not in message for message in refused), refused


@pytest.mark.parametrize("name", list(MISFITS))
def test_shapes_are_checked_gate_by_gate(name: str) -> None:
    """An array of another size: its name and shape, the shape expected, and which array says so."""
    key, shape, expected = MISFITS[name]
    message = fails(name, {**written(name), key: np.zeros(shape)}, LayerConfig(cell="lstm"))
    shown = shape[1:] if name == "onnx" else shape
    assert f"{key} is {shown}" in message
    assert expected in message


def test_two_layers_that_are_no_stack_are_listed() -> None:
    """Two layers of which the second does not read the first: both with their sizes, and how to pick one."""
    small, large = written("torch", layers=2, units=3), written("torch", units=5, features=4, count=2)
    arrays = {f"encoder.{k}": a for k, a in small.items()} | {f"decoder.{k}": a for k, a in large.items()}
    message, notes = fails_with_notes("torch", arrays)
    assert message.endswith("pick one with weights_prefix=:")
    assert notes == [
        "encoder: lstm, 2 layers, 2 features, 3 units",
        "decoder: lstm, both directions, 4 features, 5 units",
    ]
    for name, units, count in (("encoder", 3, 2), ("decoder", 5, 2)):
        picked = conventions.get("torch").read_weights(pick(arrays, name), LayerConfig())
        assert (picked.layers[0].units, len(picked.layers)) == (units, count)


def test_two_kinds_of_cell_are_listed() -> None:
    """An LSTM and a GRU in one model: both with their sizes."""
    arrays = {f"a/{k}": v for k, v in written("keras").items()} | {
        f"b/{k}": v for k, v in written("keras", "gru").items()
    }
    message, notes = fails_with_notes("keras", arrays)
    assert "several kinds of cell" in message
    assert notes == ["a: lstm, 2 features, 3 units", "b: gru, 2 features, 3 units"]


NAMED = {
    "torch": ["a.lstm.weight_ih_l0", "a.lstm.weight_ih_l1", "a.lstm_1.weight_ih_l0"],
    "keras": ["layers/lstm/cell/vars/0", "layers/lstm/cell/vars/1", "layers/lstm_1/cell/vars/0"],
    "mxnet": ["lstm0_l0_i2h_weight", "lstm0_r0_i2h_weight", "lstm1_l0_i2h_weight"],
}


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("torch", "a.lstm"), ("torch", "lstm"), ("keras", "layers/lstm"), ("keras", "lstm"), ("mxnet", "lstm0")],
)
def test_a_prefix_picks_a_whole_stack_and_no_neighbour(name: str, prefix: str) -> None:
    """Whole parts of a name count, from its beginning or further in: `lstm` is not `lstm_1`."""
    assert list(pick(dict.fromkeys(NAMED[name], np.zeros(1)), prefix)) == NAMED[name][:2]


def test_a_prefix_that_names_nothing_lists_the_layers() -> None:
    """The layers that there are, and the nearest; an empty prefix picks nothing."""
    arrays = dict.fromkeys(NAMED["keras"], np.zeros(1))
    with pytest.raises(UnknownNameError, match=r"did you mean 'layers/lstm'\? Known: layers/lstm, layers/lstm_1\."):
        pick(arrays, "layer/lstm")
    with pytest.raises(UnknownNameError):
        pick(arrays, "/")


def test_stated_layers_and_directions_must_be_there() -> None:
    """Layers or directions that the file does not hold, or holds besides, are said to be."""
    assert "layers=3 is stated, but the weights hold 2" in fails(
        "torch", written("torch", layers=2), LayerConfig(layers=3)
    )
    both = fails("keras", written("keras", count=2), LayerConfig(direction="forward"))
    assert "one direction is stated, but the weights hold both" in both
    for layers in (1, 2):
        one = fails("torch", written("torch", layers=layers), LayerConfig(direction="bidirectional"))
        assert "two directions are stated, but the weights hold one" in one


@pytest.mark.parametrize(
    ("attributes", "message"), [({"use_peepholes": True}, "no peepholes"), ({"num_proj": 4}, "width none")]
)
def test_stated_parts_must_be_there(attributes: dict[str, Any], message: str) -> None:
    """Peepholes or a projection that are stated and not in the file are missed."""
    assert message in fails("tf1", written("tf1"), LayerConfig(attributes=attributes))


def test_half_of_the_biases_is_missing() -> None:
    """PyTorch without biases is a layer of its own; with one of two it is damaged, and the name says which."""
    arrays = written("torch")
    bare = {key: array for key, array in arrays.items() if "bias" not in key}
    assert not conventions.get("torch").read_weights(bare, LayerConfig()).layers[0].bias.any()
    assert "missing: bias_hh_l0" in fails("torch", {**bare, "bias_ih_l0": arrays["bias_ih_l0"]})


def test_onnx_wants_its_directions_axis() -> None:
    """Kernels without the axis of directions are refused with their shapes."""
    arrays = {key: array[0] for key, array in written("onnx").items()}
    assert "axis 0 of W, R, B and P is the directions'" in fails("onnx", arrays)


def test_a_cell_that_nothing_tells() -> None:
    """TensorFlow variables under no cell's name do not say which cell they are of."""
    arrays = {"kernel": np.zeros((5, 12)), "bias": np.zeros(12)}
    assert "state cell=" in fails("tf1", arrays)
    assert conventions.get("tf1").read_weights(arrays, LayerConfig(cell="lstm")).layers[0].units == 3


REFUSED = [
    ("torch", CellSpec("gru", reset_after=False), {}, "GRU that applies the reset gate before the recurrent product"),
    ("tf1", CellSpec("gru", reset_after=True), {}, "GRU that applies the reset gate after the recurrent product"),
    ("haiku", CellSpec("gru", reset_after=True), {}, "GRU that applies the reset gate after"),
    ("flax", CellSpec("gru", reset_after=False), {}, "GRU that applies the reset gate before"),
    ("keras", CellSpec("lstm"), {"peepholes": True}, "peepholes"),
    ("onnx", CellSpec("lstm"), {"projection": 2}, "projection"),
    ("torch", CellSpec("lstm", recurrent_activation="hard_sigmoid"), {}, "other activation of the gates"),
    ("torch", CellSpec("rnn", activation="sigmoid"), {}, "other activation"),
    ("keras", CellSpec("lstm", output_activation="relu"), {}, "activation of its own for the cell state"),
    ("torch", CellSpec("lstm", forget_bias=1.0), {}, "forget bias added at run time"),
    (
        "keras",
        CellSpec("lstm", cell_clip=3.0, gate_clip=2.0),
        {},
        "clip of the cell state and no clip of the gates' inputs",
    ),
    ("tf1", CellSpec("lstm", input_forget=True), {}, "coupled input and forget gates"),
]


@pytest.mark.parametrize(("name", "spec", "more", "message"), REFUSED)
def test_what_a_framework_lacks_is_refused(name: str, spec: CellSpec, more: dict[str, Any], message: str) -> None:
    """A layer that a framework cannot express is not written there, and the message says what it lacks."""
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        conventions.get(name).write_weights(logical_weights(spec, **more))
    assert str(caught.value).startswith(f"{name} has no ")


def test_shape_errors_are_user_errors() -> None:
    """Everything here is the user's to mend: no traceback."""
    assert issubclass(ShapeError, UserError)
