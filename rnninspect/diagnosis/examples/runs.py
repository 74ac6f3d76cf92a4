"""The worked examples as correct cases, run on the spot: where `demo` and the tests plant their mistakes.

Two are the packaged dumps, with their weights. The others read the packaged inputs of five rows through layers of other
kinds, since a mistake can only be shown where it can be made: a GRU's gates need a GRU, a wrong layer needs a stack.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnninspect import conventions
from rnninspect.core.cell import Cell
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import DIRECTIONS
from rnninspect.core.weights import Weights
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.examples import packaged
from rnninspect.diagnosis.rule import Example
from rnninspect.engine.initialise import glorot
from rnninspect.formats import read_arrays

PACKAGED: dict[Example, tuple[str, str]] = {
    "single": ("published.npz", "weights.npz"),
    "bidirectional": ("bidirectional.npz", "bidirectional_weights.npz"),
}


@dataclass(frozen=True)
class Layer:
    """What reads the packaged inputs: as many units as features, drawn weights, biases too."""

    cell: Cell = "lstm"
    layers: int = 1
    directions: int = 1
    rows: int | None = None
    cell_clip: float | None = None


DRAWN: dict[Example, Layer] = {
    "rows": Layer(),
    "clipped": Layer(cell_clip=0.25),
    "gru": Layer(cell="gru"),
    "stack": Layer(layers=3, rows=3),
    "directions": Layer(directions=2),
}
EXAMPLES: tuple[Example, ...] = (*PACKAGED, *DRAWN)


def case(example: Example, convention: str = "tf1") -> Case:
    """The example's inputs run with its weights (imports torch): everything that a rule may look at is there.

    `convention`: the framework whose layer runs: what stands in the padding, and the state of an empty row.
    """
    if example in DRAWN:
        return _drawn_case(DRAWN[example], convention)
    data, weights = PACKAGED[example]
    arrays = read_arrays(packaged.path(data)).arrays
    config = LayerConfig(cell="lstm", direction="bidirectional" if example == "bidirectional" else None)
    made = conventions.get("tf1").read_weights(read_arrays(packaged.path(weights)).arrays, config)
    return _run(arrays, config, made, convention)


def _drawn_case(layer: Layer, convention: str) -> Case:
    arrays = {n: a[: layer.rows] for n, a in read_arrays(packaged.path("bidirectional.npz")).arrays.items()}
    config = LayerConfig(cell=layer.cell, direction="bidirectional" if layer.directions == 2 else None)
    return _run(arrays, config, _weights(layer, arrays["inputs"].shape[2]), convention)


def _weights(layer: Layer, units: int) -> Weights:
    """TensorFlow's initialisers, and biases from the same seed: a bias of zero could be dropped without a trace."""
    made = glorot(layer.cell, units, units, layer.layers, DIRECTIONS[: layer.directions])
    rng = np.random.default_rng(0)
    layers = (replace(w, bias=rng.uniform(-0.5, 0.5, w.bias.shape).astype(np.float32)) for w in made.layers)
    return replace(made, layers=tuple(layers), spec=replace(made.spec, cell_clip=layer.cell_clip))


def _run(arrays: Any, config: LayerConfig, weights: Weights, convention: str) -> Case:
    picked = {name: arrays[name] for name in ("inputs", "lengths")}
    return build_case.run_case(picked, config, convention, weights=weights)
