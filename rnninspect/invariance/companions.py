"""The part in a batch of arrays that no statement names: lengths, masks, and sequences that go along with another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from rnninspect.core.masks import is_additive
from rnninspect.core.names_of_lengths import MASK_NAME
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array
from rnninspect.invariance.batch import Group, Input, Layout
from rnninspect.invariance.nested import last_name
from rnninspect.invariance.padding_content import constant_step, with_padding
from rnninspect.invariance.pairs_recognised import pairs_of
from rnninspect.invariance.words import is_inner_count

_TARGET = regex(r"(^|_)(tgt|trg|targets?|labels?|dec|decoder|captions?|caps|y|mels?_?targets?)(_|$)")


def companion(one: Input, rows: int, groups: Sequence[Group], layout: Layout) -> Input:
    """The part of an array that no statement names: rows by its size, steps where it goes along with a sequence."""
    if one.kind == "data":
        return one
    if one.kind == "lengths":
        return replace(one, row=0 if one.array.shape[0] == rows else 1, relative=_is_relative(one))
    array = one.array
    axes = [axis for axis in _row_order(array, layout) if array.shape[axis] == rows]
    if not axes:
        return _with_pairs(one, groups) or one
    one = replace(one, row=axes[0])
    if array.ndim == 1:
        numbers = [n for n, g in enumerate(groups) if _equals_lengths(array, g)]
        if numbers and array.dtype.kind != "b":
            return replace(one, kind="lengths", group=numbers[0], relative=_is_relative(one))
        return one
    paired = _with_pairs(one, groups)
    if paired is not None:
        return paired
    if one.kind == "mask":  # of as many rows as steps it may lie otherwise than the sequence does
        return _as_mask(one, axes, groups) or one
    for number, group in enumerate(groups):
        for time in (axis for axis in range(array.ndim) if axis != axes[0] and array.shape[axis] == group.steps):
            placed = replace(one, time=time, group=number)
            value = _mask_values(placed, group)
            if value is not None:
                return replace(placed, kind="mask", padding=value)
            if _goes_along(placed, group):
                inner = is_inner_count(last_name(one.path))
                target = is_target(one.path)
                return replace(with_padding(placed, group), kind="data", noised=not inner and not target, target=target)
    return one


def _as_mask(one: Input, axes: Sequence[int], groups: Sequence[Group]) -> Input | None:
    """A stated mask with its rows on the first of the axes where it tells real steps from padding as a group does."""
    shape = one.array.shape
    for row, (number, group) in product(axes, enumerate(groups)):
        for time in (axis for axis, size in enumerate(shape) if axis != row and size == group.steps):
            placed = replace(one, row=row, time=time, group=number)
            value = _mask_values(placed, group)
            if value is not None:
                return replace(placed, padding=value)
    return None


def _with_pairs(one: Input, groups: Sequence[Group]) -> Input | None:
    """An array of pairs of steps as that; None where it is none. What a step sees is never replaced by noise."""
    for number, group in enumerate(groups):
        pairs = pairs_of(one.array, one.row, group.real, last_name(one.path))
        if pairs is not None:
            return replace(one, pairs=pairs, time=pairs.looking, group=number)
    return None


def _row_order(array: Array, layout: Layout) -> list[int]:
    axes = list(range(min(array.ndim, 2)))
    return sorted(axes, key=lambda axis: axis != layout.row)


def _is_relative(one: Input) -> bool:
    return one.array.dtype.kind == "f" and bool((one.array <= 1).all())


def _equals_lengths(array: Array, group: Group) -> bool:
    return bool((array == group.lengths).all()) or (
        array.dtype.kind == "f" and bool(np.allclose(array, group.lengths / group.steps))
    )


def _mask_values(one: Input, group: Group) -> Any:
    """What a mask holds where a step is padding; None where the array is no mask of these sequences."""
    steps = one.steps_first
    name = last_name(one.path)
    if one.array.dtype.kind not in "biuf" or (steps.size and len(np.unique(steps)) > 2):
        return None
    real = steps[group.real]
    padded = steps[~group.real]
    if not real.size or len(np.unique(real)) != 1:
        return None
    if not padded.size and is_additive(steps):
        return None
    if padded.size:
        differ = len(np.unique(padded)) == 1 and padded.reshape(-1)[0] != real.reshape(-1)[0]
        return padded.reshape(-1)[0] if differ else None
    value = real.reshape(-1)[0]
    looks_so = one.array.dtype.kind == "b" or (bool(MASK_NAME.search(name)) and value in (0, 1))
    return one.array.dtype.type(1 - int(value)) if looks_so else None


def _goes_along(one: Input, group: Group) -> bool:
    """Whether an array has these very lengths: its padding holds one value, which its real steps do not all hold."""
    padded = one.steps_first[~group.real]
    if not padded.size:
        return not is_target(one.path) and one.array.ndim > 2
    constant = constant_step([padded])
    if is_target(one.path):
        return constant is not None and _ends_with_rows(one, group, constant)
    ends = one.steps_first[np.arange(len(group.real)), np.maximum(group.lengths - 1, 0)]
    return constant is not None and not bool((ends == constant).all())


def _ends_with_rows(one: Input, group: Group, constant: Array) -> bool:
    """Whether a target holds that value from the end of every row on, or from one step before, as one that was shifted
    does; a target may have steps of its own, of which one alone tells nothing.
    """
    held = (one.steps_first == constant).reshape(*group.real.shape, -1).all(-1)
    held = held if group.side == "left" else held[:, ::-1]
    shift = np.where(held.all(1), group.steps, held.argmin(1)) - (group.steps - group.lengths)
    rows = group.lengths > 1
    return bool((~group.real).sum() > 1 and rows.any() and len(set(shift[rows])) == 1 and 0 <= shift[rows][0] <= 1)


def is_target(path: str) -> bool:
    """Whether an input is named as what a model is to produce, whose steps are not those of what it reads."""
    return bool(_TARGET.search(last_name(path)))
