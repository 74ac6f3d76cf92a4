"""Which output steps does each final row equal? Bit for bit first, then by distance.

Equal means value for value: -0 equals 0, NaN equals NaN. Everything works on blocks of rows, so that a block of a
memory-mapped array is read once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnninspect.trace import Array, Bools, Ints

HEAD = 8  # units looked at first: most steps differ there, and the rest of them need not be read
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd: spreads bits (Knuth, TAOCP 3, 6.4)


def same(a: Array, b: Array) -> Bools:
    """Elementwise: equal, or both NaN.

    >>> same(np.array([0.0, np.nan, 1.0]), np.array([-0.0, np.nan, 2.0]))
    array([ True,  True, False])
    """
    equal = np.equal(a, b)
    if a.dtype.kind == "f" and b.dtype.kind == "f" and np.isnan(b).any():
        equal |= np.isnan(a) & np.isnan(b)
    return np.asarray(equal)


def equal_steps(outputs: Array, final: Array) -> Bools:
    """`[B, T]`: whether `outputs[b, t]` equals `final[b]`, for `[B, T, H]` and `[B, H]`."""
    equal: Bools = np.asarray(same(outputs[:, :, :HEAD], final[:, None, :HEAD]).all(-1))
    if outputs.shape[2] > HEAD:
        rows, steps = np.nonzero(equal)
        for part in _parts(rows.size, outputs.shape[2]):
            equal[rows[part], steps[part]] = same(outputs[rows[part], steps[part]], final[rows[part]]).all(-1)
    return equal


def zero_steps(outputs: Array) -> Bools:
    """`[B, T]`: whether every unit of that step is zero."""
    zero = (outputs[:, :, :HEAD] == 0).all(-1)
    if outputs.shape[2] > HEAD:
        rows, steps = np.nonzero(zero)
        for part in _parts(rows.size, outputs.shape[2]):
            zero[rows[part], steps[part]] = (outputs[rows[part], steps[part]] == 0).all(-1)
    return np.asarray(zero)


def equal_at(outputs: Array, final: Array, rows: Ints, steps: Ints) -> Bools:
    """`[B]`: whether `final[b]` equals `outputs[rows[b], steps[b]]`; False where the step lies outside."""
    inside = (steps >= 0) & (steps < outputs.shape[1]) & (rows >= 0) & (rows < outputs.shape[0])
    result = np.zeros(final.shape[0], dtype=np.bool_)
    picked = np.flatnonzero(inside)
    result[picked] = same(outputs[rows[picked], steps[picked]], final[picked]).all(-1)
    return result


@dataclass(frozen=True, eq=False)
class Nearest:
    """`step`, `distance`, `margin`: `[B]`; the nearest step, its largest absolute difference, and by how much the
    second nearest is farther (NaN where there is no second)."""

    step: Ints
    distance: Array
    margin: Array


def nearest_steps(outputs: Array, final: Array) -> Nearest:
    """The nearest step of every row by largest absolute difference, in float64.

    A difference that is not finite counts as infinite, so NaN never poisons the rest; two NaN count as equal.
    """
    rows, steps = outputs.shape[:2]
    distance = np.empty((rows, steps))
    for b in range(rows):  # a row at a time: float64 differences of one row only are in memory
        row, target = outputs[b].astype(np.float64), final[b].astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.abs(row - target)
        gap[same(row, np.broadcast_to(target, row.shape))] = 0.0
        gap[np.isnan(gap)] = np.inf
        distance[b] = gap.max(-1, initial=0.0)
    step = distance.argmin(1)
    best = np.take_along_axis(distance, step[:, None], 1)[:, 0]
    margin = np.full(rows, np.nan)
    if steps > 1:
        with np.errstate(invalid="ignore"):
            margin = np.partition(distance, 1, axis=1)[:, 1] - best
    return Nearest(step.astype(np.int64), best, margin)


def near_steps(outputs: Array, final: Array, rtol: float, atol: float) -> Bools:
    """`[B, T]`: within `atol + rtol * |final|` in every unit (numpy's rule), or equal."""
    near = np.zeros(outputs.shape[:2], dtype=np.bool_)
    for b in range(outputs.shape[0]):
        target = final[b].astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            inside = np.abs(outputs[b].astype(np.float64) - target) <= atol + rtol * np.abs(target)
        near[b] = (inside | same(outputs[b], np.broadcast_to(final[b], outputs[b].shape))).all(-1)
    return near


def step_keys(vectors: Array) -> Array:
    """`[...]` uint64: one key a vector of `[..., H]`; equal vectors (value for value) have equal keys."""
    keys: Array = np.zeros(vectors.shape[:-1], dtype=np.uint64)
    for unit in range(vectors.shape[-1]):
        column = vectors[..., unit].astype(np.float64) + 0.0  # -0 becomes 0
        bits = np.where(np.isnan(column), np.nan, column).view(np.uint64)
        with np.errstate(over="ignore"):
            keys = (keys ^ bits) * _MULTIPLIER
            keys ^= keys >> np.uint64(29)
    return keys


def locate(outputs: Array, vectors: Array, most: int = 64) -> list[list[tuple[int, int]]]:
    """For each of `vectors` `[N, H]`: the (row, step) of `outputs` `[B, T, H]` that equal it, at most `most`.

    Linear in the size of the outputs: keys are compared, then the few candidates in full.
    """
    wanted = step_keys(vectors)
    found: list[list[tuple[int, int]]] = [[] for _ in wanted]
    order = np.argsort(wanted, kind="stable")
    ranked = wanted[order]
    for part in _parts(outputs.shape[0], outputs.shape[1] * outputs.shape[2]):
        keys = step_keys(outputs[part])
        rows, steps = np.nonzero(np.isin(keys, wanted))
        for b, t in zip(rows.tolist(), steps.tolist(), strict=True):
            at = int(np.searchsorted(ranked, keys[b, t]))
            while at < ranked.size and ranked[at] == keys[b, t]:
                n = int(order[at])
                if len(found[n]) < most and same(outputs[part.start + b, t], vectors[n]).all():
                    found[n].append((part.start + b, t))
                at += 1
    return found


def _parts(count: int, width: int, numbers: int = 1 << 20) -> list[slice]:
    """Slices of `range(count)` that hold about `numbers` numbers each, for items of `width` numbers."""
    size = max(1, numbers // max(1, width))
    return [slice(i, min(i + size, count)) for i in range(0, count, size)]
