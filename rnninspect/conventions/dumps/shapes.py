"""What names, shapes and values say of an array by itself: which roles it can have at all."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from rnninspect.core.evidence import Role, Slot
from rnninspect.core.trace import Array

_SMALL = 1 << 20  # numbers that are looked at to tell lengths and masks by their values


def suits(role: Role, array: Array) -> bool:
    """Whether an array `[…]` of these axes and this type can have the role at all."""
    if role == "lengths":
        return array.dtype.kind in "iuf" and array.ndim in (1, 2) and array.size == max(array.shape, default=0)
    if role == "mask":  # one with an axis of units is a dropout's
        return array.ndim in (2, 3, 4) and array.dtype.kind in "biuf" and (array.ndim == 2 or 1 in array.shape)
    if role == "inputs":
        return array.ndim in (2, 3) and array.dtype.kind in "fiu"
    return array.dtype.kind in "fV" and array.ndim in ((2, 3, 4) if role == "outputs" else (1, 2, 3, 4))


def are_lengths(array: Array, steps: int) -> bool:
    """Whether these `[B]` are whole numbers from 0 to T."""
    return bool(array.dtype.kind in "iu" and array.size and array.min() >= 0 and array.max() <= steps)


def are_full_lengths(array: Array, rows: int, steps: int) -> bool:
    """Whole numbers of `[B]` up to T, T among them: what a batch that is padded to its longest row has."""
    return array.shape == (rows,) and rows > 1 and are_lengths(array, steps) and int(array.max()) == steps


def is_mask(array: Array) -> bool:
    """Whether these `[B, T]` are all 0 or 1."""
    return bool(array.dtype.kind in "biuf" and array.size <= _SMALL and ((array == 0) | (array == 1)).all())


def is_prefix(array: Array) -> bool:
    """0 and 1, `[B, T]`: the first steps of every row are real, and not all are."""
    if not is_mask(array) or array.dtype.kind == "f" or array.all():
        return False
    real = array.astype(np.int8)
    return bool(real[:, 0].all() and (np.diff(real, axis=1) <= 0).all())


def match_name(pattern: str, name: str) -> re.Match[str] | None:
    """The match of the whole name, or of the name with its slashes (HDF5 groups, Flax trees) as dots."""
    if _word_in_all(pattern) not in name:
        return None
    whole = _compiled(pattern).fullmatch
    return whole(name) or (whole(name.replace("/", ".")) if "/" in name else None)


@cache
def _word_in_all(pattern: str) -> str:
    """The longest word that every name of this pattern holds, to spare compiling most patterns; empty if unsure.

    >>> [_word_in_all(p) for p in (r"states?(?:\\.(?P<layer>\\d+))?\\.h", r"inputs?|x", "[hc]")]
    ['state', '', '']
    """
    plain = re.sub(r"\\.|\[[^]]*\]", " ", pattern)
    while (inner := re.sub(r"\([^()]*\)[?*]?", " ", plain)) != plain:
        plain = inner
    pieces = re.findall(r"\w+", re.sub(r"\w[?*]", " ", plain))
    return "" if set(plain) & set("|{") else max(pieces, key=len, default="")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, compiled once: there are more of them than `re` itself keeps."""
    return re.compile(pattern)


def is_taken(name: str, array: Array, slots: tuple[Slot, ...]) -> bool:
    """Whether an array `[…]` has a role already."""
    return any(slot.name == name or slot.array is array for slot in slots)


def fits_as_state(state: Array, outputs: Array) -> bool:
    """Whether `state` `[B, H]` or `[L*D, B, H]` can be the final state of `outputs` `[B, T, D*H]` or `[T, B, D*H]`.

    >>> fits_as_state(np.ones((1, 4, 3)), np.ones((4, 5, 3))), fits_as_state(np.ones((4, 5, 3)), np.ones((1, 4, 3)))
    (True, False)
    """
    if outputs.ndim != 3 or state.ndim not in (2, 3) or not {state.dtype.kind, outputs.dtype.kind} <= {"f"}:
        return False
    return state.shape[-2] in outputs.shape[:2] and outputs.shape[2] in (state.shape[-1], 2 * state.shape[-1])
