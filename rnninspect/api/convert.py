"""Moves a layer's weights from one framework to another, and measures what the move changed.

Gate order, transposes, one bias or two and the meaning of z are the conventions' own business; what is left is what a
framework does at run time and another does not: TensorFlow and Haiku add 1 to the forget gate. That moves into the
bias, and out of it again. What cannot be moved is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from rnninspect import conventions
from rnninspect.conventions.base import Convention
from rnninspect.conventions.weights import gates
from rnninspect.core.batch import Batch
from rnninspect.core.cell import ROLE_FIELDS, Cell, CellSpec
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Track, prefix_mask
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.engine import cells
from rnninspect.errors import UserError
from rnninspect.formats import read_arrays, write_layer

TRIAL_LENGTHS = (5, 9, 1, 7)  # uneven, unsorted, one full, one of a single step
ROUNDING = 32  # units of the last place, of the largest number that comes out: what a moved layer may differ by


@dataclass(frozen=True, eq=False)
class Moved:
    """A layer under another framework's names.

    `before`: as it was read; `weights`: the same layer with the forget bias where the other framework keeps it;
    `arrays`: its arrays there; `options`: what its users must state beside them, options by their Python names.
    """

    before: Weights
    weights: Weights
    convention: Convention
    arrays: Mapping[str, Array]
    options: Mapping[str, Any]

    @property
    def config(self) -> LayerConfig:
        """All that is stated about the layer where it has gone."""
        direction: Literal["forward", "reverse", "bidirectional"] = "forward"
        if len(self.weights.directions) == 2:
            direction = "bidirectional"
        elif self.weights.directions == ("backward",):
            direction = "reverse"
        merge = self.weights.between
        return LayerConfig(
            cell=self.weights.spec.cell,
            layers=self.weights.depth,
            direction=direction,
            merge_mode="concat" if merge == "apart" else merge,
            attributes=self.options,
        )

    @property
    def beside(self) -> dict[str, Any]:
        """What its users must state beside the arrays: the cell's options, and that several layers are one stack."""
        try:
            self.convention.read_weights(self.arrays, replace(self.config, layers=None))
        except UserError:
            return {**self.options, "layers": self.weights.depth}
        return dict(self.options)

    @property
    def difference(self) -> float:
        """The largest absolute difference of outputs, h and c between the layer as it was and as it is read there."""
        return largest_difference(self.before, self.arrays, self.convention.name)


@dataclass(frozen=True)
class Written:
    """What came back from a file: the largest difference that the way there and back made, and what rounding allows."""

    difference: float
    rounding: float

    @property
    def agrees(self) -> bool:
        return self.difference <= self.rounding


def move(weights: Weights, to: str) -> Moved:
    """The same layer in the framework `to`; raises what `convert` raises."""
    target = conventions.get(to)
    moved = adapted(weights, target)
    return Moved(weights, moved, target, target.write_weights(moved), attributes(weights, to))


def write(moved: Moved, path: str) -> Written:
    """Write the arrays in the format of the path's suffix, read them back and run both layers on random inputs.

    Raises UserError where the file cannot be written, or what it holds is not the layer.
    """
    arrays = moved.convention.arrays_for(path, moved.weights)
    described = {"direction": moved.config.direction, "merge_mode": moved.config.merge_mode}
    write_layer(path, arrays, moved.convention.name, {**moved.options, **described})
    back = replace(moved, arrays=read_arrays(path).arrays)
    before = _ran(moved.before)
    largest = max((float(np.abs(a).max(initial=0.0)) for a in before), default=0.0)
    eps = max(float(np.finfo(a.dtype).eps) for a in moved.arrays.values())
    return Written(back.difference, ROUNDING * eps * max(1.0, largest))


def summarise(moved: Moved) -> str:
    """What was moved, in one line: gate blocks, kernels, biases, the forget bias."""
    cell, before, after = moved.weights.spec.cell, moved.before, moved.weights
    source, target = conventions.get(before.convention).facts, moved.convention.facts
    parts = []
    if hasattr(source, f"{cell}_gates"):
        old, new = (getattr(facts, f"{cell}_gates").in_order for facts in (source, target))
        parts.append(f"gates {old} -> {new}" if old != new else f"gates {old}")
    columns = f"{len(cells.get(cell).gates)}H".removeprefix("1")
    old, new = (facts.kernels.replace("4H", columns) for facts in (source, target))
    parts.append(f"kernels {old} -> {new}" if old != new else f"kernels {old}")
    parts.append(_biases(before, moved.convention.read_weights(moved.arrays, moved.config)))
    if before.spec.forget_bias != after.spec.forget_bias:
        more, less = before.spec.forget_bias, after.spec.forget_bias
        parts.append(
            f"forget bias {more:g} at run time moved into the bias"
            if not less
            else f"forget bias {less - more:g} taken out of the bias, for it is added at run time there"
        )
    return "; ".join(parts)


