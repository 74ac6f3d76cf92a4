"""Edges of reading and writing dumps: lists without a bias here and there, states of the top alone, lone arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect import conventions
from rnninspect.conventions import live
from rnninspect.conventions.dumps.axes import state_layouts
from rnninspect.conventions.dumps.elided import show_alike
from rnninspect.conventions.dumps.positions import place_lists
from rnninspect.conventions.dumps.roles import guess_roles
from rnninspect.conventions.dumps.shapes import suits
from rnninspect.conventions.live.weights import as_named
from rnninspect.conventions.returned import take_returned
from rnninspect.core.evidence import Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.errors import ShapeError, UserError
from tests.support.logical import directions_of, layer_config, logical_trace
from tests.support.made import random_weights


def cell(features: int, units: int, bias: bool = True) -> list[np.ndarray]:
    """A plain Keras cell's weights in the order of `get_weights()`."""
    return [np.ones((features, units)), np.ones((units, units)), *([np.ones(units)] if bias else [])]


def test_two_directions_of_which_one_has_a_bias() -> None:
    """Halves of one layer are paired by the arrays that both have."""
    config = LayerConfig(direction="bidirectional")
    named = as_named([*cell(2, 3), *cell(2, 3, bias=False)], config)
    assert sorted(named) == [
        "bidirectional/backward_simple_rnn/kernel",
        "bidirectional/backward_simple_rnn/recurrent_kernel",
        "bidirectional/forward_simple_rnn/bias",
        "bidirectional/forward_simple_rnn/kernel",
        "bidirectional/forward_simple_rnn/recurrent_kernel",
    ]


@pytest.mark.parametrize(
    ("listed", "ways"),
    [
        ([*cell(2, 3), *cell(2, 4)], "neither"),  # halves of other widths, and no stack
        ([*cell(2, 3), *cell(2, 3), *cell(6, 3)], "neither"),
        ([*cell(3, 3), *cell(3, 3)], "two directions or two layers"),
    ],
)
def test_a_list_of_cells_that_fits_not_one_way_is_refused(listed: list[np.ndarray], ways: str) -> None:
    """Neither a stack nor pairs of directions, or both: the line says which."""
    with pytest.raises(ShapeError, match=ways):
        as_named(listed, LayerConfig())


def test_pairs_that_read_the_pair_below() -> None:
    """Layers of two directions: those above read both halves, and no other width."""
    two = [*cell(2, 3), *cell(2, 3)]
    assert len(as_named([*two, *cell(6, 4), *cell(6, 4)], LayerConfig())) == 12
    with pytest.raises(ShapeError, match="neither"):
        as_named([*two, *cell(5, 4), *cell(5, 4)], LayerConfig())


@pytest.mark.parametrize("name", ["torch", "paddle", "mxnet"])
@pytest.mark.parametrize("kept", ["top", "bottom", "every"])
def test_a_stack_whose_top_state_alone_is_known(name: str, kept: str) -> None:
    """One array of states is written where all layers' are known, or the top's alone; not those of a lower one."""
    convention = conventions.get(name)
    config = layer_config("gru", 2, directions_of(2))
    trace = logical_trace("gru", 2, directions_of(2), convention=convention, config=config)
    layers = {"top": (1,), "bottom": (0,), "every": (0, 1)}[kept]
    tracks = tuple(t if t.layer in layers else replace(t, final=None) for t in trace.tracks)
    dump = convention.dump(replace(trace, tracks=tracks), config)
    state = dump.get("h_n", dump.get("h"))
    if kept == "bottom":
        assert state is None
        return
    assert state is not None
    finals = [t.final for t in tracks if t.final is not None]
    assert len(finals) == 2 * len(layers)
    assert np.array_equal(state, np.stack(finals))


def test_a_lone_array_is_refused_in_one_line() -> None:
    """One array of three axes is outputs or states, and not both: what is missing is said."""
    with pytest.raises(ShapeError, match=r"no final state h .* found outputs = a \(2, 5, 3\)"):
        rnninspect.inspect({"a": np.random.default_rng(0).normal(size=(2, 5, 3))})


