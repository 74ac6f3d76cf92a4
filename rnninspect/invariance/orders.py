"""In which order rows stand: a model that sorts them by length has arrays in another order than the batch.

A row is known by what it is alone: the batch's row `q` stands at position `p` of an array where that position holds
what the run of row `q` alone holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rnninspect.core.trace import Array, Bools
from rnninspect.invariance.axes import Axes, Sizes
from rnninspect.invariance.compare import Run, Shapes, part

Order = tuple[int, ...]  # for every position, which row of the base batch stands there


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a batch, as each is alone. `tolerance`: (rtol, atol) of what counts as the same."""

    alone: Mapping[int, Run]
    shapes: Shapes
    tolerance: tuple[float, float]

    def order(self, path: str, array: Array, sizes: Sizes, rows: Sequence[int], likely: Order) -> Order | None:
        """The order of an array `[…]` whose rows should be `rows`: that of its content where it shows one, else of
        `rows` and `likely` the one that more positions agree with; None where it shows nothing.
        """
        expected = tuple(rows)
        fits = self._fits(path, array, sizes, expected)
        if fits is None:
            return None
        if fits.diagonal().all():
            return expected
        if (fits.sum(0) == 1).all() and (fits.sum(1) == 1).all():
            return tuple(expected[int(q)] for q in fits.argmax(1))
        here, there = (sum(fits[p, expected.index(q)] for p, q in enumerate(order)) for order in (expected, likely))
        return None if here == there else expected if here > there else likely

    def ordered(self, path: str, rows: Sequence[int]) -> bool:
        """Whether an array has one axis of rows, and there are some that could be in another order."""
        axes = self.shapes.axes.get(path)
        return axes is not None and not axes.packed and len(axes.row_axes) == 1 and len(set(rows)) == len(rows) > 1

    def _fits(self, path: str, array: Array, sizes: Sizes, rows: Order) -> Bools | None:
        """`[B, B]`: whether a position holds a row; by its first real step, then, where that is not enough, by all."""
        axes = self.shapes.axes[path]
        whole = axes.canonical(array, sizes)
        if whole is None or any(row not in self.alone or path not in self.alone[row].results for row in rows):
            return None
        for every in (False, True):
            table = np.zeros((len(rows), len(rows)), bool)
            for q, row in enumerate(rows):
                for p in range(len(rows)):
                    table[p, q] = self._same(path, whole, axes, p, row, every)
            if not every and (not axes.step_axes or (table.sum(1) <= 1).all()):
                break
        return table

    def _same(self, path: str, whole: Array, axes: Axes, position: int, row: int, every: bool) -> bool:
        run = self.alone[row]
        single = axes.canonical(run.results[path], run.sizes)
        if single is None:
            return False
        index = [self.shapes.real_index(path, shape, row) for shape in (whole.shape, single.shape)]
        if not every:
            at = -1 if self.shapes.left else 0
            index = [[i if isinstance(i, slice) else i[at:][:1] for i in one] for one in index]
        first, second = part(whole, axes, position, index[0]), part(single, axes, 0, index[1])
        return first.shape == second.shape and self._close(first, second)

    def _close(self, first: Array, second: Array) -> bool:
        if first.dtype.kind != "f" or second.dtype.kind != "f":
            return bool(np.array_equal(first, second))
        finite = np.abs(second[np.isfinite(second)])
        allowed = self.tolerance[1] + self.tolerance[0] * float(finite.max(initial=0.0))
        return bool(np.allclose(first, second, rtol=0.0, atol=allowed, equal_nan=True))


def placed(array: Array, axes: Axes, sizes: Sizes, order: Order, rows: Sequence[int]) -> Array:
    """The array `[…]`, whose positions hold the rows of `order`, with those of `rows` in their place."""
    whole = axes.canonical(array, sizes)
    if whole is None or tuple(rows) == order:
        return array
    index = [order.index(row) for row in rows]
    return np.take(whole, index, axis=axes.row_axes[0]).reshape(array.shape)