def _biases(before: Weights, after: Weights) -> str:
    two, both = (any(w.recurrent_bias is not None for w in weights.layers) for weights in (before, after))
    if two and both:
        return "both biases"
    if two:
        return "the two biases summed"
    return "one bias, the second zero" if both else "one bias"


def convert(weights: Weights, to: str) -> dict[str, Array]:
    """The same layer as arrays under the names and in the layout of the framework `to`.

    Raises UserError where that framework lacks a part of the cell (a reset-before GRU in torch, peepholes in keras),
    UnknownNameError where there is no such convention.
    """
    return dict(move(weights, to).arrays)


def attributes(weights: Weights, to: str) -> dict[str, Any]:
    """What to state beside the converted arrays, by that framework's own names; empty where its defaults do.

    >>> from rnninspect.core.cell import CellSpec
    >>> gru = Weights(CellSpec("gru", reset_after=True), ())
    >>> attributes(gru, "onnx"), attributes(gru, "keras")
    ({'linear_before_reset': 1}, {})
    """
    target = conventions.get(to)
    moved = adapted(weights, target)
    options = _of_both(target.attributes(moved.spec), moved, target)
    if "use_peepholes" in target.takes and any(w.peepholes is not None for w in moved.layers):
        options["use_peepholes"] = True
    if "num_proj" in target.takes and any(w.projection is not None for w in moved.layers):
        options["num_proj"] = moved.layers[-1].units
    return options


def _of_both(options: dict[str, Any], weights: Weights, target: Convention) -> dict[str, Any]:
    """With the activations of the backward direction behind those of the forward one, where they differ."""
    if weights.backward is None:
        return options
    specs = (weights.spec, weights.backward)
    if "activations" not in target.takes:
        return options | gates.pairs(*({**_stated(spec), **target.attributes(spec)} for spec in specs))
    listed = [gates.onnx_attributes(spec, always=True) for spec in specs]
    names = dict.fromkeys(name for each in listed for name in each)
    return {**options, **{name: [v for each in listed for v in each.get(name, ())] for name in names}}


def _stated(spec: CellSpec) -> dict[str, Any]:
    """The activations that a direction has, also where they are a framework's defaults."""
    roles = cells.get(spec.cell).roles
    return {name: getattr(spec, name) for name in gates.ONE_EACH if name in {ROLE_FIELDS[role] for role in roles}}


def adapted(weights: Weights, target: Convention) -> Weights:
    """The same layer with the forget bias where the target keeps it: added at run time, or within the bias.

    Parts without an effect go: peepholes that are all zero, a clip of a projection that there is not.
    """
    usual = target.spec(weights.spec.cell, {}).forget_bias
    shift = weights.spec.forget_bias - usual
    spec = replace(weights.spec, forget_bias=usual)
    backward = None if weights.backward is None else replace(weights.backward, forget_bias=usual)
    if all(w.projection is None for w in weights.layers):
        spec = replace(spec, proj_clip=None)
    return replace(
        weights, spec=spec, backward=backward, layers=tuple(_adapted(w, spec.cell, shift) for w in weights.layers)
    )


def _adapted(w: LayerWeights, cell: Cell, shift: float) -> LayerWeights:
    if w.peepholes is not None and not w.peepholes.any():
        w = replace(w, peepholes=None)
    return replace(w, bias=_shifted(w, cell, shift)) if shift else w


def _shifted(w: LayerWeights, cell: Cell, shift: float) -> Array:
    bias = np.array(w.bias)
    bias[cells.get(cell).gates.index("f")] += shift
    return bias


def largest_difference(weights: Weights, arrays: Mapping[str, Array], to: str, *, seed: int = 0) -> float:
    """The largest absolute difference of outputs, h and c between the layer and the converted arrays, read back.

    Both run in float64 on the same random inputs, four rows of uneven lengths; infinity where one is not finite.
    """
    target = conventions.get(to)
    target_config = Moved(weights, adapted(weights, target), target, arrays, attributes(weights, to)).config
    moved = target.read_weights(arrays, target_config)
    return max(_difference(a, b) for a, b in zip(_ran(weights, seed), _ran(moved, seed), strict=True))


def _ran(weights: Weights, seed: int = 0) -> list[Array]:
    """Every array of a run on random inputs, in float64."""
    from rnninspect.engine import run

    batch = _trial(weights.layers[0].features, seed)
    return _values(run.run(batch, weights, dtype="float64"))


def _trial(features: int, seed: int) -> Batch:
    lengths = np.asarray(TRIAL_LENGTHS)
    inputs = np.random.default_rng(seed).normal(size=(lengths.size, int(lengths.max()), features))
    return Batch(inputs, prefix_mask(lengths, int(lengths.max())), lengths)


def _values(tracks: Iterable[Track]) -> list[Array]:
    recorded = [array for t in tracks for array in (t.outputs, t.final, t.cell)]
    return [array for array in recorded if array is not None]


def _difference(a: Array, b: Array) -> float:
    worst = float(np.abs(a - b).max()) if a.size else 0.0
    return worst if np.isfinite(worst) else float("inf")
