"""Flax's MGUCell: read from its own names, and run by the formula of its source."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect import conventions, run
from rnninspect.core.cell import CellSpec
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.errors import UserError

FEATURES, UNITS = 3, 4


def tree(resets: bool) -> dict[str, Array]:
    """Variables as `nn.RNN(nn.MGUCell(4, reset_gate=…))` has them."""
    rng = np.random.default_rng(0)
    shapes = {"if/kernel": (FEATURES, UNITS), "in/kernel": (FEATURES, UNITS), "if/bias": (UNITS,), "in/bias": (UNITS,)}
    shapes |= {"hf/kernel": (UNITS, UNITS), "hn/kernel": (UNITS, UNITS)} | ({"hn/bias": (UNITS,)} if resets else {})
    return {f"params/cell/{name}": rng.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("resets", [True, False])
def test_it_is_read_and_run(resets: bool) -> None:
    """Whether it resets is told by the bias of the recurrent product; the numbers are those of the formula."""
    arrays = tree(resets)
    p = {name.removeprefix("params/cell/"): array for name, array in arrays.items()}
    weights = conventions.get("flax").read_weights(arrays, LayerConfig())
    assert weights.spec == CellSpec("mgu", reset_after=resets)
    assert [c.name for c in conventions.of_weights(arrays)] == ["flax"]
    inputs = np.random.default_rng(1).normal(size=(2, 6, FEATURES))
    h = np.zeros((2, UNITS))
    for t in range(6):
        forget = 1 / (1 + np.exp(-(inputs[:, t] @ p["if/kernel"] + p["if/bias"] + h @ p["hf/kernel"])))
        inner = h @ p["hn/kernel"] + p.get("hn/bias", 0)
        candidate = np.tanh(inputs[:, t] @ p["in/kernel"] + p["in/bias"] + (forget * inner if resets else inner))
        h = (1 - forget) * candidate + forget * h
    (track,) = run(inputs, weights=weights, convention="flax").tracks
    np.testing.assert_allclose(track.final, h, rtol=0, atol=1e-12)
    written = conventions.get("flax").write_weights(weights)
    assert {name: a.shape for name, a in written.items()} == {
        k.removeprefix("params/"): a.shape for k, a in arrays.items()
    }
    assert all(np.array_equal(array, arrays[f"params/{name}"]) for name, array in written.items())


def test_no_other_framework_has_names_for_it() -> None:
    """It is refused there, and nothing is written."""
    weights = conventions.get("flax").read_weights(tree(True), LayerConfig())
    for name in ("torch", "keras", "onnx", "tf1"):
        with pytest.raises(UserError, match="no names for weights of the cell mgu"):
            conventions.get(name).write_weights(weights)
