"""Which axes of a result are rows and which are steps: learned from how its shape answers to fewer rows and steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rnninspect.core.trace import Array

Part = Literal["rows", "steps"] | None
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Sizes:
    """What a shape answers to: the rows and the widths of the run that it comes from."""

    rows: int
    widths: tuple[int, ...]
    real: int  # real steps of all rows together


@dataclass(frozen=True)
class Axis:
    """One axis of a result. `parts`: what it counts; two, where two were merged, the outer first.

    `packed`: it counts the real steps of all rows together. `unclear`: it is as long as steps have it, yet counts none
    of them, as an axis of all spans does.
    """

    parts: tuple[Part, ...] = (None,)
    packed: bool = False
    unclear: bool = False


@dataclass(frozen=True)
class Axes:
    """All axes of a result."""

    axes: tuple[Axis, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """What the axes of `canonical` count."""
        return tuple(part for axis in self.axes for part in axis.parts)

    @property
    def packed(self) -> bool:
        return any(axis.packed for axis in self.axes)

    @property
    def unclear(self) -> bool:
        return any(axis.unclear for axis in self.axes)

    @property
    def merged(self) -> bool:
        """Whether rows and steps are one axis, so that either may be the outer ones."""
        return any("rows" in axis.parts and "steps" in axis.parts for axis in self.axes)

    @property
    def row_axes(self) -> list[int]:
        return [i for i, part in enumerate(self.parts) if part == "rows"]

    @property
    def step_axes(self) -> list[int]:
        return [i for i, part in enumerate(self.parts) if part == "steps"]

    def shape(self, shape: Shape, sizes: Sizes) -> Shape | None:
        """The shape in which every axis counts one thing; None where a result of this shape does not fit."""
        if len(shape) != len(self.axes):
            return None
        split: list[int] = []
        for size, axis in zip(shape, self.axes, strict=True):
            if len(axis.parts) == 1:
                split.append(size)
                continue
            count = sizes.rows if "rows" in axis.parts else sizes.widths[0]
            if not count or size % count:
                return None
            at = axis.parts.index("rows" if "rows" in axis.parts else "steps")
            split += [count, size // count] if at == 0 else [size // count, count]
        if any(split[i] != sizes.rows for i in self.row_axes):
            return None
        return tuple(split)

    def canonical(self, array: Array, sizes: Sizes) -> Array | None:
        """The array `[…]` with every axis counting one thing: a view of it, or None where it does not fit.

        A result that lost its row axis, as a squeezed one of one row does, gets it back.
        """
        shape = self.shape(array.shape, sizes)
        if shape is None and sizes.rows == 1:
            whole = [1 if axis.parts == ("rows",) else None for axis in self.axes]
            if array.ndim == sum(size is None for size in whole):
                rest = iter(array.shape)
                array = array.reshape([next(rest) if size is None else size for size in whole])
                shape = self.shape(array.shape, sizes)
        return None if shape is None else array.reshape(shape)


def learn(
    base: Mapping[str, Array],
    fewer: Mapping[str, Array] | None,
    clipped: Mapping[str, Array] | None,
    sizes: Sequence[Sizes],
    steps_first: bool,
) -> dict[str, Axes]:
    """The axes of every result, from three runs: all rows, fewer of them, and fewer steps (None where that failed).

    Of a model that runs on this many rows alone, the axis of that size is taken for the rows.
    `sizes`: of the three. `steps_first`: where rows and steps are merged, the steps are the outer ones.
    """
    learned: dict[str, Axes] = {}
    for path, array in base.items():
        runs = [array.shape, *(run[path].shape if run and path in run else None for run in (fewer, clipped))]
        shapes = _unsqueezed(runs, sizes)
        single = shapes[0]
        assert single is not None
        shapes = [shape if shape is not None and len(shape) == len(single) else None for shape in shapes]
        axes = [
            _axis([None if s is None else s[i] for s in shapes], sizes, steps_first, clipped is None)
            for i in range(len(single))
        ]
        learned[path] = Axes(tuple(axes if fewer is not None else _by_size(single, axes, sizes[0], steps_first)))
    return learned


def _unsqueezed(shapes: Sequence[Shape | None], sizes: Sequence[Sizes]) -> list[Shape | None]:
    """The shapes of the three runs; of a single row that lost its axis, as `squeeze` takes it, with that axis of 1.

    Two rows have the axis, so that it shows there where it was.
    """
    single, two = shapes[0], shapes[1]
    if single is None or two is None or sizes[0].rows != 1 or len(two) != len(single) + 1:
        return list(shapes)
    fits = [i for i, size in enumerate(two) if size == sizes[1].rows and two[:i] + two[i + 1 :] == single]
    if not fits:
        return list(shapes)
    at = fits[0]
    return [
        shape if number == 1 or shape is None or len(shape) != len(single) else (*shape[:at], 1, *shape[at:])
        for number, shape in enumerate(shapes)
    ]


def _by_size(shape: Shape, axes: Sequence[Axis], sizes: Sizes, steps_first: bool) -> list[Axis]:
    """The axes of a result whose rows cannot be changed: the one axis that is as long as there are rows."""
    fits = [i for i, size in enumerate(shape) if size == sizes.rows]
    if len(fits) == 1:
        return [Axis(("rows",)) if i == fits[0] else axis for i, axis in enumerate(axes)]
    if fits:
        return list(axes)
    merged: tuple[Part, ...] = ("steps", "rows") if steps_first else ("rows", "steps")
    return [Axis(merged) if n == sizes.rows * sizes.widths[0] else a for n, a in zip(shape, axes, strict=True)]


def _axis(counts: Sequence[int | None], sizes: Sequence[Sizes], steps_first: bool, blind: bool) -> Axis:
    """One axis from its size in the three runs; `blind`: no run with fewer steps could be made."""
    base, fewer, clipped = counts
    assert base is not None
    rows, width = sizes[0].rows, sizes[0].widths[0]
    by_rows = fewer is not None and fewer != base
    by_steps = clipped is not None and clipped != base
    if blind and not by_rows and base == width:
        by_steps = True
    if by_rows and base == sizes[0].real and fewer == sizes[1].real and base != rows:
        return Axis((None,), packed=True)
    if by_rows and by_steps:
        return Axis(("steps", "rows") if steps_first else ("rows", "steps")) if base % rows == 0 else Axis(packed=True)
    if by_rows:
        if base == rows and fewer == sizes[1].rows:
            return Axis(("rows",))
        if base % rows == 0 and fewer == base // rows * sizes[1].rows:
            if base // rows == width and blind:
                return Axis(("steps", "rows") if steps_first else ("rows", "steps"))
            return Axis(("rows", None))
        return Axis(packed=True)
    if by_steps:
        if clipped is not None and _outgrows(base, clipped, width, sizes[2].widths[0]):
            return Axis(unclear=True)
        inner = base // width
        merged = base == inner * width and inner > 1 and clipped == inner * sizes[2].widths[0]
        return Axis(("steps", None)) if merged else Axis(("steps",))
    return Axis()


def _outgrows(base: int, clipped: int, width: int, narrow: int) -> bool:
    """Whether an axis grows faster than in proportion to the steps, as one with an entry for every span does."""
    slope = (base - clipped) / (width - narrow) if width != narrow else 0.0
    return slope > 1 and base - slope * width < -width


def real_steps(size: int, count: int, left: bool) -> Array:
    """The steps `[N]` of an axis that are real, of which there are `count`."""
    count = min(count, size)
    return np.arange(size - count, size) if left else np.arange(count)
