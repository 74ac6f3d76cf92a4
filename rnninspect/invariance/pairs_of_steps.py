"""Arrays with an entry for every pair of steps, `[B, T, T]` or `[T, T]`: which steps see which, how near they are.

Their values say nothing of what a step holds, so that they are no sequences; with the batch's width both axes change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnninspect.core.trace import Array, Bools


@dataclass(frozen=True)
class Pairs:
    """The axes of the steps that look and of those looked at, and what an array holds where the latter are padding.

    `shared`: it is the same for all rows, and has no row axis.
    """

    looking: int
    seen: int
    unseen: Any
    shared: bool = False


def resized_pairs(array: Array, row: int | None, pairs: Pairs, real: Bools, steps: int, left: bool) -> Array:
    """The array for this many steps, of which `real` `[B, T]` were real; `left`: where steps are cut off and put."""
    if pairs.shared:
        return _shared(array, pairs, steps)
    assert row is not None
    axes = (row, pairs.looking, pairs.seen)
    table = np.moveaxis(array, axes, (0, 1, 2))
    more = steps - real.shape[1]
    if more <= 0:
        kept = slice(-more, None) if left else slice(steps)
        return np.ascontiguousarray(np.moveaxis(table[:, kept, kept], (0, 1, 2), axes))
    margin, none = (more, 0) if left else (0, more), [(0, 0)] * (table.ndim - 2)
    unseen = np.broadcast_to(np.asarray(pairs.unseen, table.dtype), table.shape[3:])
    new = np.broadcast_to(unseen, (*table.shape[:2], more, *table.shape[3:]))
    table = np.concatenate([new, table] if left else [table, new], 2)
    padded = table[~real]
    blind = padded.size > 0 and bool((padded == unseen).all())  # a padded step sees nothing
    if blind:
        new = np.broadcast_to(unseen, (len(table), more, *table.shape[2:]))
        table = np.concatenate([new, table] if left else [table, new], 1)
    else:
        table = np.pad(table, [(0, 0), margin, *none], mode="edge")
    return np.ascontiguousarray(np.moveaxis(table, (0, 1, 2), axes))


def _shared(array: Array, pairs: Pairs, steps: int) -> Array:
    """Entries go by distance: those of a larger one are what the largest has."""
    table = np.moveaxis(array, (pairs.looking, pairs.seen), (0, 1))
    size = len(table)
    at = np.arange(steps)
    apart = np.clip(at[:, None] - at[None, :], 1 - size, size - 1)
    changed = table[np.maximum(apart, 0), np.maximum(-apart, 0)]
    return np.ascontiguousarray(np.moveaxis(changed, (0, 1), (pairs.looking, pairs.seen)))
