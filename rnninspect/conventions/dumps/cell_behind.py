"""What two arrays are to each other by their numbers: h and the c behind it, or a state and the steps it is one of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnninspect.core.trace import Array

FEW = 16  # rows that are looked at to tell whose final state an array is
ENOUGH = 16  # numbers that agree by chance once in 65,536 dumps
FEWER = 8  # where the form in which they come speaks for it too
TELLING = 4  # units whose signs and sizes tell two rows apart
SLACK = 1 + 1e-6  # times which rounding may carry |h| over |c|


def of_one_sign(h: Array, c: Array) -> bool:
    """Whether every unit of h `[B, H]` has the sign of its c `[B, H]`, as an output gate from 0 to 1 leaves it."""
    return bool((np.signbit(h) == np.signbit(c))[(h != 0) & (c != 0)].all())


def is_cell_first(arrays: Sequence[Array]) -> bool:
    """Whether c comes before h in a flat list of pairs, as the values tell: |h| <= |tanh(c)| holds one way alone.

    >>> is_cell_first([np.array([0.9]), np.array([0.5])]), is_cell_first([np.array([0.5]), np.array([0.9])])
    (True, False)
    """
    return are_pairs(arrays[1::2], arrays[::2]) and not are_pairs(arrays[::2], arrays[1::2])


def are_pairs(h: Sequence[Array], c: Sequence[Array]) -> bool:
    """Whether every h could have come of its c: |h| <= |tanh(c)|, which hardly holds by chance."""
    if not h or len(h) != len(c) or any(a.shape != b.shape for a, b in zip(h, c, strict=True)):
        return False
    return all(_bounded(np.asarray(a, dtype=np.float64), np.asarray(b)) for a, b in zip(h, c, strict=True))


def are_equal(ones: Sequence[Array], others: Sequence[Array]) -> bool:
    """Whether all arrays of two lists are equal in pairs."""
    return len(ones) == len(others) and all(np.array_equal(a, b) for a, b in zip(ones, others, strict=True))


def is_behind(h: Array, c: Array, enough: int = ENOUGH) -> bool:
    """Whether c can be nothing but the cell state behind h, `[…, H]` each: of its sign and larger everywhere, in
    `enough` numbers."""
    if h.shape != c.shape or h.dtype.kind != "f" or c.dtype.kind != "f":
        return False
    told = np.count_nonzero((h != 0) & (c != 0))
    return bool(told >= enough and of_one_sign(h, c) and are_pairs([h], [c]))


def may_be_a_pair(one: Array, other: Array) -> bool:
    """Whether one of two `[B, H]` can be nothing but the cell state behind the other."""
    return is_behind(one, other, FEWER) or is_behind(other, one, FEWER)


def may_be_of_other_rows(h: Array, c: Array) -> bool:
    """Whether c `[…, B, H]` may be that of these h in another order of the rows: most of a few rows have one of their
    signs that is no smaller, or too few units tell."""
    if h.shape[-1] < TELLING or h.shape != c.shape:
        return True
    few, others = (array.reshape(-1, array.shape[-1])[:FEW].astype(np.float64) for array in (h, c))
    fits = (few[:, None] * others >= 0) & (np.abs(few[:, None]) <= np.abs(others) * SLACK)
    pairs = np.asarray(fits.all(-1))
    return bool(np.mean(pairs.any(1)) >= 0.5)


def may_be_h_and_c(a: Array, b: Array) -> bool:
    """Whether one of two `[B, H]` never exceeds the other, and has its sign wherever both have one."""
    if a.shape == b.shape and not of_one_sign(a, b):
        return False
    one, other = np.abs(np.asarray(a, dtype=np.float64)), np.abs(np.asarray(b, dtype=np.float64))
    return bool((one <= other * SLACK).all() or (other <= one * SLACK).all())


def are_own_steps(outputs: Array, states: Array) -> bool:
    """Whether most rows of `[B, H]` are a step of their own row of outputs `[B, T, H]`, or `[T, B, H]`.

    A few are looked at, and zeros tell nothing.
    """
    if outputs.ndim != 3 or states.ndim != 2 or outputs.shape[-1] != states.shape[-1]:
        return False
    rows = np.flatnonzero(np.asarray(states[:FEW]).any(-1))
    for axis in (0, 1):
        if outputs.shape[axis] == len(states) and rows.size:
            own_steps = np.take(outputs[:, : rows[-1] + 1] if axis else outputs, rows, axis=axis)
            equal = (own_steps == np.expand_dims(states[rows], 1 - axis)).all(-1).any(1 - axis)
            if equal.mean() > 0.5:
                return True
    return False


def ends_in(half: Array, states: Array) -> bool:
    """Whether most rows of `[B, H]` are a step of their own row of one direction's outputs, or both are zero
    throughout, as of a few relu units."""
    return are_own_steps(half, states) or not (half.any() or states.any())


def _bounded(h: Array, c: Array) -> bool:
    """|h| <= |tanh(c)|, but for the rounding of c's own type."""
    kind = c.dtype if c.dtype.kind == "f" else np.dtype(np.float64)
    limit = np.abs(np.tanh(np.asarray(c, dtype=np.float64))) * (1 + 8 * float(np.finfo(kind).eps))
    with np.errstate(invalid="ignore"):
        return bool((np.abs(h) <= limit).all())
