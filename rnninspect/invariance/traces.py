"""Traced runs: what every layer read and returned, with axes learned as those of the model's own results are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.invariance.axes import learn
from rnninspect.invariance.batch import Batch
from rnninspect.invariance.compare import Difference, Run, Shapes
from rnninspect.invariance.model import Key, LayerCall, Manner, Patch, RunFailed
from rnninspect.invariance.nested import flat
from rnninspect.invariance.observe import counted, fewer_rows, trimmed
from rnninspect.invariance.orders import Order, Rows, placed
from rnninspect.invariance.probe import Disturbed
from rnninspect.invariance.trial import Trial, sizes_of, sorted_back

RESULT = "="  # before the paths of the model's own results
INEXACT = 10.0  # times what a result may differ by: layers within see more rounding than the results do


def place_in(key: Key, direction: str, path: str) -> str:
    """The path of an array that a call read (`<`) or returned (`>`)."""
    return f"{key[0]}#{key[1]}{direction}{path}"


def every_array(results: Mapping[str, Array], calls: Sequence[LayerCall]) -> dict[str, Array]:
    """All that a traced run read and returned, by path, in the order of time."""
    arrays = {RESULT + path: array for path, array in results.items()}
    running: list[LayerCall] = []

    def ended(call: LayerCall) -> None:
        arrays.update({place_in(call.key, ">", path): array for path, array in call.results.items()})

    for call in calls:
        while running and running[-1].key != call.parent:
            ended(running.pop())
        arrays |= {place_in(call.key, "<", path): array for path, array in call.inputs.items()}
        running.append(call)
    while running:
        ended(running.pop())
    return arrays


@dataclass(frozen=True, eq=False)
class TracedRun(Run):
    """A run whose layers were watched, every array of theirs with its rows in the batch's order. `orders`: in which
    order the model itself had them, where that is another.
    """

    orders: Mapping[str, Order] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Tracing:
    """A model's layers on a batch, undisturbed. `calls`: in the order in which they began; `rows`: each row alone."""

    trial: Trial
    disturbed: Disturbed
    base: TracedRun
    calls: Sequence[LayerCall]
    shapes: Shapes
    rows: Rows
    absent: Collection[tuple[str, int]] = field(default_factory=frozenset)

    def run(self, patches: Mapping[Key, Patch]) -> tuple[TracedRun, list[LayerCall]]:
        """The disturbed batch, with what some calls return patched."""
        results, calls = _traced(self.trial, self.disturbed.batch, self.disturbed.manner, patches)
        run = Run(every_array(results, calls), self.disturbed.rows, sizes_of(self.disturbed.batch))
        return in_batch_order(run, self.rows, self.base), calls

    def differs(self, run: Run, paths: Sequence[str]) -> list[Difference]:
        """Those of these arrays whose real part differs."""
        listed = []
        for path in paths:
            alike = self.disturbed.alike
            rows = [
                i
                for i, row in enumerate(run.rows)
                if (path, row) not in self.absent and (alike is None or row in alike)
            ]
            if not rows or path not in self.base.results or path not in run.results:
                continue
            if path[:1] != RESULT and not self.disturbed.same_shapes and not self.shapes.axes[path].row_axes:
                continue  # a shape, a position, a width: it may well differ, and its use is what is looked for
            rtol, atol = self.trial.within(self.base.results[path].dtype, self.disturbed.same_shapes)
            factor = 1.0 if path.startswith(RESULT) else INEXACT
            view = self.trial.compare_with(
                self.base, run, self.shapes, (rtol * factor, atol * factor), path, self.disturbed.exact
            )
            listed += [d for d in view if set(d.rows) & {run.rows[i] for i in rows}]
        return listed

    def patch(self, call: LayerCall, run: TracedRun) -> Patch:
        """What puts the undisturbed real part in the place of the disturbed one, and leaves the padding disturbed."""

        def put(results: Mapping[str, Array]) -> Mapping[str, Array]:
            return {
                path: self._undisturbed(place_in(call.key, ">", path), array, run) for path, array in results.items()
            }

        return put

    def _undisturbed(self, path: str, array: Array, run: TracedRun) -> Array:
        order, axes = run.orders.get(path), self.shapes.axes.get(path)
        if order is None or axes is None:
            return self._put(path, array, run)
        changed = self._put(path, placed(array, axes, run.sizes, order, run.rows), run)
        return placed(changed, axes, run.sizes, run.rows, order)

    def _put(self, path: str, array: Array, run: Run) -> Array:
        base, axes = self.base.results.get(path), self.shapes.axes.get(path)
        if base is None or axes is None:
            return array
        if axes.packed or not axes.row_axes or len(axes.row_axes) > 1:
            return base if base.shape == array.shape and self.disturbed.same_shapes else array
        changed = np.array(array)
        here, there = axes.canonical(base, self.base.sizes), axes.canonical(changed, run.sizes)
        if here is None or there is None:
            return array
        there, axis = np.array(there), axes.row_axes[0]
        for position, row in enumerate(run.rows):
            if (path, row) in self.absent:
                continue
            target, source = np.moveaxis(there, axis, 0), np.moveaxis(here, axis, 0)
            index = self._index(path, there.shape, target.shape[1:], row)
            other = self._index(path, here.shape, source.shape[1:], row)
            if [len(i) for i in index] == [len(i) for i in other]:
                target[np.ix_(np.array([position]), *index)] = source[np.ix_(np.array([row]), *other)]
        return there.reshape(array.shape)

    def _index(self, path: str, shape: tuple[int, ...], rest: tuple[int, ...], row: int) -> list[Array]:
        """Which of a row's values are real, for every axis but the row axis."""
        index = self.shapes.real_index(path, shape, row)
        return [np.arange(n) if isinstance(i, slice) else i for i, n in zip(index, rest, strict=True)]


