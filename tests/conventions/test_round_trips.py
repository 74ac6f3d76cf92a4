"""There and back: a layer's weights through every framework, and what every framework's call returns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from rnninspect import conventions
from rnninspect.api.convert import move
from rnninspect.conventions.returned import take_returned
from rnninspect.core.cell import Cell
from rnninspect.core.trace import Array, Trace
from rnninspect.core.weights import Weights
from rnninspect.errors import UserError
from tests.support.logical import (
    LENGTHS,
    assert_same_tracks,
    assert_same_weights,
    directions_of,
    layer_config,
    logical_trace,
    logical_weights,
    read_back,
)
from tests.support.oracles import run_stack
from tests.support.properties import explore, sizes

NAMES = list(conventions.conventions())
# What cannot go there: TensorFlow's and Haiku's GRUs reset before the product, Haiku's plain cell is tanh behind a
# bias of its own, and it has no layer of two directions.
REFUSED = {("tf1", "gru"), ("haiku", "gru"), ("haiku", "rnn")}


def torch_weights(cell: Cell, layers: int, count: int, seed: int) -> Weights:
    """Weights as torch keeps them, in float64, whose biases a shift by 1 leaves exact."""
    made = logical_weights(
        conventions.get("torch").spec(cell, {}),
        layers,
        directions_of(count),
        two_biases=True,
        convention="torch",
        seed=seed,
    )
    grid = 2.0**20

    def exact(array: Array | None) -> Array | None:
        return None if array is None else np.round(array * grid) / grid

    rounded = [replace(w, bias=exact(w.bias), recurrent_bias=exact(w.recurrent_bias)) for w in made.layers]
    return replace(made, layers=tuple(rounded))


def summed(weights: Weights) -> Weights:
    """The same layer with one bias where the two are only ever added: all but a GRU's candidate."""
    layers = []
    for w in weights.layers:
        assert w.recurrent_bias is not None
        inner = w.recurrent_bias.copy()
        kept = np.zeros_like(inner)
        if weights.spec.cell == "gru":
            kept[2] = inner[2]
        layers.append(replace(w, bias=w.bias + inner - kept, recurrent_bias=kept))
    return replace(weights, layers=tuple(layers))


@sizes(30, 2000)
@pytest.mark.parametrize("name", NAMES)
def test_weights_come_back_from_every_framework(name: str, examples: int) -> None:
    """torch -> a framework -> torch: every number is the same, but that the two biases may have become one; and a loop
    over the framework's own reading of them gives the same outputs."""

    def check(cell: Cell, layers: int, count: int, seed: int) -> None:
        weights = torch_weights(cell, layers, count, seed)
        if (name, cell) in REFUSED:
            with pytest.raises(UserError, match=f"{name} has no"):
                move(weights, name)
            return
        there = move(weights, name)
        read = there.convention.read_weights(there.arrays, there.config)
        inputs = np.random.default_rng(seed).normal(size=(3, 4, 2))
        mask = np.arange(4) < np.array([4, 1, 3])[:, None]
        before, after = run_stack(weights, inputs, mask), run_stack(read, inputs, mask)
        for track in before:
            for one, other in zip(before[track], after[track], strict=True):
                assert np.allclose(one, other, rtol=0, atol=1e-14)
        back = move(replace(read, convention=name), "torch")
        again = back.convention.read_weights(back.arrays, back.config)
        assert_same_weights(summed(replace(again, convention="torch")), summed(weights))

    explore(
        examples,
        check,
        st.sampled_from(["lstm", "gru", "rnn"]),
        st.integers(1, 3),
        st.integers(1, 2),
        st.integers(0, 10**6),
    )


def returned(name: str, trace: Trace) -> Any:
    """What that framework's call returns: written from its documentation, for one layer or a stack.

    `[B, T, H]`; the directions' outputs joined where the framework joins them.
    """
    tracks, top = trace.tracks, [t.outputs for t in trace.tracks if t.outputs is not None]
    joined = np.concatenate(top, axis=-1)
    h, c = [t.final for t in tracks], [t.cell for t in tracks]
    lstm = c[0] is not None
    each: list[Any] = list(zip(h, c, strict=True)) if lstm else h
    turned = [pair[::-1] for pair in each] if lstm else each
    if name in ("torch", "paddle", "mxnet"):
        return joined, (np.stack(h), np.stack(c)) if lstm else np.stack(h)  # type: ignore[arg-type]
    if name == "onnx":  # layout 1: Y [B, T, D, H], Y_h [B, D, H]
        states = [np.stack(a, axis=1) for a in ((h, c) if lstm else (h,))]  # type: ignore[arg-type]
        return np.stack(top, axis=2), *states
    if name == "keras":
        return joined, *[a for pair in zip(h, c, strict=True) for a in pair if a is not None]
    if name == "tf1":
        return (tuple(top) if len(top) == 2 else top[0]), tuple(turned) if len(turned) > 1 else turned[0]
    if name == "flax":
        return tuple(turned) if len(turned) > 1 else turned[0], joined
    return joined, each[0]


def flat(value: Any, prefix: str) -> dict[str, Array]:
    """Nested tuples under the names of their places, as a saved or printed tuple has them: `returned.1.0`."""
    if isinstance(value, tuple):
        return {k: a for i, part in enumerate(value) for k, a in flat(part, f"{prefix}.{i}").items()}
    return {prefix: value}


@sizes(30, 1000)
@pytest.mark.parametrize("name", NAMES)
def test_what_a_call_returned_is_read_as_the_run(name: str, examples: int) -> None:
    """The tuple that each framework returns, saved part by part, holds the same tracks as the run."""
    convention = conventions.get(name)

    def check(cell: Cell, count: int, layers: int, seed: int) -> None:
        assume(cell in convention.cells)
        assume(layers == 1 or name in ("torch", "paddle", "mxnet"))  # elsewhere every layer is a call of its own
        assume(count == 1 or name != "haiku")
        directions = directions_of(count)
        config = layer_config(cell, layers, directions)
        trace = logical_trace(cell, layers, directions, convention=convention, config=config, seed=seed)
        arrays = flat(returned(name, trace), "returned")
        rest, slots = take_returned({**arrays, "lengths": np.asarray(LENGTHS)}, config, convention.cell_first)
        assert list(rest) == ["lengths"]
        assert {slot.name for slot in slots} <= set(arrays)
        told = {slot.name: slot for slot in slots}
        reading = read_back(convention, rest, config, told)  # type: ignore[arg-type]
        assert_same_tracks(trace, reading.trace)

    explore(
        examples,
        check,
        st.sampled_from(["lstm", "gru", "rnn"]),
        st.integers(1, 2),
        st.integers(1, 3),
        st.integers(0, 1000),
    )
