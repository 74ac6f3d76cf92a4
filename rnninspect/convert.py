"""Moves a layer's weights from one framework to another, and measures what the move changed.

Gate order, transposes, one bias or two and the meaning of z are the conventions' own business; what is left is what a
framework does at run time and another does not: TensorFlow and Haiku add 1 to the forget gate. That moves into the
bias, and out of it again. What cannot be moved is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect import conventions
from rnninspect.batch import Batch
from rnninspect.conventions.base import Convention, Statement
from rnninspect.trace import Array, Track, prefix_mask
from rnninspect.weights import GATES, LayerWeights, Weights

TRIAL_LENGTHS = (5, 9, 1, 7)  # uneven, unsorted, one full, one of a single step


def convert(weights: Weights, to: str) -> dict[str, Array]:
    """The same layer as arrays under the names and in the layout of the framework `to`.

    Raises UserError where that framework lacks a part of the cell (a reset-before GRU in torch, peepholes in keras),
    UnknownNameError where there is no such convention.
    """
    target = conventions.get(to)
    return target.write_weights(adapted(weights, target))


def attributes(weights: Weights, to: str) -> dict[str, Any]:
    """What to state beside the converted arrays, by that framework's own names; empty where its defaults do.

    >>> from rnninspect.weights import CellSpec
    >>> gru = Weights(CellSpec("gru", reset_after=True), ())
    >>> attributes(gru, "onnx"), attributes(gru, "keras")
    ({'linear_before_reset': 1}, {})
    """
    target = conventions.get(to)
    moved = adapted(weights, target)
    stated = target.attributes(moved.spec)
    if "use_peepholes" in target.takes and any(w.peepholes is not None for w in moved.layers):
        stated["use_peepholes"] = True
    if "num_proj" in target.takes and any(w.projection is not None for w in moved.layers):
        stated["num_proj"] = moved.layers[-1].units
    return stated


def adapted(weights: Weights, target: Convention) -> Weights:
    """The same layer with the forget bias where the target keeps it: added at run time, or within the bias."""
    usual = target.spec(weights.spec.cell, {}).forget_bias
    shift = weights.spec.forget_bias - usual
    if not shift:
        return weights
    layers = tuple(replace(w, bias=_shifted(w, shift)) for w in weights.layers)
    return replace(weights, spec=replace(weights.spec, forget_bias=usual), layers=layers)


def _shifted(w: LayerWeights, shift: float) -> Array:
    bias = np.array(w.bias)
    bias[GATES["lstm"].index("f")] += shift
    return bias


def largest_difference(weights: Weights, arrays: Mapping[str, Array], to: str, *, seed: int = 0) -> float:
    """The largest absolute difference of outputs, h and c between the layer and the converted arrays, read back.

    Both run in float64 on the same random inputs, four rows of uneven lengths; infinity where one is not finite.
    """
    from rnninspect import engine

    way = "bidirectional" if len(weights.directions) == 2 else "forward"
    if weights.directions == ("backward",):
        way = "reverse"
    said = Statement(
        cell=weights.spec.cell,
        layers=weights.depth,
        direction=way,  # type: ignore[arg-type]
        attributes=attributes(weights, to),
    )
    moved = conventions.get(to).read_weights(arrays, said)
    batch = _trial(weights.layers[0].features, seed)
    before, after = (engine.run(batch, w, dtype="float64") for w in (weights, moved))
    return max(_difference(a, b) for a, b in zip(_values(before), _values(after), strict=True))


def _trial(features: int, seed: int) -> Batch:
    lengths = np.asarray(TRIAL_LENGTHS)
    inputs = np.random.default_rng(seed).normal(size=(lengths.size, int(lengths.max()), features))
    return Batch(inputs, prefix_mask(lengths, int(lengths.max())), lengths)


def _values(tracks: Iterable[Track]) -> list[Array]:
    found = [array for t in tracks for array in (t.outputs, t.final, t.cell)]
    return [array for array in found if array is not None]


def _difference(a: Array, b: Array) -> float:
    worst = float(np.abs(a - b).max()) if a.size else 0.0
    return worst if np.isfinite(worst) else float("inf")