@pytest.mark.parametrize(("name", "slope"), [("keras", 0.2), ("tf1", 0.2), ("torch", None)])
def test_the_slope_of_leaky_relu_is_the_frameworks(name: str, slope: float | None) -> None:
    """TensorFlow and Keras take 0.2 below zero where nothing is said; the others leave it to the cell's default."""
    convention = conventions.get(name)
    attribute = {"keras": "activation", "tf1": "activation"}.get(name)
    spec = convention.spec("rnn", {attribute: "leaky_relu"} if attribute else {})
    assert spec.activation_alpha == (() if slope is None else (("candidate", slope),))


@pytest.mark.parametrize(("count", "ending"), [(12, "w11;"), (13, "w11 and 1 more"), (15, "w11 and 3 more")])
def test_names_that_are_no_weights_are_listed(count: int, ending: str) -> None:
    """Twelve of the names are shown, and how many more there are."""
    arrays = {f"w{k}": np.ones(2) for k in range(count)}
    with pytest.raises(ShapeError) as raised:
        conventions.get("keras").read_weights(arrays, LayerConfig(cell="lstm"))
    assert f"among w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, {ending}".rstrip(";") in str(raised.value)
    assert ("more" in str(raised.value)) is (count > 12)


def slots_of(state: np.ndarray, gaps: dict[int, int]) -> tuple[tuple[Slot, ...], dict[str, dict[int, int]]]:
    """Outputs `[6, 6, 6]` that were elided along some axes, and their state, printed whole."""
    outputs = np.random.default_rng(0).normal(size=(6, 6, 6))
    return (Slot("outputs", "o", outputs), Slot("h", "h", state)), {"o": gaps}


@pytest.mark.parametrize(
    ("shape", "gaps", "layer", "shown"),
    [
        ((2, 9, 6), {0: 3}, {}, (2, 6, 6)),  # along rows alone: nothing to ask
        ((2, 6, 9), {2: 3}, {"layers": 2}, (2, 6, 6)),
        ((2, 6, 9), {2: 3}, {"direction": "bidirectional"}, (2, 6, 6)),
        ((1, 6, 9), {2: 3}, {}, (1, 6, 6)),  # an odd number of states is no two directions
        ((9, 9), {0: 3, 2: 3}, {}, (6, 6)),
        ((2, 6, 9), {2: 3}, {}, None),
    ],
)
def test_states_are_cut_as_elided_outputs_are(
    shape: tuple[int, ...], gaps: dict[int, int], layer: dict[str, Any], shown: tuple[int, ...] | None
) -> None:
    """The rows and units that the outputs show; refused where two layers and two directions cannot be told apart."""
    state = np.arange(float(np.prod(shape))).reshape(shape)
    slots, elided = slots_of(state, gaps)
    if shown is None:
        with pytest.raises(ShapeError, match="may hold 2 layers or 2 directions"):
            show_alike(slots, elided, LayerConfig(**layer))
        return
    cut = show_alike(slots, elided, LayerConfig(**layer))[1].array
    assert cut.shape == shown
    kept = np.r_[0:3, 6:9]
    whole = state
    if 0 in gaps:
        whole = np.take(whole, kept, axis=whole.ndim - 2)
    if 2 in gaps:
        whole = np.take(whole, kept, axis=whole.ndim - 1)
    assert np.array_equal(cut, whole)


def test_which_axes_and_types_suit_a_role() -> None:
    """What an array can be at all, by its axes and its type; lengths are one line of numbers, masks may be truth,
    and have no axis of units."""
    shapes = [(4,), (4, 1), (4, 5), (4, 5, 3), (2, 4, 5, 3)]
    for role, fitting, kinds in (
        ("lengths", shapes[:2], "iuf"),
        ("mask", shapes[1:3], "biuf"),
        ("inputs", shapes[1:4], "iuf"),
        ("outputs", shapes[1:], "f"),
        ("h", shapes, "f"),
    ):
        for kind, dtype in {"b": np.bool_, "i": np.int32, "u": np.uint8, "f": np.float32}.items():
            suiting = [shape for shape in shapes if suits(role, np.zeros(shape, dtype))]  # type: ignore[arg-type]
            assert suiting == (fitting if kind in kinds else []), (role, kind)


