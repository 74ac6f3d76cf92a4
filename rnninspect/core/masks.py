"""Masks as attention takes them, read as one value per row and step: more axes, or a number that is added to scores."""

from __future__ import annotations

import numpy as np

from rnninspect.core.trace import Array

FAR_BELOW = -1e3  # of a mask that is added to scores


def is_additive(array: Array) -> bool:
    """Whether it is a mask `[…]` that is added to scores: zero where a step is real, and far below where it is not.

    >>> is_additive(np.array([[0.0, -1e9]])), is_additive(np.array([[0.0, -0.5]])), is_additive(np.zeros((1, 2)))
    (True, False, False)
    """
    told = array.dtype.kind in "if" and bool(((array == 0) | (array <= FAR_BELOW)).all())
    return told and bool((array != 0).any())


def plain_mask(mask: Array) -> Array:
    """A mask `[…]` in two axes and as 0 and 1 where it can be read so, else itself as far as it can.

    Axes of one are left out (`[B, 1, T]`, `[B, 1, 1, T]`, `[B, T, 1]`), the last of three along which all values are
    the same is (`[B, T, H]`), and so are the rows of `[B, T, T]` that are all the same; of a mask of queries and keys
    (causal and of padding, `[B, T, T]` or `[B, heads, T, T]`) every key is what it is for its own query; of one that is
    added to scores (0 at real steps, -1e9 or -inf elsewhere) 0 becomes true.

    >>> plain_mask(np.array([[[[0.0, -1e9]]]]))
    array([[ True, False]])
    """
    while mask.ndim > 2 and 1 in mask.shape:
        ones = [axis for axis, size in enumerate(mask.shape) if size == 1]
        mask = mask.squeeze(axis=next((axis for axis in ones if axis), 0))
    if mask.ndim == 3 and mask.size and mask.dtype.kind in "biuf":
        if (mask == mask[..., :1]).all():
            mask = mask[..., 0]
        elif mask.shape[1] == mask.shape[2] and (mask == mask[:, :1]).all():
            mask = mask[:, 0]
    mask = np.asarray(mask == 0) if is_additive(mask) else mask
    keys = _of_keys(mask) if mask.ndim in (3, 4) and mask.size and mask.shape[-1] == mask.shape[-2] else None
    return mask if keys is None else keys


def _of_keys(mask: Array) -> Array | None:
    """`[B, T]` of a mask `[B, T, T]` or `[B, heads, T, T]` of queries and keys: of every key what it is for its own
    query, where it is so for another only where it is so for that one; None where it is not, or nothing is padding."""
    if mask.dtype.kind != "b" and not np.isin(mask, (0, 1)).all():
        return None
    for told in (True, False):
        seen = (mask != 0) == told
        keys = np.asarray(seen.any(axis=tuple(range(1, mask.ndim - 1))))
        for_its_own = np.diagonal(seen, axis1=-2, axis2=-1)
        if not keys.all() and (for_its_own == (keys if mask.ndim == 3 else keys[:, None])).all():
            return np.asarray(keys == told)
    return None


def of_one_head(mask: Array, rows: int, steps: int) -> Array:
    """`[B, T]` of a mask `[B*heads, T]` that is the same for every head of a row; the mask itself where it is not.

    >>> of_one_head(np.array([[1, 1], [1, 1], [1, 0], [1, 0]]), 2, 2).tolist()
    [[1, 1], [1, 0]]
    """
    if mask.ndim == 2 and rows and len(mask) > rows and mask.shape[1] == steps and len(mask) % rows == 0:
        by_head = mask.reshape(rows, -1, steps)
        if (by_head == by_head[:, :1]).all():
            return np.asarray(by_head[:, 0])
    return mask
