"""Two runs of a model beside each other: by how much their real results differ, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.invariance.axes import Axes, Sizes, real_steps

# Steps of a result that are real, by (path, which of its step axes, row of the base batch).
Counts = Mapping[tuple[str, int, int], int]


@dataclass(frozen=True, eq=False)
class Run:
    """The results of one run. `rows`: which row of the base batch each of its rows is; `drawn`: how far it went in the
    random numbers, None where that is not known.
    """

    results: Mapping[str, Array]
    rows: tuple[int, ...]
    sizes: Sizes
    drawn: Any = None


@dataclass(frozen=True, eq=False)
class Shapes:
    """What is known of results: their axes, and how many of their steps are real."""

    axes: Mapping[str, Axes]
    counts: Counts
    left: bool = False

    def real_index(self, path: str, shape: tuple[int, ...], row: int) -> list[Array | slice]:
        """What of one row's result is real: an index for every axis but the row axis."""
        axes = self.axes[path]
        index: list[Array | slice] = []
        for i, part in enumerate(axes.parts):
            if part == "rows":
                continue
            if part == "steps":
                number = axes.step_axes.index(i)
                count = self.counts.get((path, number, row), shape[i])
                index.append(real_steps(shape[i], count, self.left))
            else:
                index.append(slice(None))
        return index


@dataclass(frozen=True)
class Difference:
    """By how much one result differs. `rows`: those beyond the tolerance; `scale`: the largest real value."""

    path: str
    largest: float
    scale: float
    allowed: float
    rows: tuple[int, ...]


def part(array: Array, axes: Axes, position: int, index: list[Any]) -> Array:
    """The real part of one row of a result in its canonical form, any number of axes `[…]`."""
    rows = axes.row_axes
    picked = np.take(array, position, axis=rows[0]) if rows else array
    for axis, chosen in enumerate(index):
        if not isinstance(chosen, slice):
            picked = np.take(picked, chosen, axis=axis)
    return picked


def differences(
    base: Run, run: Run, shapes: Shapes, tolerance: tuple[float, float], paths: Iterable[str], exact: bool = False
) -> list[Difference]:
    """Every result of both runs that can be compared; `exact`: all rows are there in their order, so that results
    without rows are compared too.

    `tolerance`: (rtol, atol); a difference is within it up to atol + rtol * the largest real value of that result.
    """
    listed = []
    for path in paths:
        one = _difference(base, run, shapes, tolerance, path, exact)
        if one is not None:
            listed.append(one)
    return listed


def _difference(
    base: Run, run: Run, shapes: Shapes, tolerance: tuple[float, float], path: str, exact: bool
) -> Difference | None:
    if path not in base.results or path not in run.results or path not in shapes.axes:
        return None
    axes = shapes.axes[path]
    if axes.unclear:
        return None
    here, there = base.results[path], run.results[path]
    pairs: list[tuple[int | None, Array, Array]]
    if axes.packed or not axes.row_axes:
        if not exact or here.shape != there.shape or (axes.step_axes and not axes.row_axes):
            return None
        pairs = [(None, here, there)]
    elif len(axes.row_axes) > 1:
        return _crossed(base, run, axes, tolerance, path)
    else:
        by_row = aligned(base, run, shapes, path)
        if by_row is None:
            return None
        pairs = by_row
    scale = max((_largest(a) for _, a, _ in pairs), default=0.0)
    allowed = tolerance[1] + tolerance[0] * scale
    gaps = [(row, _gap(a, b)) for row, a, b in pairs]
    rows = tuple(row for row, gap in gaps if row is not None and not gap <= allowed)
    largest = max((gap for _, gap in gaps), default=0.0)
    if not rows and not largest <= allowed:
        rows = tuple(base.rows)
    return Difference(path, largest, scale, allowed, rows)


def aligned(base: Run, run: Run, shapes: Shapes, path: str) -> list[tuple[int | None, Array, Array]] | None:
    """(row of the base, its real part there, its real part here) of one result; None where they do not fit."""
    axes = shapes.axes[path]
    here, there = axes.canonical(base.results[path], base.sizes), axes.canonical(run.results[path], run.sizes)
    if here is None or there is None:
        return None
    pairs: list[tuple[int | None, Array, Array]] = []
    for position, row in enumerate(run.rows):
        first = part(here, axes, row, shapes.real_index(path, here.shape, row))
        second = part(there, axes, position, shapes.real_index(path, there.shape, row))
        fitted = second if first.shape == second.shape else _fitted(first, second, axes)
        if fitted is None:
            return None
        pairs.append((row, first, fitted))
    return pairs


def _fitted(first: Array, second: Array, axes: Axes) -> Array | None:
    """The second as far as the first goes, where axes that count no rows or steps are as long."""
    if first.ndim != second.ndim or any(a > b for a, b in zip(first.shape, second.shape, strict=True)):
        return None
    parts = [p for p in axes.parts if p != "rows"]
    if any(a != b and p != "steps" for a, b, p in zip(first.shape, second.shape, parts, strict=True)):
        return None
    return second[tuple(slice(n) for n in first.shape)]


def _crossed(base: Run, run: Run, axes: Axes, tolerance: tuple[float, float], path: str) -> Difference | None:
    """A result that sets rows beside rows: compared where all rows are there."""
    if axes.step_axes or len(run.rows) != len(base.rows):
        return None
    here, there = base.results[path], run.results[path]
    for axis in axes.row_axes:
        here = np.take(here, run.rows, axis=axis)
    scale, gap = _largest(here), _gap(here, there)
    allowed = tolerance[1] + tolerance[0] * scale
    return Difference(path, gap, scale, allowed, () if gap <= allowed else tuple(base.rows))


def _largest(array: Array) -> float:
    if array.dtype.kind != "f":
        return 0.0
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max(initial=0.0))


def _gap(first: Array, second: Array) -> float:
    """The largest absolute difference; infinite where one alone is NaN or infinite."""
    if first.shape != second.shape:
        return float("inf")
    if first.dtype.kind != "f" or second.dtype.kind != "f":
        return float(np.abs(first.astype(np.float64) - second.astype(np.float64)).max(initial=0.0))
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    with np.errstate(all="ignore"):
        gaps = np.where(same, 0.0, np.abs(first.astype(np.float64) - second.astype(np.float64)))
    return float(np.where(np.isnan(gaps), np.inf, gaps).max(initial=0.0))
