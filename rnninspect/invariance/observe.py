"""What is learned of a model by running it on its batch, on fewer rows, on fewer steps and on each row alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import UserError
from rnninspect.invariance.axes import Axes, learn
from rnninspect.invariance.batch import Batch
from rnninspect.invariance.compare import Run, Shapes, differences
from rnninspect.invariance.model import Manner, RunFailed
from rnninspect.invariance.nested import flat, lists_of
from rnninspect.invariance.precision import precision_of
from rnninspect.invariance.trial import Model, Trial, sizes_of, sorted_back


def observed(model: Model, batch: Batch, tolerance: tuple[float | None, float | None]) -> Trial:
    """Run the model on the batch, on fewer rows and on fewer steps, and learn what its results' axes are.

    Raises RunFailed where it does not run on the batch as it is.
    """
    base = model.run(batch)
    forget = getattr(model.live, "forget", None)
    if forget is not None and forget(batch.batch_size):
        base = model.run(batch)
    went = model.live.drawn
    if not flat(base):
        raise UserError(f"{model.live.name} returns no arrays, but {type(base).__name__}: there is nothing to compare")
    kept = fewer_rows(batch)
    try:
        fewer = model.run(batch.take(kept))
    except RunFailed:
        fewer = None
    row_lists = frozenset(lists_of(base, batch.batch_size) & lists_of(fewer, len(kept)))
    clipped, narrow, blind = _clipped(model, batch)
    first, second = flat(base, row_lists), None if fewer is None else flat(fewer, row_lists)
    third = None if clipped is None else flat(clipped, row_lists)
    sizes = [sizes_of(batch), sizes_of(batch.take(kept)), sizes_of(narrow)]
    data = next(one for one in batch.inputs if one.kind == "data")
    steps_first = data.row is not None and data.time is not None and data.time < data.row
    axes = learn(first, second, third, sizes, steps_first)
    if second is not None and any(one.merged for one in axes.values()):
        other = learn(first, second, third, sizes, not steps_first)
        runs = Run(first, tuple(range(batch.batch_size)), sizes[0]), Run(second, tuple(kept), sizes[1])
        axes = {path: _nearer(path, axes[path], other[path], *runs) for path in axes}
    left = batch.groups[0].side == "left"
    shapes = Shapes(axes, {}, left)
    order = _order(first, batch) if any(a.row_axes for a in axes.values()) else ""
    every = Run(sorted_back(first, order, shapes), tuple(range(batch.batch_size)), sizes[0], went)
    floats = precision_of(model.live, batch, first)
    trial = Trial(model, batch, every, shapes, frozenset(every.results), row_lists, tolerance, floats, {}, blind, order)
    trial = replace(trial, repeatable=trial.steady)
    alone = {b: _alone(trial, b) for b in range(batch.batch_size)}
    counts = counted(shapes, every, {b: run for b, run in alone.items() if isinstance(run, Run)}, batch)
    trial = replace(trial, shapes=Shapes(axes, counts, left), alone=alone)
    steady = frozenset(_alike(trial, seed=1))
    repeatable = steady if len(steady) == len(every.results) else frozenset(_alike(trial, seed=0))
    return replace(trial, steady=steady, repeatable=repeatable)


def _nearer(path: str, axes: Axes, other: Axes, base: Run, fewer: Run) -> Axes:
    """The axes under which fewer rows differ less from what they were: whether rows or steps are the outer ones."""
    gaps = [differences(base, fewer, Shapes({path: one}, {}), (0.0, 0.0), [path]) for one in (axes, other)]
    return other if all(gaps) and gaps[1][0].largest < gaps[0][0].largest else axes


def fewer_rows(batch: Batch) -> list[int]:
    """All rows but one, the longest kept; of a batch of one row, that row twice."""
    rows = list(range(batch.batch_size))
    if len(rows) == 1:
        return [0, 0]
    shortest = min(rows, key=lambda b: (batch.groups[0].lengths[b], -b))
    return [b for b in rows if b != shortest]


def _clipped(model: Model, batch: Batch) -> tuple[Any, Batch, str]:
    """The results on fewer steps, or on more where that fails; None where both do, and why."""
    reason = ""
    shorter = [max(1, width - max(1, width // 3)) for width in batch.widths]
    for widths in (shorter, [max(1, width - 1) for width in batch.widths], [width + 4 for width in batch.widths]):
        if widths == batch.widths:
            continue
        narrow = batch.resized(widths)
        if any(
            (group.lengths == 0).any() and not (g.lengths == 0).any()
            for group, g in zip(narrow.groups, batch.groups, strict=True)
        ):
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
        compared = trial.compare(other, [path], same_shapes=True, exact=True)
        if compared:  # what real steps hold: padding may be memory that nobody wrote to
            same += [path] if not compared[0].rows else []
        elif np.array_equal(array, there, equal_nan=array.dtype.kind == "f"):
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
