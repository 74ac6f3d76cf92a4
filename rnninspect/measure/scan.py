"""One pass over the outputs of a track: which steps equal the final state, are zero, repeat, or hold NaN.

Steps are told apart by their first unit where they can be, and only what is left is read in full. A run of steps that
repeat is judged once, by its first step, and a run of zeros by the bits of all of it at once: so every number is read
once, at the speed of memory, whatever the padding holds.

    step        0    1    2    3    4    5         of one row of [B, T, H]; h is [b e f g]
    unit 0      a    b    b    c    0    0         all of it is read: where it differs, steps differ
    units 1-    .    .    e    .    0    0         read where unit 0 leaves a question
                     |    |         |    |
    equal            -    x         -    -         h[0] is b: steps 1 and 2 are in question, step 2 is h
    repeats          -    -    -    -    x         steps 4 and 5 are one run: judged by step 4
    zero        -    -    -    -    x    x
"""

from __future__ import annotations

import math

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.tiles import tiles
from rnninspect.core.trace import Array, Bools, Ints, last_true
from rnninspect.measure.bits import bits_of
from rnninspect.measure.matching import parts, places, same

HEAD = 4  # units looked at, one after the other, before whole steps are
FEW = 32  # where fewer than one step in this many is in question, the steps themselves are looked at
LINE_BYTES = 1 << 15  # a row's part of a tile that is worth a call of its own
WIDE_BYTES = 1 << 10  # of a step that is read at once, whatever its first unit holds
LANE = 4096  # numbers that a product sums at a time: few calls, and too short to be split over BLAS's own threads


@frozen(eq=False)
class Scan:
    """`[B, T]` each: the step equals the final state; is all zero; equals the step before it (False at step 0); holds
    a NaN or an infinity."""

    equal: Bools
    zero: Bools
    repeats: Bools
    nonfinite: Bools

    def of(self, rows: slice | Ints) -> Scan:
        """The same of these rows alone."""
        return Scan(self.equal[rows], self.zero[rows], self.repeats[rows], self.nonfinite[rows])


def scan(outputs: Array, final: Array) -> Scan:
    """Read `outputs` `[B, T, H]` once, a tile at a time, beside `final` `[B, H]`."""
    outputs, final = np.asarray(outputs), np.asarray(final)  # to slice a memmap costs more than its plain view
    shape = outputs.shape[:2]
    equal, zero, repeats = (np.zeros(shape, dtype=np.bool_) for _ in range(3))
    nonfinite_tiles: list[tuple[slice, slice, Bools]] = []  # tiles with steps that are not finite: few, mostly none
    for rows, steps in tiles(outputs):
        new = min(steps.start, 1)  # the step before the tile's first is looked at again
        tile, target = outputs[rows, steps.start - new : steps.stop], final[rows]
        head = _Head(tile)
        blank, small = _zeros(head)
        finite = small or _finite_but_for(tile, blank)
        if not finite:
            nonfinite_tiles.append((rows, steps, np.any(~np.isfinite(tile[:, new:]), axis=-1)))
        again = _repeats(head, blank, finite)
        zero[rows, steps] = blank[:, new:]
        repeats[rows, steps] = again[:, new:]
        equal[rows, steps] = _equals(head, target, ~again, finite and _is_finite(target))[:, new:]
    nonfinite: Bools = np.zeros(shape, dtype=np.bool_) if nonfinite_tiles else np.broadcast_to(np.False_, shape)
    for rows, steps, nonfinite_here in nonfinite_tiles:
        nonfinite[rows, steps] = nonfinite_here
    for part in parts(*shape):
        _spread(equal[part], repeats[part])
    return Scan(equal, zero, repeats, nonfinite)


class _Head:
    """A tile `[b, t, H]`, and its first units `[b, t]` one by one, each copied together when it is first asked for."""

    def __init__(self, tile: Array) -> None:
        self.tile, self.units = tile, min(HEAD, tile.shape[2])
        self.copied: list[Array] = []

    def __getitem__(self, unit: int) -> Array:
        while len(self.copied) <= unit:
            self.copied.append(np.ascontiguousarray(self.tile[:, :, len(self.copied)]))
        return self.copied[unit]

    @property
    def whole(self) -> bool:
        """Whether these are all the units that there are."""
        return bool(self.units == self.tile.shape[2])

    def settles(self, in_question: Bools) -> bool:
        """Whether so few steps of `[b, t]` are still in question that they are better read in full."""
        count = np.count_nonzero(in_question)
        return bool(not count if self.whole else FEW * count < in_question.size)


