"""Which vectors are equal? Value for value: -0 equals 0, NaN equals NaN."""

from __future__ import annotations

import numpy as np

from rnninspect.core.tiles import TILE_BYTES, release, tiles
from rnninspect.core.trace import Array, Bools, Ints

MAPPED_AROUND, STRETCHES = 2 << 20, 16  # bytes that reading a place may map around it, and how many such at once
FEW = 8  # rows that are looked at before all are
HEAD = 8  # units of which one is looked at first: most steps differ there, and the rest of them need not be read


def same(a: Array, b: Array) -> Bools:
    """Elementwise over `[…]`: equal, or both NaN.

    >>> same(np.array([0.0, np.nan, 1.0]), np.array([-0.0, np.nan, 2.0]))
    array([ True,  True, False])
    """
    equal = np.equal(a, b)
    if a.dtype.kind == "f" and b.dtype.kind == "f" and np.isnan(b).any():
        equal |= np.isnan(a) & np.isnan(b)
    return np.asarray(equal)


def any_of(marks: Bools) -> Bools:
    """`[B]`: the rows of `[B, T]` with a mark; told by one step where that stands for all, as what was seen nowhere."""
    return np.asarray((marks[:, :1] if marks.strides[1] == 0 else marks).any(1))


def gather(outputs: Array, rows: Ints, steps: Ints) -> Array:
    """`[N, H]`: `outputs[rows[n], steps[n]]`, in the order of memory, pages let go on the way."""
    outputs = np.asarray(outputs)
    if outputs.nbytes <= MAPPED_AROUND:
        return np.asarray(outputs[rows, steps])
    picked = np.empty((rows.size, outputs.shape[2]), dtype=outputs.dtype)
    stretch = (rows * outputs.strides[0] + steps * outputs.strides[1]) // MAPPED_AROUND
    order = np.argsort(stretch, kind="stable")
    new = np.diff(stretch[order], prepend=stretch[order[:1]]) != 0
    for part in np.split(order, np.flatnonzero(np.diff(np.cumsum(new) // STRETCHES)) + 1):
        picked[part] = outputs[rows[part], steps[part]]
        if part.size:
            release(outputs[rows[part].min() : rows[part].max() + 1])
    return picked


def take_rows(outputs: Array, rows: Ints, units: int | None = None) -> Array:
    """`[N, T, U]`: the first `units` of these rows `[N]` at every step, pages let go on the way.

    Where the rows of a step lie together, those of a few steps come at a time: any row brings the others along.
    """
    outputs = np.asarray(outputs)
    if outputs.nbytes <= MAPPED_AROUND:
        return np.asarray(outputs[rows, :, :units])
    taken = np.empty((rows.size, outputs.shape[1], *outputs[0, 0, :units].shape), dtype=outputs.dtype)
    length = max(1, TILE_BYTES // max(1, abs(outputs.strides[1])))
    for start in range(0, outputs.shape[1], length):
        steps = slice(start, start + length)
        taken[:, steps] = outputs[rows, steps, :units]
        release(outputs[rows.min(initial=0) : rows.max(initial=0) + 1, steps])
    return taken


def equal_at(outputs: Array, final: Array, rows: Ints, steps: Ints) -> Bools:
    """`[B]`: whether `final[b]` equals `outputs[rows[b], steps[b]]`; False where the step lies outside."""
    inside = (steps >= 0) & (steps < outputs.shape[1]) & (rows >= 0) & (rows < outputs.shape[0])
    result = np.zeros(final.shape[0], dtype=np.bool_)
    picked = np.flatnonzero(inside)
    result[picked] = same(gather(outputs, rows[picked], steps[picked]), final[picked]).all(-1)
    return result


def all_equal_at(outputs: Array, final: Array, rows: Ints, steps: Ints) -> bool:
    """Say whether every `final[b]` of `[B, H]` equals `outputs[rows[b], steps[b]]`: of a few first, which tell most."""
    return all(equal_at(outputs, final[of], rows[of], steps[of]).all() for of in (slice(FEW), slice(None)))


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

    Linear in the size of the outputs: the unit that tells most of the vectors apart is looked up in theirs, then keys
    of all units of the few candidates, then one vector with each of those. Equal vectors are searched once.
    """
    unit = _telling(vectors)
    values = np.unique(vectors[:, unit])
    wanted, first, group = np.unique(step_keys(vectors), return_index=True, return_inverse=True)
    hits: list[list[tuple[int, int]]] = [[] for _ in wanted]
    hit_places: list[tuple[Ints, Ints, Ints]] = []  # which vector, row, step

    for rows, steps in tiles(outputs):
        tile = outputs[rows, steps]
        b, t = places(_is_one_of(np.ascontiguousarray(tile[:, :, unit]), values))
        for part in parts(b.size, tile.shape[2]):
            candidates = tile[b[part], t[part]]
            keys = step_keys(candidates)
            at = np.minimum(np.searchsorted(wanted, keys), wanted.size - 1)
            real = np.flatnonzero(wanted[at] == keys)
            real = real[same(candidates[real], vectors[first[at[real]]]).all(-1)]
            if real.size:
                hit_places.append(_first((at[real], b[part][real] + rows.start, t[part][real] + steps.start), most))
    if hit_places:
        which, b, t = (np.concatenate(column) for column in zip(*hit_places, strict=True))
        for n, row, step in zip(*(column.tolist() for column in _first((which, b, t), most)), strict=True):
            hits[n].append((row, step))
    return [hits[n] for n in group.reshape(-1).tolist()]


def _first(places: tuple[Ints, Ints, Ints], most: int) -> tuple[Ints, Ints, Ints]:
    """Of (vector, row, step) the first `most` places of each vector, by vector, row and step."""
    which, rows, steps = places
    order = np.lexsort((steps, rows, which))
    kept = order[_rank_in_run(which[order]) < most]
    return which[kept], rows[kept], steps[kept]


def _telling(vectors: Array) -> int:
    """The unit of `[N, H]` that takes the most values: of the first ones, which mostly do, and as likely as others."""
    return int(np.argmax([np.unique(vectors[:, unit]).size for unit in range(min(HEAD, vectors.shape[1]))]))


def _is_one_of(values: Array, wanted: Array) -> Bools:
    """Elementwise: whether each is among `wanted` (sorted, NaN last), value for value."""
    at = np.minimum(np.searchsorted(wanted, values), wanted.size - 1)
    hit = wanted[at] == values
    if wanted.dtype.kind == "f" and np.isnan(wanted[-1]):
        hit |= np.isnan(values)
    return np.asarray(hit)


def _rank_in_run(values: Ints) -> Ints:
    """`[n]`: for each value, how many equal values precede it in its run.

    >>> _rank_in_run(np.array([4, 4, 7, 7, 7]))
    array([0, 1, 0, 1, 2])
    """
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    runs = np.diff(starts, append=values.size)
    return np.asarray(np.arange(values.size) - np.repeat(starts, runs))


def places(marks: Bools) -> tuple[Ints, ...]:
    """The indices `[N]` of every True of `[…]`, as np.nonzero gives them: several times faster where there are few."""
    return tuple(np.unravel_index(np.flatnonzero(marks), marks.shape))


def parts(count: int, width: int, numbers: int = 1 << 20) -> list[slice]:
    """Slices of `range(count)` that hold about `numbers` numbers each, for items of `width` numbers."""
    size = max(1, numbers // max(1, width))
    return [slice(i, min(i + size, count)) for i in range(0, count, size)]
