"""A model and a batch, and what is known of both once it has run: what the probes are made from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.invariance.axes import Sizes
from rnninspect.invariance.batch import Batch, Input
from rnninspect.invariance.compare import Difference, Run, Shapes, aligned, differences
from rnninspect.invariance.convert import like
from rnninspect.invariance.model import Change, Key, LayerCall, LiveModel, Manner, OutOfTime, Patch, RunFailed, Traced
from rnninspect.invariance.nested import flat, mapped
from rnninspect.invariance.precision import ROUNDING, measured_width
from rnninspect.invariance.ragged import rebuilt_arguments, spread


class Model:
    """A live model with the arguments that it is called with; it counts its runs.

    `seconds`: how long it may run; then a further run raises OutOfTime.
    """

    def __init__(
        self,
        live: LiveModel,
        arguments: Mapping[str, Any],
        tick: Callable[[], None] = lambda: None,
        seconds: float | None = None,
    ) -> None:
        self.live = live
        self._arguments = arguments
        self._tick = tick
        self._began = time.monotonic()
        self.seconds = seconds
        self.passes = 0
        live.until = float("inf") if seconds is None else self._began + seconds

    def of(self, live: LiveModel) -> Model:
        """The same arguments for another model, in the time that is left."""
        left = None if self.seconds is None else max(0.0, self.seconds - time.monotonic() + self._began)
        return Model(live, self._arguments, self._tick, left)

    def _passed(self) -> None:
        """Count one run more, where there is time for it."""
        if self.seconds is not None and self.passes and time.monotonic() - self._began > self.seconds:
            raise OutOfTime(f"time: the {self.seconds:g} seconds that it may take were over")
        self.passes += 1
        self._tick()

    def measure(self, inputs: Sequence[Input]) -> None:
        """Find out how narrow the floats are that a function casts its inputs to: its layers are not seen."""
        width = measured_width(self, inputs)
        if width is not None:
            self.live.coarsest = width

    def arguments(self, batch: Batch) -> dict[str, Any]:
        """The arguments with the batch's arrays in them, new ones."""
        arrays = {one.path: like(one.array, one.original) for one in batch.inputs}

        def visit(path: str, leaf: Any) -> Any:
            return arrays.get(path, leaf)  # a text

        return rebuilt_arguments({name: mapped(value, visit, name) for name, value in self._arguments.items()})

    def run(self, batch: Batch, manner: Manner = Manner()) -> Any:  # noqa: B008 - it is frozen
        """The model's results on this batch. Raises RunFailed, and OutOfTime as all runs do."""
        self._passed()
        results = self.live.run(self.arguments(batch), manner)
        return mapped(results, lambda path, leaf: _spread(leaf, batch)) if batch.bare else results

    def trace(self, batch: Batch, manner: Manner, patches: Mapping[Key, Patch]) -> Traced:
        """The same, with every call of a layer. Raises RunFailed."""
        self._passed()
        whole = self.live.trace(self.arguments(batch), manner, patches)
        if not batch.bare:
            return whole
        results = mapped(whole.results, lambda path, leaf: _spread(leaf, batch))
        return Traced(results, [_spread_call(call, batch) for call in whole.calls])

    def embeddings(self, batch: Batch, change: Change) -> Any:
        """The same, with `change` made to what embedding layers return; None where there are none."""
        self._passed()
        return self.live.embeddings(self.arguments(batch), Manner(), change)

    def rule(self, layer: Key, batch: Batch, lengths: Array, final: Array | None) -> Any:
        """What that layer's recorded call is judged to be (`lengths` `[B]`, `final` `[B, H]`), or None."""
        self._passed()
        return self.live.rule(layer, self.arguments(batch), lengths, final)


def _spread(leaf: Any, batch: Batch) -> Any:
    """What holds the real steps of all rows, one behind the other, with its rows apart; else as it is."""
    array = isinstance(leaf, np.ndarray) and batch.groups[0].side == "right"
    return spread(leaf, batch.groups[0].real) if array else leaf


def _spread_call(call: LayerCall, batch: Batch) -> LayerCall:
    inputs, results = ({path: _spread(a, batch) for path, a in side.items()} for side in (call.inputs, call.results))
    return replace(call, inputs=inputs, results=results)