def _zeros(head: _Head) -> tuple[Bools, bool]:
    """`[b, t]`: whether each step is all zero; and whether this has shown on the way that every number is finite."""
    tile, wide = head.tile, head.tile.shape[2] * head.tile.itemsize >= WIDE_BYTES
    if _has_bits(tile) and tile.flags.c_contiguous:
        return _zeros_by_row(tile, head[0] == 0)
    if _has_bits(tile) and not head.whole and (wide or 4 * np.count_nonzero(head[0]) <= 3 * head[0].size):
        bits = bits_of(tile)
        return _without_sign(bits) == 0, _are_small(bits)
    blank: Bools = head[0] == 0
    for unit in range(1, head.units):
        if not blank.any():
            return blank, False
        blank &= head[unit] == 0
    if not head.whole:
        _settle_zeros(tile, blank)
    return blank, False


def _zeros_by_row(tile: Array, blank: Bools) -> tuple[Bools, bool]:
    """The same where rows lie together one after the other: each is read as two stretches, up to the run of steps that
    its end may be zero from, and from there. `blank` `[b, t]`: the steps that may be zero."""
    ends = _ends(blank)
    before, after = _bits_around(tile, ends)
    inner = blank & (np.arange(blank.shape[1]) < ends[:, None])
    blank = blank & ~inner
    for b in np.flatnonzero(_without_sign(after)):
        _settle_zeros(tile[b, ends[b] :], blank[b, ends[b] :])
    if inner.any():
        _settle_zeros(tile, inner)
        blank |= inner
    return blank, _are_small(before | after)


def _bits_around(tile: Array, ends: Ints) -> tuple[Array, Array]:
    """`[b]` each: every bit that is set in any number of `tile[b, :ends[b]]`, and of `tile[b, ends[b]:]`."""
    rows, steps, units = tile.shape
    flat = tile.reshape(-1).view(f"u{tile.itemsize}")
    starts = np.arange(rows) * (steps * units)
    cuts = np.stack([starts, np.minimum(starts + ends * units, flat.size - 1)], axis=1)
    bits = np.bitwise_or.reduceat(flat, cuts.reshape(-1)).reshape(rows, 2)
    if ends[-1] == steps:  # the last number of all is a stretch of its own
        bits[-1, 0] |= bits[-1, 1]
    before, after = np.where(ends == 0, 0, bits[:, 0]), np.where(ends == steps, 0, bits[:, 1])
    return before.astype(flat.dtype), after.astype(flat.dtype)


def _ends(blank: Bools) -> Ints:
    """`[b]`: where the last run of True in each row of `[b, t]` begins; t where the row does not end in one."""
    return np.where(blank.all(1), 0, last_true(~blank) + 1)


def _settle_zeros(values: Array, blank: Bools) -> None:
    """Settle `blank` `[…]` in place: whether `values` `[…, H]` are zero in all units."""
    if 4 * np.count_nonzero(blank) >= blank.size:  # most of it: no copies
        blank &= _is_zero(values)
        return
    everywhere = places(blank)
    for part in parts(everywhere[0].size, values.shape[-1]):
        here = tuple(axis[part] for axis in everywhere)
        blank[here] = _is_zero(values[here])


def _is_zero(values: Array) -> Bools:
    """`[…]`: whether `values` `[…, H]` are all zero. All bits of a vector at once, but for the signs: -0 is zero."""
    if _has_bits(values):
        return np.asarray(_without_sign(bits_of(values)) == 0)
    return np.asarray(~np.any(values, axis=-1))


def _has_bits(values: Array) -> bool:
    native = values.dtype.kind == "f" and values.itemsize <= 8 and values.dtype.isnative
    return bool(native and values.strides[-1] == values.itemsize)


def _without_sign(bits: Array) -> Array:
    return np.asarray(bits << bits.dtype.type(1))


def _are_small(bits: Array) -> bool:
    """Whether the numbers that these bits are of are all below 2, and so finite, as most cells' outputs are: IEEE 754
    sets the first bit of the exponent from 2 on, infinity and NaN included."""
    return not np.any(bits >> bits.dtype.type(8 * bits.itemsize - 2) & bits.dtype.type(1))


def _repeats(head: _Head, blank: Bools, finite: bool) -> Bools:
    """`[b, t]`: whether each step equals the one before it; False for the first."""
    repeats = np.zeros(blank.shape, dtype=np.bool_)
    both_blank = blank[:, 1:] & blank[:, :-1]
    again: Bools = _same(head[0][:, 1:], head[0][:, :-1], finite)
    again &= ~both_blank
    for unit in range(1, head.units):
        if head.settles(again):
            break
        again &= _same(head[unit][:, 1:], head[unit][:, :-1], finite)
    if not head.whole and again.any():
        _confirm(head.tile[:, :-1], head.tile[:, 1:], again, finite)
    np.logical_or(again, both_blank, out=repeats[:, 1:])
    return repeats


