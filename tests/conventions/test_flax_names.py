"""Flax's nnx names its weights otherwise than linen: both are read, and `NAME.nnx.npz` is written as nnx has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect import conventions
from rnninspect.api.convert import move, write
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.errors import UserError
from tests.support.logical import logical_weights

FLAX = conventions.get("flax")
# The names and shapes that flax 0.12.8 gives `nnx.state(nnx.RNN(CELL(4, 5)), nnx.Param)`.
NNX: dict[Any, dict[str, tuple[int, ...]]] = {
    "lstm": {
        **{f"cell/h{gate}/bias": (5,) for gate in ("f", "g", "i", "o")},
        **{f"cell/h{gate}/kernel": (5, 5) for gate in ("f", "g", "i", "o")},
        **{f"cell/i{gate}/kernel": (4, 5) for gate in ("f_", "g", "i", "o")},
    },
    "gru": {"cell/dense_h/kernel": (5, 15), "cell/dense_i/bias": (15,), "cell/dense_i/kernel": (4, 15)},
    "rnn": {"cell/dense_h/kernel": (5, 5), "cell/dense_i/bias": (5,), "cell/dense_i/kernel": (4, 5)},
}


def drawn(cell: str) -> dict[str, Array]:
    draw = np.random.default_rng(0)
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in NNX[cell].items()}


@pytest.mark.parametrize("ending", [".npz", ".msgpack"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_what_is_read_is_written_again(cell: str, ending: str, tmp_path: Path) -> None:
    """The same names and numbers come out of a file of nnx's as went into it."""
    from rnninspect.formats import read_arrays

    arrays = drawn(cell)
    weights = FLAX.read_weights(arrays, LayerConfig())
    path = str(tmp_path / f"layer.nnx{ending}")
    assert write(move(weights, "flax"), path).agrees
    back = read_arrays(path).arrays
    assert {*back} == {*arrays}
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)


@pytest.mark.parametrize("spelt", ["{}/value", "{}.raw_value", "model/{}"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_spellings_of_a_state_are_one(cell: str, spelt: str) -> None:
    """`value` behind a variable, dots for slashes, a cell alone: the layer is the same."""
    inputs = np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32)
    arrays = drawn(cell)
    expected = rnninspect.run(inputs, weights=arrays).tracks[0].outputs
    for stem in ("cell/", ""):
        respelt = {spelt.format(name.replace("cell/", stem)): array for name, array in arrays.items()}
        for dotted in (False, True):
            named = {name.replace("/", ".") if dotted else name: array for name, array in respelt.items()}
            trace = rnninspect.run(inputs, weights=named)
            assert trace.convention == "flax"
            np.testing.assert_array_equal(trace.tracks[0].outputs, expected)


def test_a_list_of_modules_is_numbered_as_nnx_numbers_it() -> None:
    """`layers/0` in nnx, `layers_0` in linen."""
    arrays = {f"layers/{i}/{name}": array for i in range(2) for name, array in drawn("lstm").items()}
    arrays |= {name: array[[0, 1, 2, 3, 0]] for name, array in arrays.items() if re.match("layers/1/cell/i", name)}
    weights = FLAX.read_weights(arrays, LayerConfig(layers=2))
    assert {*FLAX.arrays_for("x.nnx.npz", weights)} == {*arrays}
    assert "layers_1/cell/if/kernel" in FLAX.arrays_for("x.npz", weights)


def test_a_bias_that_nnx_has_no_place_for_is_refused() -> None:
    """linen's GRU adds a bias within the reset, nnx's does not; nothing is left out in silence."""
    arrays = FLAX.write_weights(logical_weights(FLAX.spec("gru", {})))
    weights = FLAX.read_weights({**arrays, "cell/hn/bias": arrays["cell/hn/bias"] + 1}, LayerConfig())
    with pytest.raises(UserError, match="has no bias of its own for the recurrent product"):
        FLAX.arrays_for("x.nnx.npz", weights)
    assert "cell/hn/bias" in FLAX.arrays_for("x.npz", weights)
