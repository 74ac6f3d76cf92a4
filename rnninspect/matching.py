"""Which vectors are equal? Value for value: -0 equals 0, NaN equals NaN."""

from __future__ import annotations

import numpy as np

from rnninspect.blocks import release, tiles
from rnninspect.trace import Array, Bools, Ints

HEAD = 8  # units looked at first: most steps differ there, and the rest of them need not be read


def same(a: Array, b: Array) -> Bools:
    """Elementwise: equal, or both NaN.

    >>> same(np.array([0.0, np.nan, 1.0]), np.array([-0.0, np.nan, 2.0]))
    array([ True,  True, False])
    """
    equal = np.equal(a, b)
    if a.dtype.kind == "f" and b.dtype.kind == "f" and np.isnan(b).any():
        equal |= np.isnan(a) & np.isnan(b)
    return np.asarray(equal)


def gather(outputs: Array, rows: Ints, steps: Ints) -> Array:
    """`[N, H]`: `outputs[rows[n], steps[n]]`, pages let go on the way."""
    found = np.empty((rows.size, outputs.shape[2]), dtype=outputs.dtype)
    for part in parts(rows.size, 1 << 17):  # a few places: each may map up to 2 MiB around it
        found[part] = outputs[rows[part], steps[part]]
        release(outputs[rows[part].min() : rows[part].max() + 1])
    return found


def equal_at(outputs: Array, final: Array, rows: Ints, steps: Ints) -> Bools:
    """`[B]`: whether `final[b]` equals `outputs[rows[b], steps[b]]`; False where the step lies outside."""
    inside = (steps >= 0) & (steps < outputs.shape[1]) & (rows >= 0) & (rows < outputs.shape[0])
    result = np.zeros(final.shape[0], dtype=np.bool_)
    picked = np.flatnonzero(inside)
    result[picked] = same(gather(outputs, rows[picked], steps[picked]), final[picked]).all(-1)
    return result


def step_keys(vectors: Array) -> Array:
    """`[...]` uint64: one key a vector of `[..., H]`; equal vectors (value for value) have equal keys.

    A sum of the units' bits times odd numbers that look random (multiply-shift: Dietzfelbinger et al. 1997, "A
    reliable randomized algorithm for the closest-pair problem").
    """
    values = vectors.astype(np.float64) + 0.0  # -0 becomes 0
    values[np.isnan(values)] = np.nan  # one NaN for all
    bits = values.view(np.uint64)
    bits ^= bits >> np.uint64(32)  # numbers of a lower precision differ in their high bits only
    odd = np.random.default_rng(0).integers(1 << 63, size=vectors.shape[-1], dtype=np.uint64) << np.uint64(1)
    keys: Array = (bits * (odd + np.uint64(1))).sum(-1, dtype=np.uint64)
    return np.asarray(keys ^ (keys >> np.uint64(29)))


def locate(outputs: Array, vectors: Array, most: int = 64) -> list[list[tuple[int, int]]]:
    """For each of `vectors` `[N, H]`: the first (row, step) of `outputs` `[B, T, H]` that equal it, at most `most`.

    Linear in the size of the outputs: keys of a few units are compared, then keys of all units of the few candidates,
    then one vector with each of those. Equal vectors are searched once.
    """
    units = np.unique(np.linspace(0, vectors.shape[1] - 1, HEAD).astype(np.int64))
    wanted, first, group = np.unique(step_keys(vectors), return_index=True, return_inverse=True)
    few = np.unique(step_keys(vectors[:, units]))
    hits: list[list[tuple[int, int]]] = [[] for _ in wanted]
    for rows, steps in tiles(outputs):
        tile = outputs[rows, steps]
        for b, t in _candidates(tile, units, few):
            keys = step_keys(tile[b, t])
            at = np.minimum(np.searchsorted(wanted, keys), wanted.size - 1)
            real = np.flatnonzero(wanted[at] == keys)
            real = real[same(tile[b[real], t[real]], vectors[first[at[real]]]).all(-1)]
            for n in np.unique(at[real]).tolist():
                own = real[at[real] == n]
                hits[n].extend(zip((b[own] + rows.start).tolist(), (t[own] + steps.start).tolist(), strict=True))
                hits[n] = sorted(hits[n])[:most]
    return [hits[n] for n in group.reshape(-1).tolist()]


def _candidates(tile: Array, units: Ints, few: Array) -> list[tuple[Ints, Ints]]:
    """Rows and steps of a tile whose key of these units is one of `few`, in parts that can be read at once."""
    rows, steps = np.nonzero(np.isin(step_keys(tile[:, :, units]), few))
    return [(rows[part], steps[part]) for part in parts(rows.size, tile.shape[2])]


def parts(count: int, width: int, numbers: int = 1 << 20) -> list[slice]:
    """Slices of `range(count)` that hold about `numbers` numbers each, for items of `width` numbers."""
    size = max(1, numbers // max(1, width))
    return [slice(i, min(i + size, count)) for i in range(0, count, size)]
