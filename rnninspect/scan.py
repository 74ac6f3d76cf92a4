"""One pass over the outputs of a track: which steps equal the final state, are zero, repeat, or hold NaN.

Steps are told apart by their first few units where they can be, and only what is left is read in full. A run of steps
that repeat is judged once, by its first step: padding costs one comparison of neighbours and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnninspect.blocks import tiles
from rnninspect.matching import parts, same
from rnninspect.trace import Array, Bools

HEAD = 4  # units looked at first
LINE_BYTES = 1 << 15  # a row's part of a tile that is worth a call of its own


@dataclass(frozen=True, eq=False)
class Scan:
    """`[B, T]` each: the step equals the final state; is all zero; equals the step before it (False at step 0); holds
    a NaN or an infinity."""

    equal: Bools
    zero: Bools
    repeats: Bools
    nonfinite: Bools


def scan(outputs: Array, final: Array) -> Scan:
    """Reads `outputs` `[B, T, H]` once, a tile at a time, beside `final` `[B, H]`."""
    outputs, final = np.asarray(outputs), np.asarray(final)  # to slice a memmap costs more than its plain view
    shape = outputs.shape[:2]
    equal, zero, repeats = (np.zeros(shape, dtype=np.bool_) for _ in range(3))
    lost: list[tuple[slice, slice, Bools]] = []  # tiles with steps that are not finite: few, mostly none
    for rows, steps in tiles(outputs):
        new = min(steps.start, 1)  # the step before the tile's first is looked at again
        tile = outputs[rows, steps.start - new : steps.stop]
        head = np.ascontiguousarray(np.moveaxis(tile[:, :, :HEAD], 2, 0))
        nothing = np.broadcast_to(np.zeros(1, tile.dtype), (len(tile), tile.shape[2]))
        again = _repeats(tile, head, True)
        blank = _equal(tile, head, nothing, ~again, True)
        finite = _finite_but_for(tile, again, blank)
        if not finite:
            lost.append((rows, steps, np.any(~np.isfinite(tile[:, new:]), axis=-1)))
            again = _repeats(tile, head, False)  # NaN repeats NaN
        clean = finite and _is_finite(final[rows])
        repeats[rows, steps] = again[:, new:]
        zero[rows, steps] = blank[:, new:]
        equal[rows, steps] = _equal(tile, head, final[rows], ~again, clean)[:, new:]
    nonfinite: Bools = np.zeros(shape, dtype=np.bool_) if lost else np.broadcast_to(np.False_, shape)
    for rows, steps, found in lost:
        nonfinite[rows, steps] = found
    for part in parts(*shape):
        _spread(equal[part], repeats[part])
        _spread(zero[part], repeats[part])
    return Scan(equal, zero, repeats, nonfinite)


def all_finite(tile: Array) -> bool:
    """Whether no number is NaN or infinite. A sum of squares tells most tiles; only the others are looked at."""
    if tile.dtype.kind != "f":
        return True
    if tile.dtype == np.float16:
        return bool((tile.view(np.uint16) & 0x7C00).max(initial=0) < 0x7C00)
    with np.errstate(over="ignore", invalid="ignore"):
        if tile.flags.c_contiguous or np.moveaxis(tile, -2, 0).flags.c_contiguous:
            flat = tile.ravel(order="K")
            total = np.dot(flat, flat)
        else:
            total = tile.sum()
    return bool(np.isfinite(total)) or _is_finite(tile)


def _finite_but_for(tile: Array, again: Bools, blank: Bools) -> bool:
    """Whether `[b, t, H]` is finite, where rows of zeros at the end, which are known already, need not be read again.

    `again` `[b, t]`: steps that repeat; `blank` `[b, t]`: first steps of runs that are zero.
    """
    if not _has_lines(tile):
        return all_finite(tile)
    last = again.shape[1] - 1 - np.argmin(again[:, ::-1], axis=1)  # the first step of each row's last run
    ends = np.where(blank[np.arange(last.size), last], last, again.shape[1])
    if 4 * ends.sum() > 3 * again.size:
        return all_finite(tile)
    return all(all_finite(row[:end]) for row, end in zip(tile, ends.tolist(), strict=True))


def _has_lines(tile: Array) -> bool:
    """Whether each row's part lies together, and is worth a call of its own."""
    return bool(tile.strides[0] >= tile.strides[1] and tile[0].nbytes >= LINE_BYTES)


def _is_finite(values: Array) -> bool:
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def _repeats(tile: Array, head: Array, finite: bool) -> Bools:
    """`[b, t]`: whether each step of `[b, t, H]` equals the one before it; False for the first."""
    repeats = np.zeros(tile.shape[:2], dtype=np.bool_)
    found = repeats[:, 1:]
    found[:] = True
    for column in head:
        found &= _same(column[:, 1:], column[:, :-1], finite)
    if tile.shape[2] > HEAD and found.any():
        _confirm(tile[:, :-1], tile[:, 1:], found, finite)
    return repeats


def _confirm(before: Array, after: Array, found: Bools, finite: bool) -> None:
    """Settles `found` `[b, t]` in place: whether `before` and `after` `[b, t, H]` are equal in all units."""
    if not _has_lines(after):
        _settle(before, after, found, finite)
        return
    for b in np.flatnonzero(found.any(1)):
        steps = np.flatnonzero(found[b])
        near = slice(steps[0], steps[-1] + 1)
        if _are_zeros(before[b, near]) and _are_zeros(after[b, near][-1:]):
            found[b, near] = True
        else:
            _settle(before[b, near], after[b, near], found[b, near], finite)


def _are_zeros(values: Array) -> bool:
    """Whether every bit of `[n, H]` is 0: in one pass, at the speed of memory; -0 says no."""
    if values[0, 0] != 0 or values.itemsize > 8 or values.dtype.kind not in "fiu":
        return False
    return not values.view(f"u{values.itemsize}").max()


def _settle(before: Array, after: Array, found: Bools, finite: bool) -> None:
    """The same of any `[…, H]`: at once where most of it was found, else place by place."""
    if 4 * np.count_nonzero(found) >= found.size:  # most of it: no copies
        equal = _same(before, after, finite)
        if not equal.all():
            found &= equal.all(-1)
        return
    places = np.nonzero(found)
    for part in parts(places[0].size, after.shape[-1]):
        here = tuple(axis[part] for axis in places)
        found[here] = _same(before[here], after[here], finite).all(-1)


def _equal(tile: Array, head: Array, target: Array, where: Bools, finite: bool) -> Bools:
    """`[b, t]`: whether each step of `[b, t, H]` equals `target` `[b, H]`, as far as `where` is True."""
    found = where
    for unit, column in enumerate(head):
        found = found & _same(column, target[:, unit, None], finite)
        if not found.any():
            return found
    if tile.shape[2] > HEAD:
        rows, steps = np.nonzero(found)
        for part in parts(rows.size, tile.shape[2]):
            b, t = rows[part], steps[part]
            found[b, t] = _same(tile[b, t], target[b], finite).all(-1)
    return found


def _same(a: Array, b: Array, finite: bool) -> Bools:
    return np.asarray(a == b) if finite else same(a, b)


def _spread(found: Bools, repeats: Bools) -> None:
    """What was found at the first step of each run of equal steps holds for all its steps; in place, `[b, T]`."""
    if repeats.any():
        starts = np.flatnonzero(~repeats)
        runs = np.diff(starts, append=repeats.size)
        found[:] = np.repeat(found.reshape(-1)[starts], runs).reshape(found.shape)
