"""A model and a batch, and what is known of both once it has run: what the probes are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.invariance.axes import Axes, Sizes, learn
from rnninspect.invariance.batch import Batch
from rnninspect.invariance.compare import Difference, Run, Shapes, differences
from rnninspect.invariance.convert import like
from rnninspect.invariance.model import Key, LiveModel, Manner, Patch, RunFailed, Traced
from rnninspect.invariance.nested import flat, lists_of, mapped

NOISE_RTOL, RTOL = 2e-6, 2e-5  # runs of the same shapes, and of others, in float32
_DTYPES = {2: 4096.0, 8: 1e-4}  # times as much in half precision, and in float64


class Model:
    """A live model with the arguments that it is called with; it counts its runs."""

    def __init__(self, live: LiveModel, arguments: Mapping[str, Any], tick: Callable[[], None] = lambda: None) -> None:
        self.live = live
        self._arguments = arguments
        self._tick = tick
        self.passes = 0

    def arguments(self, batch: Batch) -> dict[str, Any]:
        """The arguments with the batch's arrays in them, new ones."""
        arrays = {one.path: like(one.array, one.original) for one in batch.inputs}

        def visit(path: str, leaf: Any) -> Any:
            return arrays[path]

        return {name: mapped(value, visit, name) for name, value in self._arguments.items()}

    def run(self, batch: Batch, manner: Manner = Manner()) -> Any:  # noqa: B008 - it is frozen
        """The model's results on this batch. Raises RunFailed."""
        self.passes += 1
        self._tick()
        return self.live.run(self.arguments(batch), manner)

    def trace(self, batch: Batch, manner: Manner, patches: Mapping[Key, Patch]) -> Traced:
        """The same, with every call of a layer. Raises RunFailed."""
        self.passes += 1
        self._tick()
        return self.live.trace(self.arguments(batch), manner, patches)


@dataclass(frozen=True, eq=False)
class Trial:
    """What was learned of a model on a batch.

    `base`: its results. `shapes`: their axes. `steady`: the results that are the same whatever the random numbers.
    `blind`: why no run with fewer steps could be made, or empty. `alone`: for each row, the results of that row cut to
    its own length, or why there are none.
    """

    model: Model
    batch: Batch
    base: Run
    shapes: Shapes
    steady: frozenset[str]
    row_lists: frozenset[str]
    tolerance: tuple[float | None, float | None]
    alone: Mapping[int, Run | str] = field(default_factory=dict)
    blind: str = ""
    unsorted: str = ""
    repeatable: frozenset[str] = frozenset()
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
        return isinstance(pair, str) or not any(d.rows for d in self.compare(pair[0], self.judged))

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
        return Run(sorted_back(results, self.unsorted, self.shapes), order, sizes_of(batch))

    def compare(
        self, run: Run, paths: Sequence[str] | None = None, *, same_shapes: bool = False, base: Run | None = None,
        exact: bool = False,
    ) -> list[Difference]:  # fmt: skip
        """How its real results differ from the base's, those that can be compared."""
        base = base or self.base
        listed = []
        for path in paths if paths is not None else self.steady:
            dtype = base.results[path].dtype if path in base.results else np.dtype(np.float32)
            listed += differences(base, run, self.shapes, self.within(dtype, same_shapes), [path], exact)
        return listed

    @staticmethod
    def compare_with(
        base: Run, run: Run, shapes: Shapes, tolerance: tuple[float, float], path: str, exact: bool
    ) -> list[Difference]:  # fmt: skip
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
        factor = self.factor if dtype.kind == "f" else 1.0
        usual = (NOISE_RTOL if same_shapes else RTOL) * factor
        return (usual if rtol is None else rtol, usual * 1e-2 if atol is None else atol)

    @property
    def factor(self) -> float:
        """How much coarser the model computes than in float32."""
        kinds = {str(getattr(one.original, "dtype", "")) for one in self.batch.inputs}
        results = {array.dtype.itemsize for array in self.base.results.values() if array.dtype.kind == "f"}
        if any("bfloat16" in kind for kind in kinds):
            return 32768.0
        if any("float16" in kind for kind in kinds) or 2 in results:
            return _DTYPES[2]
        return _DTYPES[8] if results == {8} else 1.0

    @property
    def judged(self) -> list[str]:
        """The results that follow rows and do not sample."""
        return [path for path in self.base.results if path in self.steady and self.shapes.axes[path].row_axes]


def sizes_of(batch: Batch) -> Sizes:
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


