"""Which arrays hold an entry for every pair of steps: told by their values, since two axes of T may be chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnninspect.core.masks import is_additive
from rnninspect.core.names_of_lengths import MASK_NAME
from rnninspect.core.trace import Array, Bools
from rnninspect.invariance.padding_content import constant_step
from rnninspect.invariance.pairs_of_steps import Pairs


def pairs_of(array: Array, row: int | None, real: Bools, name: str) -> Pairs | None:
    """How an array is read as pairs of the steps `[B, T]`; None where it is none: two axes of that size may be chance.

    It is one if padding is seen alike by every real step, and not as real steps are; if who sees whom is symmetric; or
    if it is a mask. One without a row axis must be a mask that goes by how far apart two steps are.
    """
    axes = _two_axes(array, row, real.shape[1])
    if axes is None:
        return None
    if row is None:
        by_distance = _is_mask(array, name) and _by_distance(np.moveaxis(array, axes, (0, 1)))
        return Pairs(*axes, None, shared=True) if by_distance else None
    for looking, seen in (axes, axes[::-1]):
        table = np.moveaxis(array, (row, looking, seen), (0, 1, 2))
        unseen = _unseen(table, real)
        if unseen is not None:
            return Pairs(looking, seen, unseen)
    if _is_mask(array, name) or ((table == np.swapaxes(table, 1, 2)).all() and (table != table.flat[0]).any()):
        return Pairs(*axes, array.min() if is_additive(array) else array.dtype.type(0))
    return None


def _two_axes(array: Array, row: int | None, steps: int) -> tuple[int, int] | None:
    """The first two axes, one behind the other, that are this long."""
    pairs = ((axis, axis + 1) for axis in range(array.ndim - 1) if row not in (axis, axis + 1))
    return next((pair for pair in pairs if steps > 1 and array.shape[pair[0]] == array.shape[pair[1]] == steps), None)


def _unseen(table: Array, real: Bools) -> Any:
    """What `[B, T, T, …]` holds wherever a real step looks at padding, where some of them look otherwise at another."""
    blocks = [one[kept][:, ~kept].reshape(-1, *one.shape[2:]) for one, kept in zip(table, real, strict=True)]
    unseen = constant_step(blocks)
    if unseen is None or unseen.size == 0:
        return None
    apart = any((one[kept][:, kept] != unseen).any() for one, kept in zip(table, real, strict=True))
    return unseen if apart else None


def _is_mask(array: Array, name: str) -> bool:
    named = bool(MASK_NAME.search(name)) and bool(np.isin(array, (0, 1)).all())
    return array.dtype.kind == "b" or named or is_additive(array)


def _by_distance(table: Array) -> bool:
    """Whether `[T, T, …]` holds the same along every diagonal."""
    return table.ndim == 2 and bool((table[1:, 1:] == table[:-1, :-1]).all()) and bool((table != table[0, 0]).any())
