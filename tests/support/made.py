"""Correct cases of every shape, made by running the engine: where the tests plant mistakes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect import conventions
from rnninspect.core.cell import CellSpec
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import DIRECTIONS
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rules import rules
from rnninspect.engine import cells as known_cells

LENGTHS = np.array([4, 1, 7, 3, 6])  # uneven, unsorted, one full row, one of a single step


def random_weights(
    cell: str, features: int, units: int, layers: int = 1, directions: int = 1, seed: int = 0, **spec: object
) -> Weights:
    """Weights with distinct, non-zero numbers everywhere, biases too, so that every mistake shows."""
    rng = np.random.default_rng(seed)
    gates = len(known_cells.get(cell).gates)

    def drawn(*shape: int) -> np.ndarray:
        return rng.uniform(-0.8, 0.8, shape).astype(np.float32)

    made = []
    for layer in range(layers):
        width = features if layer == 0 else units * directions
        for direction in DIRECTIONS[:directions]:
            two = cell == "gru"
            kernels = drawn(gates, width, units), drawn(gates, units, units), drawn(gates, units)
            made.append(LayerWeights(layer, direction, *kernels, recurrent_bias=drawn(gates, units) if two else None))
    defaults = {"forget_bias": 1.0} if cell == "lstm" else {}
    return Weights(CellSpec(cell, **{**defaults, **spec}), tuple(made))  # type: ignore[arg-type]


def correct_case(
    cell: str = "lstm",
    layers: int = 1,
    directions: int = 1,
    *,
    lengths: np.ndarray = LENGTHS,
    steps: int = 7,
    units: int = 5,
    convention: str = "tf1",
    seed: int = 0,
    weights: Weights | None = None,
) -> Case:
    """A right run; the padding of the inputs is random, so that a layer which reads it shows it."""
    rng = np.random.default_rng(seed + 100)
    inputs = rng.normal(size=(lengths.size, steps, units)).astype(np.float32)
    made = weights or random_weights(cell, units, units, layers, directions, seed)
    config = LayerConfig(cell=cell, layers=layers, direction="bidirectional" if directions == 2 else None)  # type: ignore[arg-type]
    case = build_case.run_case({"inputs": inputs, "lengths": lengths}, config, convention, weights=made)
    return replace(case, layer=replace(case.layer, convention=conventions.get(convention)))


def needs_backward(rule: str) -> bool:
    """Whether a rule is about a layer that reads backwards, alone or beside a forward direction."""
    return not {"two directions", "a direction read backwards"}.isdisjoint(rules()[rule].needs)
