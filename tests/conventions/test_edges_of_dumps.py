"""Edges of reading and writing dumps: lists without a bias here and there, states of the top alone, lone arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import rnninspect
from rnninspect import conventions
from rnninspect.conventions.live_weights import as_named
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
