"""Which arrays of a call are sequences, which are lengths and masks, and where their rows and steps lie."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnninspect.core.names_of_lengths import LENGTHS_NAME, MASK_NAME
from rnninspect.core.trace import Array, Bools, Ints, prefix_mask
from rnninspect.errors import ShapeError
from rnninspect.invariance.batch import Batch, Group, Input, Side
from rnninspect.invariance.nested import last_name
from rnninspect.invariance.statements import Sequences, is_additive

_TARGET = re.compile(r"(^|_)(tgt|trg|targets?|labels?|dec|decoder|captions?|caps|y|mels?_?targets?)(_|$)")


@dataclass(frozen=True)
class Layout:
    """A row axis and a time axis of the arrays that hold sequences."""

    row: int
    time: int


def layouts(array: Array, rows: int, longest: int) -> Iterator[Layout]:
    """Every pair of axes of `[…]` that may be rows and steps, the likeliest first."""
    pairs = [
        (row, time)
        for row in range(min(array.ndim, 2))
        for time in range(array.ndim)
        if row != time and array.shape[row] == rows and array.shape[time] >= max(longest, 1)
    ]
    order = {1: 0, 0: 1} | {axis: 2 + array.ndim - axis for axis in range(2, array.ndim)}
    for row, time in sorted(pairs, key=lambda p: (p[0], array.shape[p[1]] != longest, order[p[1]])):
        yield Layout(row, time)


def primary(inputs: Sequence[Input], sequences: Sequences | None, taken: set[str]) -> Input | None:
    """The input whose steps a statement speaks of: the one named, else one named alike, else the first that fits."""
    rows = None if sequences is None else sequences.rows
    longest = 1 if sequences is None else sequences.longest
    fits = [
        one
        for one in inputs
        if one.kind in ("data", "other")
        and one.path not in taken
        and one.array.ndim >= 2
        and one.array.dtype.kind in "fiub"
        and any(layouts(one.array, rows if rows is not None else one.array.shape[0], longest))
    ]
    if sequences is not None and sequences.target is not None:
        return next((one for one in fits if one.path == sequences.target), None)
    if sequences is not None and sequences.name is not None:
        stem = LENGTHS_NAME.sub("_", last_name(sequences.name)).strip("_")
        alike = [
            one for one in fits if stem and (last_name(one.path) == stem or stem in last_name(one.path).split("_"))
        ]
        if alike:
            return alike[0]
    if sequences is None or len(fits) < 2:
        return fits[0] if fits else None
    return max(fits, key=lambda one: _suits(one, sequences))  # the first of those that suit as well


def _suits(one: Input, sequences: Sequences) -> tuple[bool, bool, bool]:
    """How well lengths suit an array: what they leave out holds one value, it is no table of fractions, and its widest
    row is as wide as it is.
    """
    layout = next(layouts(one.array, sequences.rows, sequences.longest))
    steps = np.moveaxis(one.array, (layout.row, layout.time), (0, 1))
    real = _real(sequences, steps.shape[1]) if not sequences.is_mask else np.ones(steps.shape[:2], bool)
    constant = _constant([steps[~real]]) is not None and _constant([steps[real]]) is None
    sequence = one.array.ndim > 2 or one.array.dtype.kind in "iu"
    return constant, sequence, steps.shape[1] == sequences.longest


def understood(
    inputs: Sequence[Input], sequences: Sequence[Sequences], choice: int = 0, side: Side | None = None
) -> Batch | None:
    """The batch with every array's part in it; `choice`: which layout of the first sequence, None where it has fewer.

    Raises ShapeError where no input has the rows and steps that lengths or masks speak of.
    """
    parts = {one.path: one for one in inputs}
    for number, stated_by in enumerate(sequences):
        if stated_by.name is not None:
            kind = parts[stated_by.name]
            parts[stated_by.name] = replace(kind, kind="mask" if stated_by.is_mask else "lengths", group=number)
    groups: list[Group] = []
    taken: set[str] = set()
    rows = sequences[0].rows if sequences else None
    preferred: Layout | None = None
    for number, stated_by in enumerate(sequences):
        data = primary(list(parts.values()), stated_by, taken)
        if data is None:
            if number:
                parts[stated_by.name or ""] = replace(parts[stated_by.name or ""], kind="other", group=None, row=0)
                groups.append(Group(np.ones((stated_by.rows, 1), bool)))
                continue
            raise ShapeError(_misfit(inputs, stated_by))
        options = list(layouts(data.array, stated_by.rows, stated_by.longest))
        if stated_by.is_mask:
            options = [option for option in options if data.array.shape[option.time] == stated_by.longest]
        if not options:
            raise ShapeError(_misfit(inputs, stated_by))
        if number == 0:
            if choice >= len(options):
                return None
            preferred = options[choice]
        layout = preferred if preferred in options else options[0]
        assert layout is not None
        taken.add(data.path)
        steps_first = np.moveaxis(data.array, (layout.row, layout.time), (0, 1))
        real = _real(stated_by, steps_first.shape[1])
        group = Group(real, side or _side(steps_first, real, stated_by))
        if group.side == "left" and not stated_by.is_mask:
            group = replace(group, real=real[:, ::-1])
        groups.append(group)
        placed = replace(data, kind="data", row=layout.row, time=layout.time, group=number, noised=True)
        parts[data.path] = _with_padding(placed, group)
    if not sequences:
        data = primary(inputs, None, taken)
        if data is None:
            raise ShapeError(f"no input has two axes or more: {', '.join(_shown(one) for one in inputs) or 'none'}")
        options = list(layouts(data.array, data.array.shape[0], 1))
        options += list(layouts(data.array, data.array.shape[1], 1))
        options = list(dict.fromkeys(options))
        if choice >= len(options):
            return None
        preferred = options[choice]
        rows = int(data.array.shape[preferred.row])
        steps = data.array.shape[preferred.time]
        groups = [Group(np.ones((rows, steps), bool))]
        placed = replace(data, kind="data", row=preferred.row, time=preferred.time, group=0, noised=True)
        parts[data.path] = placed
        taken = {data.path}
    assert rows is not None
    assert preferred is not None
    batch = tuple(_companion(parts[one.path], rows, groups, preferred) for one in inputs)
    return Batch(tuple(_with_inner(one, batch) for one in batch), tuple(groups), rows)


def _with_inner(one: Input, inputs: Sequence[Input]) -> Input:
    """With the real words of every step, where another input holds how many there are of each."""
    if one.kind != "data" or not one.noised or one.row is None or one.time is None or one.array.ndim < 3:
        return one
    steps = one.steps_first
    for other in inputs:
        counts = other.array
        alike = other.row == one.row and other.time == one.time and other.group == one.group and other.path != one.path
        named = counts.ndim == 2 and counts.dtype.kind in "iu" and LENGTHS_NAME.search(last_name(other.path))
        if alike and named and counts.max(initial=0) <= steps.shape[2]:
            return replace(one, inner=np.arange(steps.shape[2]) < other.steps_first[:, :, None])
    return one


def _misfit(inputs: Sequence[Input], sequences: Sequences) -> str:
    what = "mask" if sequences.is_mask else "lengths"
    shapes = ", ".join(_shown(one) for one in inputs) or "none"
    return (
        f"no input has {sequences.rows} rows of {sequences.longest} steps or more, as the {what} says; "
        f"the inputs are {shapes}"
    )


def _shown(one: Input) -> str:
    return f"{one.path} {list(one.array.shape)}"


def _real(sequences: Sequences, steps: int) -> Bools:
    if sequences.is_mask:
        return np.asarray(sequences.values, bool)
    values = sequences.values
    lengths: Ints = (np.round(values * steps) if sequences.relative else values).astype(np.int64)
    return prefix_mask(lengths, steps)


def _side(steps: Array, real: Bools, sequences: Sequences) -> Side:
    """Where the padding is: of a mask where it says, of lengths on the left where only the left holds one value."""
    short = np.flatnonzero(~real.all(1) & real.any(1))
    if sequences.is_mask:
        return "left" if short.size and real[:, -1].all() and not real[short, 0].any() else "right"
    if not short.size:
        return "right"
    behind = [steps[b, real[b].sum() :] for b in short]
    before = [steps[b, : steps.shape[1] - real[b].sum()] for b in short]
    return "left" if _constant(before) is not None and _constant(behind) is None else "right"


def _constant(blocks: Sequence[Array]) -> Array | None:
    """The one step that all these blocks consist of, or None."""
    whole = np.concatenate([block for block in blocks if len(block)]) if any(map(len, blocks)) else None
    if whole is None or not len(whole):
        return None
    same = (whole == whole[0]) | ((whole != whole) & (whole[0] != whole[0]))
    return np.asarray(whole[0]) if same.all() else None


def _with_padding(one: Input, group: Group) -> Input:
    """With what its padded steps hold, where that is one value; zeros otherwise."""
    padded = one.steps_first[~group.real]
    constant = _constant([padded])
    return replace(one, padding=np.zeros(one.steps_first.shape[2:]) if constant is None else constant)


def constant_padding(batch: Batch) -> bool:
    """Whether what may be replaced by noise holds one value throughout."""
    blocks = [
        one.steps_first[~batch.groups[one.group].real] for one in batch.inputs if one.noised and one.group is not None
    ]
    return all(_constant([block]) is not None for block in blocks if block.size)


def _companion(one: Input, rows: int, groups: Sequence[Group], layout: Layout) -> Input:
    """The part of an array that no statement names: rows by its size, steps where it goes along with a sequence."""
    if one.kind == "data":
        return one
    if one.kind == "lengths":
        return replace(one, row=0 if one.array.shape[0] == rows else 1, relative=_is_relative(one))
    array = one.array
    row = next((axis for axis in _row_order(array, layout) if array.shape[axis] == rows), None)
    if row is None:
        return one
    one = replace(one, row=row)
    if array.ndim == 1:
        numbers = [n for n, g in enumerate(groups) if _equals_lengths(array, g)]
        if numbers and array.dtype.kind != "b":
            return replace(one, kind="lengths", group=numbers[0], relative=_is_relative(one))
        return one
    for number, group in enumerate(groups):
        for time in (axis for axis in range(array.ndim) if axis != row and array.shape[axis] == group.steps):
            placed = replace(one, time=time, group=number)
            value = _mask_values(placed, group)
            if value is not None:
                return replace(placed, kind="mask", padding=value)
            if one.kind != "mask" and _goes_along(placed, group):
                inner = bool(LENGTHS_NAME.search(last_name(one.path)))
                return replace(_with_padding(placed, group), kind="data", noised=not inner)
    return one


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
    name = last_name(one.path)
    padded = one.steps_first[~group.real]
    if _TARGET.search(name) or not padded.size:
        return not padded.size and not _TARGET.search(name) and one.array.ndim > 2
    constant = _constant([padded])
    ends = one.steps_first[np.arange(len(group.real)), np.maximum(group.lengths - 1, 0)]
    return constant is not None and not bool((ends == constant).all())
