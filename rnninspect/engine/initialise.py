"""Weights without a file: TensorFlow's defaults, from a seed. Imports no torch.

`rnn_cell_impl.py` leaves a kernel to the scope's initialiser, which `tf.compat.v1.get_variable` makes Glorot uniform:
U(-l, l) with l = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16) over the whole kernel `[F + H, G * H]`,
inputs and state together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnninspect.core.cell import Cell
from rnninspect.core.trace import Array, Direction
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.engine import cells
from rnninspect.errors import UserError

# How many gates each variable holds in TensorFlow, of a cell that has several, and which of them start at 1.
VARIABLES: Mapping[Cell, tuple[int, ...]] = {"gru": (2, 1)}
ONES: Mapping[Cell, slice] = {"gru": slice(2)}


def glorot(
    cell: Cell,
    features: int,
    hidden_size: int,
    layers: int = 1,
    directions: tuple[Direction, ...] = ("forward",),
    seed: int = 0,
) -> Weights:
    """Fresh float32 weights as TensorFlow's cell of that kind would be initialised, by numpy's `default_rng(seed)`.

    LSTM: bias 0, forget bias 1.0 at run time. GRU: reset before the product, gate biases 1, candidate bias 0, its
    gates' kernel `[F + H, 2H]` and candidate's `[F + H, H]` drawn apart. Any other cell: one kernel, bias 0.

    Raises UserError unless `features`, `hidden_size` and `layers` are at least 1, UnknownNameError on an unknown cell.

    >>> made = glorot("lstm", features=3, hidden_size=2, seed=7)
    >>> made.at(0, "forward").input_kernel.shape, made.spec.forget_bias
    ((4, 3, 2), 1.0)
    >>> bool(abs(made.at(0, "forward").input_kernel).max() <= (6 / (3 + 2 + 4 * 2)) ** 0.5)
    True
    """
    for name, value in (("features", features), ("hidden size", hidden_size), ("layers", layers)):
        if value < 1:
            raise UserError(f"{name} is {value}; a recurrent layer needs at least 1")
    rng = np.random.default_rng(seed)
    made = []
    for layer in range(layers):
        width = features if layer == 0 else hidden_size * len(directions)
        made += [_layer(rng, cell, layer, direction, width, hidden_size) for direction in directions]
    spec = cells.get(cell).spec(forget_bias=1.0, reset_after=False)
    return Weights(spec, tuple(made), source=f"Glorot uniform, seed {seed}", convention="tf1")


def _layer(
    rng: np.random.Generator, cell: Cell, layer: int, direction: Direction, features: int, units: int
) -> LayerWeights:
    """One layer's gates; a GRU's candidate has a kernel of its own."""
    blocks = VARIABLES.get(cell, (len(cells.get(cell).gates),))
    kernel = np.concatenate([_kernel(rng, features, units, gates) for gates in blocks])
    bias = np.zeros((sum(blocks), units), dtype=np.float32)
    if cell in ONES:
        bias[ONES[cell]] = 1.0
    return LayerWeights(layer, direction, kernel[:, :features], kernel[:, features:], bias)


def _kernel(rng: np.random.Generator, features: int, units: int, gates: int) -> Array:
    """`[G, F + H, H]`: the gates of one variable."""
    limit = np.sqrt(6.0 / (features + units + gates * units))
    drawn = rng.uniform(-limit, limit, size=(gates, features + units, units))
    return drawn.astype(np.float32)
