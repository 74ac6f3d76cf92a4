"""A live Keras `RNN([cell, cell])` says which cell reads which: no name need, and none can, say otherwise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnninspect.api.weights_given import weights_given
from rnninspect.conventions.live.weights import as_named
from rnninspect.core.layer_config import LayerConfig
from rnninspect.diagnosis.build_case import read_weights


class Variable:
    """A variable of Keras's, as far as it is looked at."""

    def __init__(self, path: str, name: str, value: np.ndarray[Any, Any]) -> None:
        self.path, self.name, self.shape, self.dtype, self._value = path, name, value.shape, value.dtype, value

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        return self._value


def stack(gates: int, *names: str) -> Any:
    """A stand-in for a layer of Keras's: equal cells of these names, with other numbers each."""
    rng, cells = np.random.default_rng(0), []
    for name in names:
        parts = ("kernel", "recurrent_kernel")
        cells.append(
            SimpleNamespace(weights=[Variable(f"rnn/{name}/{p}", p, rng.normal(size=(4, gates * 4))) for p in parts])
        )
    variables = [variable for cell in cells for variable in cell.weights]
    return SimpleNamespace(cell=SimpleNamespace(cells=cells), weights=variables, get_weights=list)


@pytest.mark.parametrize(("gates", "cell"), [(3, "gru"), (4, "lstm"), (1, "rnn")])
@pytest.mark.parametrize("names", [("cell", "cell_1"), ("z_bottom", "a_top")])
def test_cells_are_read_in_their_order(gates: int, cell: str, names: tuple[str, ...]) -> None:
    """Proves that equal cells are read as one stack, bottom first, whatever they are called; two lone ones are not."""
    layer = stack(gates, *names)
    arrays, config = weights_given(layer, LayerConfig(), None)
    assert config.layers == 2
    weights = read_weights(arrays, config, "keras")  # type: ignore[arg-type]
    assert (weights.spec.cell, weights.depth) == (cell, 2)
    for held, kept in zip(weights.layers, layer.cell.cells, strict=True):
        assert np.isin(np.asarray(kept.weights[0]), held.input_kernel).all()
    assert next(iter(as_named(stack(gates, "alone"), LayerConfig()))).startswith("rnn/alone")
    assert weights_given(stack(gates, "alone"), LayerConfig(), None)[1].layers is None


@pytest.mark.parametrize(("gates", "cell"), [(3, "gru"), (4, "lstm")])
def test_cells_of_both_directions_are_read_in_their_order(gates: int, cell: str) -> None:
    """Proves that the equal cells of a `Bidirectional(RNN([cell, cell]))` are one stack a direction, each of which
    reads its own direction alone, whatever the cells are called."""
    both = [stack(gates, *names) for names in (("cell", "cell_1"), ("z_bottom", "a_top"))]
    layer = SimpleNamespace(forward_layer=both[0], backward_layer=both[1], weights=[], get_weights=list)
    arrays, config = weights_given(layer, LayerConfig(), None)
    weights = read_weights(arrays, config, "keras")  # type: ignore[arg-type]
    assert (config.layers, weights.spec.cell, weights.depth, weights.between) == (2, cell, 2, "apart")
    for held in weights.layers:
        side = both[held.direction == "backward"]
        assert np.isin(np.asarray(side.cell.cells[held.layer].weights[0]), held.input_kernel).all()
