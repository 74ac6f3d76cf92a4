"""Which output step is nearest to a final state that equals none? By the largest absolute difference of any unit.

The difference in a few units is a lower bound of it, and mostly tells which steps cannot be the nearest: the others
alone are read in full.

    |              x
    |              .     o     o
    |--x-----------.--------------  the second least x: a step whose o lies above it is not measured
    |  .     x     .
    |  o     .     o                o: the difference in a few units, x: in all; the FIRST steps by o have their x
    |        o                      measured, here 0, 1 and 2
    +--0-----1-----2-----3-----4--  step
"""

from __future__ import annotations

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.tiles import tiles
from rnninspect.core.trace import Array, Bools, Ints
from rnninspect.measure.matching import parts, places, same

HEAD_BYTES = 64  # of a step that are looked at first: they come from memory together
FIRST = 4  # steps a row that are measured in full first: their distances bound those of the nearest two
CACHE_BYTES = 1 << 19  # that a core reads again at once
MANY = 40  # to measure a step exactly costs as much as to measure so many roughly
SLACK = 1 + 2.0**-20  # a difference taken in float32 is right within 2**-24


@frozen(eq=False)
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
    outputs = np.asarray(outputs)  # to slice a memmap costs more than its plain view
    step = np.zeros(rows.size, dtype=np.int64)
    best, second = np.full(rows.size, np.inf), np.full(rows.size, np.inf)
    few_tell = True  # until a tile shows that its steps are to be read in full
    for block, steps in tiles(outputs):
        where = _of(rows, block)
        if where.stop == where.start:
            continue
        block_rows = rows[where]
        fresh = ~repeats[block_rows, steps]
        distance, few_tell = _distances(outputs[:, steps], block_rows, final[block_rows], fresh, few_tell)
        at, here = distance.argmin(1), distance.min(1)
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
    outputs = np.asarray(outputs)
    near = np.zeros((rows.size, outputs.shape[1]), dtype=np.bool_)
    head = max(1, HEAD_BYTES // outputs.itemsize)

    def close(values: Array, target: Array) -> Bools:
        target = target.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            inside = np.abs(values - target) <= atol + rtol * np.abs(target)
        return np.asarray((inside | same(values, np.broadcast_to(target, values.shape))).all(-1))

    for block, steps in tiles(outputs):
        where = _of(rows, block)
        block_rows = rows[where]
        near_here = close(outputs[block_rows, steps, :head], final[block_rows, None, :head])
        b, t = places(near_here)
        for part in parts(b.size, outputs.shape[2]):
            near_here[b[part], t[part]] = close(
                outputs[block_rows[b[part]], t[part] + steps.start], final[block_rows[b[part]]]
            )
        near[where, steps] = near_here
    return near


def _of(rows: Ints, block: slice) -> slice:
    """Which of these rows (ascending) lie in a block."""
    return slice(*np.searchsorted(rows, [block.start, block.stop]).tolist())


def _distances(outputs: Array, rows: Ints, target: Array, fresh: Bools, few_tell: bool) -> tuple[Array, bool]:
    """`[n, t]`: the largest absolute difference of each step of `outputs[rows]` to the row's target `[n, H]`, exact for
    the two nearest steps of each row; infinite for steps that are seen to be farther. `fresh` `[n, t]`: no repeats.
    `few_tell`: whether a few units are looked at first; and whether they told which steps are farther."""
    fresh[:, 0] = True
    distance = np.full(fresh.shape, np.inf)

    def measure(steps: Bools) -> None:
        b, t = places(steps)
        for part in parts(b.size, outputs.shape[2]):
            distance[b[part], t[part]] = _exact(outputs[rows[b[part]], t[part]], target[b[part]])

    rest = fresh
    if few_tell:
        least = np.where(fresh, _at_least(outputs, rows, target), np.inf)
        first = _least(least, FIRST)
        measure(first)
        rest = ~first & fresh & (least <= _second(distance)[:, None] * SLACK)
        few_tell = bool(MANY * np.count_nonzero(rest) <= rest.size)
    measure(rest if few_tell else _rough(_taken(outputs, rows), target, rest))
    if fresh.all():
        return distance, few_tell
    source = np.maximum.accumulate(np.where(fresh, np.arange(fresh.shape[1]), 0), axis=1)
    return np.take_along_axis(distance, source, 1), few_tell


def _taken(outputs: Array, rows: Ints) -> Array:
    """These rows of `[B, t, H]`; no copy where they stand together."""
    together = rows[-1] - rows[0] == rows.size - 1
    return outputs[rows[0] : rows[-1] + 1] if together else outputs[rows]


def _at_least(outputs: Array, rows: Ints, target: Array) -> Array:
    """`[n, t]`: a lower bound of the distance; 0 where it may be anything."""
    head = max(1, HEAD_BYTES // outputs.itemsize)
    block = _taken(outputs, rows)[:, :, :head]
    least = _largest_gap(block, target[:, :head], np.broadcast_to(np.True_, block.shape[:2]))
    least[np.isnan(least)] = 0.0  # NaN, or infinity, in both is no difference
    return least


def _least(values: Array, count: int) -> Bools:
    """`[n, t]`: True at the `count` smallest values of each row."""
    picked = np.zeros(values.shape, dtype=np.bool_)
    count = min(count, values.shape[1])
    at = np.argpartition(values, count - 1, axis=1)[:, :count]
    np.put_along_axis(picked, at, True, axis=1)
    return picked


def _second(distance: Array) -> Array:
    """`[n]`: the second smallest of each row, or the only one."""
    return np.partition(distance, 1, axis=1)[:, 1] if distance.shape[1] > 1 else distance[:, 0]


def _rough(tile: Array, target: Array, where: Bools) -> Bools:
    """`[n, t]`: those of `where` that may be among the two nearest of their row, by all units."""
    rough = _largest_gap(tile, target, where)
    unknown = np.isnan(rough)  # to be looked at
    ranked = np.where(unknown | ~where, np.inf, rough)
    return np.asarray(where & (unknown | (ranked <= _second(ranked)[:, None] * SLACK)))


def _largest_gap(values: Array, target: Array, where: Bools) -> Array:
    """`[n, t]`: the largest absolute difference of `[n, t, h]` and `[n, h]`, right within SLACK; anything but where
    `where` `[n, t]` is True. A few steps at a time, whose differences stay in the core's own cache."""
    rows, steps, units = values.shape
    kind = np.result_type(values, target)
    narrow = np.dtype(np.float64 if kind.kind != "f" or kind.itemsize > 4 else np.float32)
    largest = np.zeros((rows, steps), dtype=narrow)
    width = max(1, CACHE_BYTES // max(1, units * narrow.itemsize))
    height = max(1, width // max(1, steps))
    room = np.empty((height, min(width, steps), units), dtype=narrow)
    for i in range(0, rows, height):
        for j in range(0, steps, width):
            asked = np.flatnonzero(where[i : i + height, j : j + width].any(0))
            if not asked.size:
                continue
            here = slice(i, i + height), slice(j + asked[0], j + asked[-1] + 1)
            gap = room[: len(largest[here]), : largest[here].shape[1]]
            with np.errstate(invalid="ignore", over="ignore"):
                np.subtract(values[here], target[i : i + height, None], out=gap, dtype=narrow)
            bits = np.abs(gap, out=gap).view(f"u{narrow.itemsize}")  # in the order of the numbers, NaN above all
            bits.max(-1, initial=0, out=largest[here].view(bits.dtype))
    return largest


def _exact(values: Array, target: Array) -> Array:
    """`[n]`: the largest absolute difference of `[n, H]` and `[n, H]`, in float64."""
    a, b = values.astype(np.float64), target.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(a - b)
    gap[same(a, b)] = 0.0
    gap[np.isnan(gap)] = np.inf
    largest: Array = gap.max(-1, initial=0.0)
    return largest
