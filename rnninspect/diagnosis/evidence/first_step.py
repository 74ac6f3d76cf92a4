"""The first step by many weights at once.

Begun with zeros, a step is what the cell makes of its gates' sums x W + b alone. So the sums that each of the weights
gives are rows of one run, whose kernel hands them on to the cell, where each would take a run of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeVar

import numpy as np

from rnninspect.core.batch import Batch
from rnninspect.core.cell import CellSpec
from rnninspect.core.trace import Array, Bools, Trace, Track
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.small_cases import is_causal
from rnninspect.engine import cells

T = TypeVar("T")

UNITS = 8  # of a layer that none is above: begun with zeros they depend on no other, and tell
AT_A_TIME = 1 << 24  # numbers in the weights that are held at a time
ROUNDED = 2.0**-17  # of the largest sum: what float32 may lose of it, many times over


def begins_off(case: Case, changes: Iterable[T], weights_by: Callable[[T], Weights], limit: float) -> Iterator[Bools]:
    """`[B]` for each of the changes of weights: rows whose first step they give otherwise than within `limit`, however
    it is rounded; none, where a first step does not begin with zeros or carries later ones."""
    if not _can_tell(case):
        yield from (np.zeros(case.trace.batch_size, dtype=np.bool_) for _ in changes)
        return
    assert case.weights is not None
    size = sum(w.input_kernel.size + w.recurrent_kernel.size for w in case.weights.layers)
    rest = iter(changes)
    while some := list(islice(rest, max(1, AT_A_TIME // size))):
        yield from _all_begin_off(case, [weights_by(change) for change in some], limit)


def _can_tell(case: Case) -> bool:
    """Whether rows begin with zeros, in layers that are all read forward and run in their weights' own precision."""
    if case.weights is None or case.weights.directions != ("forward",) or case.layer.dtype is not None:
        return False
    return is_causal(case) and all(t.initial is None and t.initial_cell is None for t in case.trace.tracks)


def _all_begin_off(case: Case, candidates: list[Weights], limit: float) -> Bools:
    """`[K, B]`: `begins_off` of so many weights at once."""
    assert case.batch is not None
    real, depth = case.trace.mask[:, 0], candidates[0].depth
    off = np.zeros((len(candidates), real.size), dtype=np.bool_)
    below = [case.batch.inputs[:, 0].astype(np.float64)] * len(candidates)
    for layer in range(depth):
        layers = [w.at(layer, "forward") for w in candidates]
        if depth == 1 and layers[0].projection is None:
            layers = [first_units(one, UNITS) for one in layers]
        sums = [_sums(w.spec, one, x) for w, one, x in zip(candidates, layers, below, strict=True)]
        below = _outputs(case, [w.spec for w in candidates], layers, sums)
        track = case.trace.track(layer, "forward")
        if track is not None and track.outputs is not None:
            outputs = track.outputs[:, 0, : below[0].shape[1]].astype(np.float64)
            gaps = np.abs(np.stack(below) - outputs).max(-1)
            room = 2 * limit + ROUNDED * np.array([np.abs(one).max() for one in sums])
            off |= real & np.isfinite(gaps) & (gaps > room[:, None])
    return off


def _is_apart(spec: CellSpec) -> bool:
    """Whether the recurrent bias is no part of the sums, since a gate scales it."""
    return "reset_after" in cells.get(spec.cell).fields and spec.reset_after


def _sums(spec: CellSpec, layer: LayerWeights, x: Array) -> Array:
    """`[B, G*H]`: the gates' sums of inputs `[B, F]` and biases, in float64."""
    bias = layer.bias.astype(np.float64)
    if layer.recurrent_bias is not None and not _is_apart(spec):
        bias = bias + layer.recurrent_bias
    sums = x @ layer.input_kernel.astype(np.float64) + bias[:, None]
    return np.ascontiguousarray(sums.swapaxes(0, 1)).reshape(len(x), -1)


def _outputs(case: Case, specs: list[CellSpec], layers: list[LayerWeights], sums: list[Array]) -> list[Array]:
    """`[B, P]` of each: what the cells make of their sums; one run for all that differ in these alone."""
    alike = defaultdict[object, list[int]](list)
    for k, (spec, layer) in enumerate(zip(specs, layers, strict=True)):
        parts = (layer.recurrent_bias if _is_apart(spec) else None, layer.peepholes, layer.projection)
        alike[spec, *(None if part is None else part.tobytes() for part in parts)].append(k)
    outputs = list[Array](sums)
    for members in alike.values():
        spec, layer = specs[members[0]], layers[members[0]]
        made = _run_of_sums(case, spec, layer, np.concatenate([sums[k] for k in members]))
        for k, rows in zip(members, np.split(made, len(members)), strict=True):
            outputs[k] = rows
    return outputs


def _run_of_sums(case: Case, spec: CellSpec, layer: LayerWeights, sums: Array) -> Array:
    """`[N, P]`: one step of rows that begin with zeros and are given these sums `[N, G*H]`."""
    gates, units = layer.bias.shape
    as_they_are = np.eye(gates * units).reshape(-1, gates, units).swapaxes(0, 1)
    zeros = np.zeros((gates, layer.units if layer.projection is not None else units, units))
    bias = layer.recurrent_bias if _is_apart(spec) else None
    handing_on = LayerWeights(
        0, "forward", as_they_are, zeros, np.zeros((gates, units)), bias, layer.peepholes, layer.projection
    )
    real = np.ones((len(sums), 1), dtype=np.bool_)
    trace = Trace(real, (Track(0, "forward", None, None),), None, True, "zero", "initial", case.convention.name)
    ran = case.with_trace(trace).with_weights(Weights(spec, (handing_on,))).run(Batch(sums[:, None], real, None, True))
    made = ran.tracks[0].outputs
    assert made is not None
    return made[:, 0]


def first_units(layer_weights: LayerWeights, units: int | None) -> LayerWeights:
    """The weights of the first `units` alone, which read every unit of h: recurrent kernels are `[G, P, N]`."""

    def cut(array: Array | None) -> Array | None:
        return None if array is None else array[..., :units]

    return replace(
        layer_weights,
        input_kernel=layer_weights.input_kernel[..., :units],
        recurrent_kernel=layer_weights.recurrent_kernel[..., :units],
        bias=layer_weights.bias[..., :units],
        recurrent_bias=cut(layer_weights.recurrent_bias),
        peepholes=cut(layer_weights.peepholes),
    )