def guesses_of(arrays: dict[str, np.ndarray]) -> list[dict[str, str]]:
    """The role by name in every guess, nobody having stated whose the arrays are."""
    guesses = guess_roles(conventions.get("torch"), arrays, LayerConfig(), whose_known=False)
    return [{slot.name: slot.role for slot in guess.slots} for guess in guesses]


def test_roles_that_shape_alone_tells() -> None:
    """Of arrays that no name tells, `[L, B, H]` may be the states; what is called like inputs is no candidate."""
    rng = np.random.default_rng(0)
    outputs, state = rng.normal(size=(4, 6, 3)), rng.normal(size=(2, 4, 3))
    assert guesses_of({"outputs": outputs, "foo": state}) == [{"outputs": "outputs", "foo": "h"}]
    inputs = rng.normal(size=(4, 6, 2))
    arrays = {"foo": outputs, "bar": rng.normal(size=(4, 3)), "x": inputs}
    assert guesses_of(arrays) == [{"foo": "outputs", "bar": "h", "x": "inputs"}]
    (guess,) = guesses_of({**arrays, "inputs": inputs[..., :1]})  # one of them is left over
    assert [name for name, role in guess.items() if role in ("outputs", "h")] == ["foo", "bar"]


def test_lengths_that_values_alone_tell() -> None:
    """One array of whole numbers from 1 to T is the lengths; of two nobody knows which is."""
    outputs = np.random.default_rng(0).normal(size=(4, 6, 3))
    arrays = {"outputs": outputs, "h": outputs[:, -1], "foo": np.array([6, 2, 5, 3])}
    assert [guess.get("foo") for guess in guesses_of(arrays)] == ["lengths"]
    two = guesses_of({**arrays, "bar": np.array([1, 6, 2, 2])})
    assert [(guess.get("foo"), guess.get("bar")) for guess in two] == [(None, None)]


def test_both_orders_of_a_stack_are_read() -> None:
    """`[L*D, B, H]` runs over layers first or over directions first; where there is one of either, both are the same
    and one is read."""
    directions = directions_of(2)
    for layers, ways, expected in ((2, directions, ["(L D) B H", "(D L) B H"]), (1, directions, ["(L D) B H"])):
        stack = np.random.default_rng(0).normal(size=(layers * 2, 5, 3))
        layouts = list(state_layouts(stack, 5, layers, ways, 3))
        assert [layout.axes for layout in layouts] == expected
        assert [layout.usual for layout in layouts] == [True, False][: len(expected)]
        for layout in layouts:
            for layer in range(layers):
                for d, direction in enumerate(ways):
                    plane = layer * 2 + d if layout.axes.startswith("(L D)") else d * layers + layer
                    assert np.array_equal(layout.placed[layer, direction], stack[plane])
    alone = list(state_layouts(np.zeros((3, 5, 4)), 5, 3, directions_of(1), 4))
    assert [layout.axes for layout in alone] == ["L B H"]


def test_a_list_takes_the_layer_it_is_listed_under() -> None:
    """h and c in a list are the layer's that the list is named for; a list of one layer's alone leaves it open."""
    rng = np.random.default_rng(0)
    outputs = Slot("outputs", "y", rng.normal(size=(4, 6, 3)))
    arrays = [np.tanh(rng.normal(size=(4, 3))) for _ in range(4)]
    pairs = [Slot("h", f"s.{i}", a, None, None, (i,)) for i, a in enumerate(arrays[:2])]
    config = LayerConfig(cell="lstm")
    placed = place_lists((outputs, *pairs), config)
    assert [(s.name, s.role, s.layer) for s in placed] == [
        ("y", "outputs", None),
        ("s.0", "h", None),
        ("s.1", "c", None),
    ]
    apart = [Slot("h", f"s.{k}.{i}", arrays[2 * k + i], k, None, (i,)) for k in range(2) for i in range(2)]
    placed = place_lists((outputs, *apart), config)
    expected = [("s.0.0", "h", 0), ("s.0.1", "c", 0), ("s.1.0", "h", 1), ("s.1.1", "c", 1)]
    assert [(s.name, s.role, s.layer) for s in placed[1:]] == expected


