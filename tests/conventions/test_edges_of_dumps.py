"""Edges of reading and writing dumps: lists without a bias here and there, states of the top alone, lone arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect import conventions
from rnninspect.conventions.dumps.elided import show_alike
from rnninspect.conventions.live_weights import as_named
from rnninspect.core.evidence import Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.errors import ShapeError
from tests.support.logical import directions_of, layer_config, logical_trace


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
    with pytest.raises(ShapeError, match=r"no final state h .* found outputs a \(2, 5, 3\)"):
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