@dataclass(frozen=True, eq=False)
class Trial:
    """What was learned of a model on a batch.

    `base`: its results. `shapes`: their axes. `steady`: the results that are the same whatever the random numbers.
    `precision`: the narrowest floats that it computes with.
    `blind`: why no run with fewer steps could be made, or empty. `alone`: for each row, the results of that row cut to
    its own length, or why there are none. `rules`: what recordings of layers were judged to be, so that none is made
    twice. `nearby`: the same of its rows cut to few steps, once that was tried; None in it where they cannot be.
    `tracings`: its layers undisturbed, by the manner of the run, once they were watched.
    """

    model: Model
    batch: Batch
    base: Run
    shapes: Shapes
    steady: frozenset[str]
    row_lists: frozenset[str]
    tolerance: tuple[float | None, float | None]
    precision: str
    alone: Mapping[int, Run | str] = field(default_factory=dict)
    blind: str = ""
    unsorted: str = ""
    repeatable: frozenset[str] = frozenset()
    rules: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    nearby: list[Any] = field(default_factory=list)
    tracings: dict[Manner, Any] = field(default_factory=dict)
    _wide: dict[int, Run | str] = field(default_factory=dict)
    _reversed: list[tuple[Run, tuple[int, ...]] | str] = field(default_factory=list)

    def reordered(self) -> tuple[Run, tuple[int, ...]] | str:
        """The results of the rows in another order, and that order, or why there are none."""
        if not self._reversed:
            count, reason = self.batch.batch_size, ""
            for rows in ([*range(count)][::-1], [*range(1, count), 0]):
                try:
                    self._reversed.append((self.run(self.batch.take(rows), rows), tuple(rows)))
                    break
                except RunFailed as error:
                    reason = reason or str(error)
            self._reversed.append(reason)
        return self._reversed[0]

    @property
    def ordered(self) -> bool:
        """Whether another order of the rows changes nothing, as far as it could be tried."""
        pair = self.reordered()
        return isinstance(pair, str) or not any(d.rows for d in self.compare(pair[0], self.followed))

    def wide(self, row: int) -> Run | str:
        """The results of one row alone, as wide as the batch, or why there are none."""
        if row not in self._wide:
            try:
                self._wide[row] = self.run(self.batch.take([row]), [row])
            except RunFailed as error:
                self._wide[row] = str(error)
        return self._wide[row]

    def run(self, batch: Batch, rows: Sequence[int] | None = None, manner: Manner = Manner()) -> Run:  # noqa: B008
        """A run on a changed batch, whose rows are these of the base's. Raises RunFailed."""
        results = flat(self.model.run(batch, manner), self.row_lists)
        order = tuple(self.base.rows if rows is None else rows)
        return Run(sorted_back(results, self.unsorted, self.shapes), order, sizes_of(batch), self.model.live.drawn)

    def compare(
        self,
        run: Run,
        paths: Sequence[str] | None = None,
        *,
        same_shapes: bool = False,
        base: Run | None = None,
        exact: bool = False,
    ) -> list[Difference]:
        """How its real results differ from the base's, those that can be compared.

        What differs with the random numbers is compared where no row differs, or these are the very same: as many were
        drawn as in the base, or, where that is not known, the shapes are the same.
        """
        base = base or self.base
        listed = []
        for path in sorted(self.repeatable) if paths is None else paths:
            dtype = base.results[path].dtype if path in base.results else np.dtype(np.float32)
            compared = differences(base, run, self.shapes, self.within(dtype, same_shapes), [path], exact)
            held = len(run.rows) == len(base.rows) and not any(one.rows for one in compared)
            if path in self.steady or held or _same_draws(base, run, same_shapes):
                listed += compared
        return [self._of_real_rows(one) for one in listed] if self.empty else listed

    @property
    def empty(self) -> frozenset[int]:
        """Rows without a real step: whatever a model returns for them, nothing of it is real."""
        real = np.stack([group.real.any(1) for group in self.batch.groups]).any(0)
        return frozenset(int(row) for row in np.flatnonzero(~real))

    @property
    def unseen(self) -> tuple[int, ...]:
        """Rows with real steps whose results hold no finite number: NaN equals NaN, whatever was changed."""
        seen: set[int | None] = set()
        for path in self.judged:
            whole = len(self.shapes.axes[path].row_axes) > 1 or self.base.results[path].dtype.kind != "f"
            pairs = None if whole else aligned(self.base, self.base, self.shapes, path)
            if pairs is None:
                return ()
            seen |= {row for row, real, _ in pairs if np.isfinite(real).any()}
        return tuple(row for row in self.base.rows if row not in seen and row not in self.empty) if self.judged else ()

    @property
    def blank(self) -> tuple[str, ...]:
        """Results that follow rows, a unit of which is NaN at every real step of every row: NaN equals NaN."""
        return tuple(path for path in self.judged if self._has_blank_unit(path))

    def _has_blank_unit(self, path: str) -> bool:
        axes = self.shapes.axes[path]
        if len(axes.row_axes) > 1 or self.base.results[path].dtype.kind != "f":
            return False
        parts = [part for part in axes.parts if part != "rows"]
        steps = tuple(i for i, part in enumerate(parts) if part == "steps")
        rows = [
            real for row, real, _ in aligned(self.base, self.base, self.shapes, path) or () if row not in self.empty
        ]
        blank = [np.isnan(real).all(axis=steps) for real in rows if real.size]
        return bool(blank) and len({one.shape for one in blank}) == 1 and bool(np.all(blank, axis=0).any())

    def _of_real_rows(self, one: Difference) -> Difference:
        rows = tuple(row for row in one.rows if row not in self.empty)
        return replace(one, rows=rows, largest=one.largest if rows or one.largest <= one.allowed else 0.0)

    @staticmethod
    def compare_with(
        base: Run, run: Run, shapes: Shapes, tolerance: tuple[float, float], path: str, exact: bool
    ) -> list[Difference]:
        """How one array of a traced run differs."""
        return differences(base, run, shapes, tolerance, [path], exact)

    def pair(self, row: int) -> Run | str:
        """The results of one row beside the longest of the batch, which keeps its width, or why there are none."""
        longest = {int(np.argmax(group.lengths)) for group in self.batch.groups} - {row}
        rows = [row, *sorted(longest)]
        if len(rows) == 1:
            return self.wide(row)
        try:
            return self.run(self.batch.take(rows), rows)
        except RunFailed as error:
            return str(error)

    def within(self, dtype: np.dtype[Any], same_shapes: bool) -> tuple[float, float]:
        """(rtol, atol): what may differ by rounding, by the dtype, unless it is stated."""
        rtol, atol = self.tolerance
        usual = ROUNDING[self.precision if dtype.kind == "f" else "float32"][0 if same_shapes else 1]
        return (usual if rtol is None else rtol, usual * 1e-2 if atol is None else atol)

    @property
    def followed(self) -> list[str]:
        """The results that follow rows, those that sample among them if one seed gives the same again."""
        axes = self.shapes.axes
        return [p for p in self.base.results if p in self.repeatable and axes[p].row_axes and not axes[p].unclear]

    @property
    def judged(self) -> list[str]:
        """The results that follow rows and do not sample."""
        return [path for path in self.followed if path in self.steady]


def _same_draws(first: Run, second: Run, same_shapes: bool) -> bool:
    if first.drawn is None or second.drawn is None:
        return same_shapes
    return bool(first.drawn == second.drawn)


def sizes_of(batch: Batch) -> Sizes:
    """How many rows, steps and real steps a batch has."""
    real = int(batch.groups[0].real.sum())
    return Sizes(batch.batch_size, tuple(batch.widths), real)


def sorted_back(results: Mapping[str, Array], order: str, shapes: Shapes | None) -> Mapping[str, Array]:
    """Results of a model that returns its rows sorted, and the order beside them, in the batch's own order."""
    if not order or order not in results or shapes is None:
        return results
    back = np.argsort(results[order], kind="stable")
    changed = dict(results)
    for path, array in results.items():
        axes = shapes.axes.get(path)
        if path != order and axes is not None and len(axes.row_axes) == 1 and len(axes.axes) == array.ndim:
            axis = next((i for i, a in enumerate(axes.axes) if a.parts == ("rows",)), None)
            if axis is not None and array.shape[axis] == len(back):
                changed[path] = np.take(array, back, axis=axis)
    changed.pop(order)
    return changed
