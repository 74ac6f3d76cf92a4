"""Large arrays, a tile at a time: which rows and steps come together in memory, and letting mapped pages go.

A memory-mapped array counts as resident as far as it has been touched. So a pass over a file of any size walks tiles
of a few MiB in the order of memory, and gives the pages of each back to the system when it is done with them. One
thread reads: two gain nothing where memory is the limit, and wait for one another where Python is.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rnninspect.core.trace import Array

TILE_BYTES = 16 << 20  # so many that the calls for them cost little beside reading them
STEPS = 4  # that a tile holds at least, for the one before its first is read again


def tiles(outputs: Array) -> Iterator[tuple[slice, slice]]:
    """Rows and steps of `[B, T, H]`, a tile at a time, in the order of memory; a row's tiles come in order of steps.

    The pages of a tile are let go before the next one is made.

    >>> [(r.start, s.start, s.stop) for r, s in tiles(np.zeros((2, 6, 1 << 20), dtype=np.float32))]
    [(0, 0, 4), (0, 4, 6), (1, 0, 4), (1, 4, 6)]
    """
    for rows, steps in _cut(outputs):
        yield rows, steps
        _release_tile(outputs, rows, steps)
        count_read(outputs[rows, steps].nbytes)


_watchers: list[Callable[[int], None]] = []


@contextmanager
def watched(watcher: Callable[[int], None]) -> Iterator[None]:
    """Within the block, `watcher` is told of every tile that was read: how many bytes it held."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def count_read(size: int) -> None:
    """Tell those who watch of so many bytes that were read."""
    for watcher in _watchers:
        watcher(size)


def _cut(outputs: Array) -> Iterator[tuple[slice, slice]]:
    """The tiles of `[B, T, H]`: rows x steps that lie together and have room in TILE_BYTES."""
    rows, steps, units = outputs.shape
    apart = [abs(stride) for stride, n in zip(outputs.strides[:2], outputs.shape[:2], strict=True) if n > 1]
    room = max(1, TILE_BYTES // max(1, units * outputs.itemsize, min(apart, default=0)))  # in steps of one row
    if _is_time_major(outputs):  # the rows of a step lie together
        height = min(steps, max(STEPS, room // max(1, rows)))
        width = min(rows, max(1, room // height))
        corners = ((i, j) for j in range(0, steps, height) for i in range(0, rows, width))
    else:
        height = min(steps, room)
        width = max(1, room // max(1, height))
        corners = ((i, j) for i in range(0, rows, width) for j in range(0, steps, height))
    for i, j in corners:
        yield slice(i, min(i + width, rows)), slice(j, min(j + height, steps))


def _is_time_major(outputs: Array) -> bool:
    return outputs.strides[0] < outputs.strides[1]


def _release_tile(outputs: Array, rows: slice, steps: slice) -> None:
    """Let go of a tile, and of the step before it, which may have been looked at again."""
    steps = slice(max(0, steps.start - 1), steps.stop)
    if not _is_time_major(outputs) or rows.stop - rows.start == outputs.shape[0]:
        release(outputs[rows, steps])
        return
    for step in range(steps.start, steps.stop):
        release(outputs[rows, step])


def release(array: Array) -> None:
    """Let go of the pages under a mapped array `[…]`; other arrays are left alone. The values stay as they are.

    Only maps of a file's own pages are touched: in a copy-on-write map what was changed would be lost.
    """
    root: Any = array
    while isinstance(root, np.ndarray) and not isinstance(root.base, mmap.mmap):
        root = root.base
    if not isinstance(root, np.memmap) or root.mode not in ("r", "r+") or not hasattr(mmap, "MADV_DONTNEED"):
        return
    start = address(root) - root.offset % mmap.ALLOCATIONGRANULARITY  # where the map begins
    low, high = extent(address(array) - start, array.shape, array.strides, array.itemsize)
    low = low // mmap.PAGESIZE * mmap.PAGESIZE
    mapped: Any = root.base
    mapped.madvise(mmap.MADV_DONTNEED, low, min(high, len(mapped)) - low)


def address(array: Array) -> int:
    """Where in memory the first element of an array `[…]` lies."""
    return int(array.__array_interface__["data"][0])


def extent(first: int, shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> tuple[int, int]:
    """The first byte of a view whose first element lies at `first`, and the one past its last; strides of any sign."""
    spans = [(n - 1) * stride for n, stride in zip(shape, strides, strict=True) if n > 1]
    return first + sum(s for s in spans if s < 0), first + sum(s for s in spans if s > 0) + itemsize