def _confirm(before: Array, after: Array, hits: Bools, finite: bool) -> None:
    """Settle `hits` `[b, t]` in place: whether `before` and `after` `[b, t, H]` are equal in all units."""
    if not _has_lines(after):
        _settle(before, after, hits, finite)
        return
    for b in np.flatnonzero(hits.any(1)):
        steps = np.flatnonzero(hits[b])
        near = slice(steps[0], steps[-1] + 1)
        _settle(before[b, near], after[b, near], hits[b, near], finite)


def _settle(before: Array, after: Array, hits: Bools, finite: bool) -> None:
    """The same of any `[…, H]`: at once where most of it was found, else place by place."""
    if 4 * np.count_nonzero(hits) >= hits.size:  # most of it: no copies
        equal = _same(before, after, finite)
        if not equal.all():
            hits &= equal.all(-1)
        return
    everywhere = places(hits)
    for part in parts(everywhere[0].size, after.shape[-1]):
        here = tuple(axis[part] for axis in everywhere)
        hits[here] = _same(before[here], after[here], finite).all(-1)


def _equals(head: _Head, target: Array, where: Bools, finite: bool) -> Bools:
    """`[b, t]`: whether each step equals its row's `target` `[b, H]`, as far as `where` is True."""
    hits: Bools = where & _same(head[0], target[:, :1], finite)
    for unit in range(1, head.units):
        if head.settles(hits):
            break
        hits &= _same(head[unit], target[:, unit, None], finite)
    if not head.whole:
        rows, steps = places(hits)
        for part in parts(rows.size, target.shape[1]):
            b, t = rows[part], steps[part]
            hits[b, t] = _same(head.tile[b, t], target[b], finite).all(-1)
    return hits


def _same(a: Array, b: Array, finite: bool) -> Bools:
    return np.asarray(a == b) if finite else same(a, b)


def _finite_but_for(tile: Array, blank: Bools) -> bool:
    """Whether `[b, t, H]` is finite; rows of zeros at the end, which are known already, are not read again.

    `blank` `[b, t]`: steps that are all zero.
    """
    ends = _ends(blank)
    if not _has_lines(tile) or 4 * ends.sum() > 3 * blank.size:
        return _all_finite([tile])
    return _all_finite([row[:end] for row, end in zip(tile, ends.tolist(), strict=True)])


def _all_finite(values: list[Array]) -> bool:
    """Whether no number is NaN or infinite. The sum of all squares mostly tells; only if not, they are looked at."""
    if values[0].dtype.kind != "f":
        return True
    if values[0].dtype == np.float16:  # whose squares would overflow
        return all((_has_bits(part) and _are_small(bits_of(part))) or _is_finite(part) for part in values)
    with np.errstate(over="ignore", invalid="ignore"):
        total = sum(_squares(part) for part in values)
    return math.isfinite(total) or all(_is_finite(part) for part in values)


def _squares(values: Array) -> float:
    """The sum of the squares of `[…, t, H]`, in whatever order they lie."""
    if values.flags.c_contiguous or np.moveaxis(values, -2, 0).flags.c_contiguous:
        flat = values.ravel(order="K")
        lanes = flat.size // LANE * LANE
        rest = flat[lanes:]
        return _dot(flat[:lanes].reshape(-1, LANE)) + float(np.dot(rest, rest))
    if values.ndim == 3 and values[:, 0].nbytes >= LINE_BYTES and values[:, 0].flags.c_contiguous:
        return sum(_squares(step) for step in np.moveaxis(values, 1, 0))  # a part of a time-major run
    return _dot(values)


def _dot(values: Array) -> float:
    if hasattr(np, "vecdot"):
        return float(np.vecdot(values, values).sum())
    return float(np.einsum("...n,...n->...", values, values).sum())  # numpy 1


def _has_lines(tile: Array) -> bool:
    """Whether each row's part lies together, and is worth a call of its own."""
    return bool(tile[0].flags.c_contiguous and tile[0].nbytes >= LINE_BYTES)


def _is_finite(values: Array) -> bool:
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def _spread(marks: Bools, repeats: Bools) -> None:
    """What was found at the first step of each run of equal steps holds for all its steps; in place, `[b, T]`."""
    if np.any(marks[:, :-1] & repeats[:, 1:]):
        starts = np.flatnonzero(~repeats)
        runs = np.diff(starts, append=repeats.size)
        marks[:] = np.repeat(marks.reshape(-1)[starts], runs).reshape(marks.shape)