def test_plain_numbers_in_a_pair_are_h_and_c() -> None:
    """A tuple of two tables of numbers is a pair; a list of them, or a tuple of two lines, is one array."""
    outputs = np.random.default_rng(0).normal(size=(2, 6, 3))
    read = live.read_outputs(outputs, LayerConfig(cell="lstm"))
    table = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]
    for state, roles in (((table, table), ["h", "c"]), ([table, table], ["h"]), ((table[0], table[1]), ["h"])):
        slots = live.read_state(state, read.slots, LayerConfig(cell="lstm"), None)
        assert [slot.role for slot in slots] == roles, state


def test_what_a_call_returned_keeps_its_fields() -> None:
    """`returned.1.h` beside `returned.1.c` are h and c by their fields, in whichever order they stand; a place beside a
    field is nothing that a layer's call returned."""
    outputs = np.random.default_rng(0).normal(size=(4, 6, 3))
    h, c = outputs[:, -1], 2 * outputs[:, -1]
    arrays = {"returned.0": outputs, "returned.1.c": c, "returned.1.h": h, "x": outputs[..., :2]}
    rest, slots = take_returned(arrays, LayerConfig(cell="lstm"), None)
    assert list(rest) == ["x"]
    assert {slot.name: slot.role for slot in slots} == {
        "returned.0": "outputs", "returned.1.h": "h", "returned.1.c": "c"
    }  # fmt: skip
    mixed = {"returned.0": outputs, "returned.h": h}
    assert take_returned(mixed, LayerConfig(), None) == (mixed, ())


@pytest.mark.parametrize("time_major", [True, False])
def test_packed_outputs_have_the_axes_that_were_stated(time_major: bool) -> None:
    """A packed sequence of rows of 3 and 1 steps, padded to `[T, B, H]` or `[B, T, H]`."""
    packed = {"out.data": np.arange(8.0).reshape(4, 2), "out.batch_sizes": np.array([2, 1, 1])}
    padded = conventions.get("torch").prepare(packed, LayerConfig(time_major=time_major))
    by_row = np.array([[[0.0, 1], [4, 5], [6, 7]], [[2, 3], [0, 0], [0, 0]]])
    assert padded["lengths"].tolist() == [3, 1]
    assert np.array_equal(padded["out"], by_row.transpose(1, 0, 2) if time_major else by_row)


@pytest.mark.parametrize(
    ("name", "written"), [("torch", False), ("mxnet", False), ("paddle", False), ("keras", False), ("tf1", True)]
)
def test_peepholes_go_where_there_are_some(name: str, written: bool) -> None:
    """Weights with peepholes are refused by a framework that has none, whoever asks it to write them."""
    weights = random_weights("lstm", 3, 4)
    peeping = replace(weights, layers=tuple(replace(w, peepholes=np.ones((3, 4))) for w in weights.layers))
    convention = conventions.get(name)
    if written:
        assert len(convention.write_weights(peeping)) > len(convention.write_weights(weights))
        return
    with pytest.raises(UserError, match=f"{name} has no .*peepholes"):
        convention.write_weights(peeping)


@pytest.mark.parametrize(("cell", "resets"), [("gru", True), ("lstm", False)])
def test_a_bias_of_another_width_is_refused(cell: str, resets: bool) -> None:
    """The line names the width that is needed, and how it resets of a GRU alone."""
    gates = {"gru": 3, "lstm": 4}[cell]
    arrays = {"l/kernel": np.ones((2, 3 * gates)), "l/recurrent_kernel": np.ones((3, 3 * gates)), "l/bias": np.ones(7)}
    with pytest.raises(ShapeError, match="bias") as raised:
        conventions.get("keras").read_weights(arrays, LayerConfig(cell=cell))  # type: ignore[arg-type]
    assert ("a GRU that resets" in str(raised.value)) is resets