def traced(trial: Trial, disturbed: Disturbed) -> Tracing | None:
    """The model's layers on the base batch; None where the model shows none, or fails as they are watched."""
    manner = disturbed.manner
    if manner not in trial.tracings:
        trial.tracings[manner] = _undisturbed(trial, disturbed)
    tracing: Tracing | None = trial.tracings[manner]
    return None if tracing is None else replace(tracing, disturbed=disturbed)


def _undisturbed(trial: Trial, disturbed: Disturbed) -> Tracing | None:
    batch, manner = trial.batch, disturbed.manner
    if not trial.model.live.traceable:
        return None
    try:
        results, calls = _traced(trial, batch, manner)
    except RunFailed:
        return None
    kept, fewer = fewer_rows(batch), None
    with suppress(RunFailed):  # of this many rows alone
        fewer = every_array(*_traced(trial, batch.take(kept), manner if len(kept) > 1 else Manner()))
    narrow, clipped = batch, None
    for widths in ([max(1, w - max(1, w // 3)) for w in batch.widths], [w + 4 for w in batch.widths]):
        try:
            narrow = batch.resized(widths)
            clipped = every_array(*_traced(trial, narrow, Manner()))
            break
        except RunFailed:
            continue
    arrays = every_array(results, calls)
    data = next(one for one in batch.inputs if one.kind == "data")
    steps_first = data.row is not None and data.time is not None and data.time < data.row
    sizes = [sizes_of(batch), sizes_of(batch.take(kept)), sizes_of(narrow)]
    axes = learn(arrays, fewer, clipped, sizes, steps_first)
    axes |= {RESULT + path: learned for path, learned in trial.shapes.axes.items()}
    base = Run(arrays, trial.base.rows, sizes[0])
    alone = _alone(trial)
    counts = counted(Shapes(axes, {}, trial.shapes.left), base, alone, batch)
    counts |= {(RESULT + path, n, row): count for (path, n, row), count in trial.shapes.counts.items()}
    shapes = Shapes(axes, counts, trial.shapes.left)
    absent = {(path, row) for row, run in alone.items() for path in arrays if path not in run.results}
    rtol, atol = trial.within(np.dtype(np.float32), False)
    rows = Rows(alone, shapes, (INEXACT * rtol, INEXACT * atol))
    if clipped is not None:  # of a layer that is called at every step no call is missing for other reasons
        absent = {(path, row) for path, row in absent if path not in clipped or alone}
    return Tracing(trial, disturbed, in_batch_order(base, rows), calls, shapes, rows, absent)


def in_batch_order(run: Run, rows: Rows, base: TracedRun | None = None) -> TracedRun:
    """The run with the rows of what its layers read and returned in the batch's order; what it returns stays as it is.

    `base`: of a disturbed run, the undisturbed one: where it has the same rows it tells which arrays are not in order.
    """
    last, orders, results = run.rows, {}, dict(run.results)
    if base is not None and run.rows == base.rows:
        last = next(iter(base.orders.values()), last)
    for path, array in run.results.items():
        as_before = base is not None and run.rows == base.rows and path not in base.orders
        if path.startswith(RESULT) or as_before or not rows.ordered(path, run.rows):
            continue
        order = rows.order(path, array, run.sizes, run.rows, last) or last
        last = order
        if order != run.rows:
            orders[path] = order
            results[path] = placed(array, rows.shapes.axes[path], run.sizes, order, run.rows)
    return TracedRun(results, run.rows, run.sizes, orders=orders)


def _traced(
    trial: Trial, batch: Batch, manner: Manner, patches: Mapping[Key, Patch] | None = None
) -> tuple[Mapping[str, Array], list[LayerCall]]:
    whole = trial.model.trace(batch, manner, patches or {})
    results = sorted_back(flat(whole.results, trial.row_lists), trial.unsorted, trial.shapes)
    return results, list(whole.calls)


def _alone(trial: Trial) -> dict[int, Run]:
    """What every layer did with each row alone, cut to its length, where the model runs on that."""
    runs: dict[int, Run] = {}
    for row, result in trial.alone.items():
        if isinstance(result, str):
            continue
        batch = trimmed(trial.batch, row)
        try:
            arrays = every_array(*_traced(trial, batch, Manner()))
        except RunFailed:
            continue
        runs[row] = Run(arrays, (row,), sizes_of(batch))
    return runs