def observed(model: Model, batch: Batch, tolerance: tuple[float | None, float | None]) -> Trial:
    """Runs the model on the batch, on fewer rows and on fewer steps, and learns what its results' axes are.

    Raises RunFailed where it does not run on the batch as it is, or on fewer of its rows.
    """
    base = model.run(batch)
    fewer, kept = _fewer(model, batch)
    row_lists = frozenset(lists_of(base, batch.batch_size) & lists_of(fewer, len(kept)))
    clipped, narrow, blind = _clipped(model, batch)
    first, second = flat(base, row_lists), flat(fewer, row_lists)
    third = None if clipped is None else flat(clipped, row_lists)
    sizes = [sizes_of(batch), sizes_of(batch.take(kept)), sizes_of(narrow)]
    data = next(one for one in batch.inputs if one.kind == "data")
    steps_first = data.row is not None and data.time is not None and data.time < data.row
    axes = learn(first, second, third, sizes, steps_first)
    left = batch.groups[0].side == "left"
    shapes = Shapes(axes, {}, left)
    order = _order(first, batch) if any(a.row_axes for a in axes.values()) else ""
    every = Run(sorted_back(first, order, shapes), tuple(range(batch.batch_size)), sizes[0])
    trial = Trial(model, batch, every, shapes, frozenset(every.results), row_lists, tolerance, {}, blind, order)
    steady = frozenset(_alike(trial, seed=1))
    repeatable = steady if len(steady) == len(every.results) else frozenset(_alike(trial, seed=0))
    alone = {b: _alone(trial, b) for b in range(batch.batch_size)}
    counts = counted(shapes, every, {b: run for b, run in alone.items() if isinstance(run, Run)}, batch)
    return Trial(
        model, batch, every, Shapes(axes, counts, left), steady, row_lists, tolerance, alone, blind, order, repeatable
    )  # fmt: skip


def _fewer(model: Model, batch: Batch) -> tuple[Any, list[int]]:
    """The results on fewer rows, the longest kept; of a batch of one row, on two of it."""
    rows = list(range(batch.batch_size))
    if len(rows) == 1:
        return model.run(batch.take([0, 0])), [0, 0]
    shortest = min(rows, key=lambda b: (batch.groups[0].lengths[b], -b))
    kept = [b for b in rows if b != shortest]
    return model.run(batch.take(kept)), kept


def _clipped(model: Model, batch: Batch) -> tuple[Any, Batch, str]:
    """The results on fewer steps, or on more where that fails; None where both do, and why."""
    reason = ""
    shorter = [max(1, width - max(1, width // 3)) for width in batch.widths]
    for widths in (shorter, [max(1, width - 1) for width in batch.widths], [width + 4 for width in batch.widths]):
        if widths == batch.widths:
            continue
        narrow = batch.resized(widths)
        if any((group.lengths == 0).any() and not (g.lengths == 0).any() for group, g in zip(narrow.groups, batch.groups, strict=True)):  # fmt: skip
            continue  # a left-padded row lost all its real steps
        try:
            return model.run(narrow), narrow, ""
        except RunFailed as error:
            reason = str(error)
    return None, batch, reason or "the batch has one step"


def _alike(trial: Trial, seed: int) -> list[str]:
    """The results that another run with this seed leaves as they are."""
    other = trial.run(trial.batch, manner=Manner(seed=seed))
    same = []
    for path, array in trial.base.results.items():
        there = other.results.get(path)
        if there is None or there.shape != array.shape:
            continue
        if np.array_equal(array, there, equal_nan=array.dtype.kind == "f"):
            same.append(path)
    return same


def trimmed(batch: Batch, row: int) -> Batch:
    """One row alone, cut to its own length."""
    one = batch.take([row])
    return one.resized([max(1, int(group.lengths[0])) for group in one.groups])


def _alone(trial: Trial, row: int) -> Run | str:
    try:
        return trial.run(trimmed(trial.batch, row), [row])
    except RunFailed as error:
        return str(error)


def counted(shapes: Shapes, base: Run, alone: Mapping[int, Run], batch: Batch) -> dict[tuple[str, int, int], int]:
    """How many steps of each result are real: as many as the row has alone; by its length where that is not known."""
    counts: dict[tuple[str, int, int], int] = {}
    lengths, width = batch.groups[0].lengths, batch.widths[0]
    for path, axes in shapes.axes.items():
        whole = axes.canonical(base.results[path], base.sizes) if path in base.results else None
        if whole is None:
            continue
        for number, axis in enumerate(axes.step_axes):
            for row in range(batch.batch_size):
                run = alone.get(row)
                there = None if run is None or path not in run.results else axes.canonical(run.results[path], run.sizes)
                size = whole.shape[axis]
                by_length = size * int(lengths[row]) // width
                counts[path, number, row] = by_length if there is None else min(size, there.shape[axis])
    return counts


def _order(results: Mapping[str, Array], batch: Batch) -> str:
    """The result that is the order in which the rows were sorted by length, where there is one."""
    lengths = batch.groups[0].lengths
    for path, array in results.items():
        if array.dtype.kind in "iu" and array.shape == (batch.batch_size,) and batch.batch_size > 1:
            rows = np.arange(batch.batch_size)
            if (np.sort(array) == rows).all() and (array != rows).any() and (np.diff(lengths[array]) <= 0).all():
                return path
    return ""
