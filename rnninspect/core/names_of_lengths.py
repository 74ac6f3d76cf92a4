"""The names that people give to arguments which hold lengths or masks, and which values of a mask are padding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnninspect.core.arrays import to_array
from rnninspect.core.masks import plain_mask
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, Bools

LENGTHS_NAME = regex(
    r"(^|_)(lens?|lengths?|sizes?|widths?|(n|num)_?steps|seq_?lens?|(n|num)_?(words|frames|tokens|turns|sents|sentences|utterances|"
    r"segments|chunks|chars|characters|timesteps))(_|$)|lens?$|lengths?$"
)
MASK_NAME = regex(r"mask|is_?pad|valid|dones?$")
PAD_IS_TRUE = regex(r"(key_)?pad(ding)?_?mask|is_?pad")


def runs_on(mask: Bools) -> bool:
    """Whether the real steps of every row of `[B, T]` begin at its first step or end at its last, in one piece."""
    changes = np.diff(mask.astype(np.int8), axis=1)
    return bool(((np.abs(changes).sum(1) <= 1) & (mask[:, 0] | mask[:, -1] | ~mask.any(1))).all())


def says_padding(mask: Bools, name: str) -> bool:
    """Whether True stands for padding in `[B, T]`: every row begins, or every row ends, with a real step."""
    ends = [mask[:, 0], mask[:, -1]]
    if all(end.all() or not end.any() for end in ends) and (ends[0][0] == ends[1][0]):
        return bool(PAD_IS_TRUE.search(name)) if mask.all() or not mask.any() else not ends[0][0]
    side = next((end for end in ends if end.all() or not end.any()), None)
    return bool(PAD_IS_TRUE.search(name)) if side is None else not side[0]


def rows_by_name(values: Mapping[str, Any], rows: int, steps: int) -> tuple[str, Array] | None:
    """The first of these values that its name and its numbers both show to be lengths `[B]`, or else the mask `[B, T]`
    (True = real), of a call of `[rows, steps]`. None where there is none: names alone say too little.
    """
    arrays = {name: _as_numbers(value) for name, value in values.items()}
    for name, array in arrays.items():
        if LENGTHS_NAME.search(name) and _are_lengths(array, rows, steps):
            return name, array
    for name, array in arrays.items():
        plain = plain_mask(array) if MASK_NAME.search(name) and array.size else array
        if MASK_NAME.search(name) and plain.shape == (rows, steps) and np.isin(plain, (0, 1)).all():
            mask = _real_steps(plain.astype(bool), name)
            if mask is not None:
                return name, mask
    return None


def _as_numbers(value: Any) -> Array:
    try:
        array = to_array(value, "lengths")
    except Exception:  # whatever a program calls so
        return np.empty(0)
    return array.reshape(-1) if array.ndim == 2 and array.shape[1] == 1 else array


def _are_lengths(array: Array, rows: int, steps: int) -> bool:
    return bool(array.shape == (rows,) and array.dtype.kind in "iu" and array.min() >= 0 and array.max() <= steps)


def _real_steps(mask: Bools, name: str) -> Bools | None:
    """The mask, True = real; None where it is none of padding: it has holes, or speaks of how steps see each other."""
    if not runs_on(mask) and not runs_on(~mask):
        return None
    real = ~mask if says_padding(mask, name) else mask
    full = bool(real.all(1).any())
    lower = np.tril(np.ones(real.shape)) == 1
    causal = real.shape[0] == real.shape[1] > 1 and any((real == m).all() for m in (lower, lower.T))
    return real if (full or name.endswith("mask")) and real.any(1).all() and not causal else None
