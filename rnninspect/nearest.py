"""Which output step is nearest to a final state that equals none? By the largest absolute difference of any unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnninspect.blocks import tiles
from rnninspect.matching import parts, same
from rnninspect.trace import Array, Bools, Ints

SLACK = 1 + 2.0**-20  # a difference taken in float32 is right within 2**-24


@dataclass(frozen=True, eq=False)
class Nearest:
    """`step`, `distance`, `margin`: `[N]`; the nearest step, its largest absolute difference, and by how much the
    second nearest is farther (NaN where there is no second)."""

    step: Ints
    distance: Array
    margin: Array


def nearest_steps(outputs: Array, final: Array, rows: Ints, repeats: Bools) -> Nearest:
    """The nearest step of each of these rows `[N]` (ascending), for `[B, T, H]` and `[B, H]`; in float64.

    `repeats` `[B, T]`: the steps that equal the one before them, and are as far. A difference that is not finite counts
    as infinite, so NaN never poisons the rest; two NaN count as equal.
    """
    step = np.zeros(rows.size, dtype=np.int64)
    best, second = np.full(rows.size, np.inf), np.full(rows.size, np.inf)
    for where, steps, tile in _tiles_of(outputs, rows):
        distance = _distances(tile, final[rows[where]], ~repeats[rows[where], steps])
        at = distance.argmin(1)
        here = distance.min(1)
        distance[np.arange(at.size), at] = np.inf
        nearer = here < best[where]
        runner_up = np.where(nearer, best[where], here)
        second[where] = np.minimum(np.minimum(second[where], runner_up), distance.min(1))
        step[where] = np.where(nearer, at + steps.start, step[where])
        best[where] = np.minimum(best[where], here)
    with np.errstate(invalid="ignore"):
        margin = second - best if outputs.shape[1] > 1 else np.full(rows.size, np.nan)
    return Nearest(step, best, margin)


def near_steps(outputs: Array, final: Array, rows: Ints, rtol: float, atol: float) -> Bools:
    """`[N, T]`: of these rows `[N]` (ascending), the steps that equal the final state or are within
    `atol + rtol * |final|` of it in every unit (numpy's rule)."""
    near = np.zeros((rows.size, outputs.shape[1]), dtype=np.bool_)
    for where, steps, tile in _tiles_of(outputs, rows):
        target = final[rows[where], None].astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            inside = np.abs(tile - target) <= atol + rtol * np.abs(target)
        near[where, steps] = (inside | same(tile, np.broadcast_to(target, tile.shape))).all(-1)
    return near


def _tiles_of(outputs: Array, rows: Ints) -> Iterator[tuple[slice, slice, Array]]:
    """Tiles of these rows only: which of them, which steps, and the numbers."""
    for block, steps in tiles(outputs):
        low, high = np.searchsorted(rows, [block.start, block.stop]).tolist()
        if high - low == block.stop - block.start:
            yield slice(low, high), steps, outputs[block, steps]
        elif high > low:
            yield slice(low, high), steps, outputs[rows[low:high], steps]


def _distances(tile: Array, target: Array, fresh: Bools) -> Array:
    """`[n, t]`: the largest absolute difference of each step to the row's target, exact for the two nearest steps of
    each row; infinite for steps that a difference in float32 shows to be farther. `fresh` `[n, t]`: no repeats."""
    fresh[:, 0] = True
    near = fresh if tile.dtype.kind != "f" else fresh & _rough(tile, target)
    found = np.full(near.shape, np.inf)
    rows, steps = np.nonzero(near)
    for part in parts(rows.size, tile.shape[2]):
        b, t = rows[part], steps[part]
        found[b, t] = _exact(tile[b, t], target[b])
    if fresh.all():
        return found
    first = np.maximum.accumulate(np.where(fresh, np.arange(fresh.shape[1]), 0), axis=1)
    return np.take_along_axis(found, first, 1)


def _rough(tile: Array, target: Array) -> Bools:
    """`[n, t]`: True for the steps that may be among the two nearest of their row."""
    kind = np.result_type(tile, target)
    narrow = np.float64 if kind.itemsize > 4 else np.float32
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.subtract(tile, target[:, None], dtype=narrow)
        rough = np.abs(gap, out=gap).max(-1, initial=0.0)
    lost = np.isnan(rough)  # NaN, or infinity, in both is no difference: to be looked at
    ranked = np.where(lost, np.inf, rough)
    second = np.partition(ranked, 1, axis=1)[:, 1] if ranked.shape[1] > 1 else ranked[:, 0]
    return np.asarray(lost | (ranked <= second[:, None] * SLACK))


def _exact(values: Array, target: Array) -> Array:
    """`[n]`: the largest absolute difference of `[n, H]` and `[n, H]`, in float64."""
    a, b = values.astype(np.float64), target.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(a - b)
    gap[same(a, b)] = 0.0
    gap[np.isnan(gap)] = np.inf
    found: Array = gap.max(-1, initial=0.0)
    return found
