"""Which axes of the inputs are rows and steps: the first layout under which the model's results follow its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnninspect.core.arrays import is_array
from rnninspect.core.wording import argument
from rnninspect.errors import ModelFailedError, ShapeError, UserError
from rnninspect.invariance.batch import Batch, Input, Side
from rnninspect.invariance.model import OutOfTime, RunFailed
from rnninspect.invariance.observe import fewer_rows, observed
from rnninspect.invariance.padding_content import told_by_content
from rnninspect.invariance.ragged import are_items
from rnninspect.invariance.roles import understood
from rnninspect.invariance.statements import Sequences, turned
from rnninspect.invariance.trial import Model, Trial

LAYOUTS = 6  # that are tried at most


@dataclass(eq=False)
class _Search:
    """The best trial so far, and how well its layout agrees with what the model does (`fit`); why others failed."""

    model: Model
    tolerance: tuple[float | None, float | None]
    max_rows: int
    trial: Trial | None = None
    fit: tuple[bool, bool, int, bool, bool, bool] = (False, False, 0, False, False, False)
    failed: str = ""
    late: str = ""
    batch_size: int = 0

    @property
    def mixed(self) -> bool:
        """Whether rows do not keep to themselves under any layout, though the model runs and there is time."""
        return self.trial is not None and self.fit[:2] != (True, True) and not self.late

    def settled(self, batch: Batch) -> bool:
        """Try a layout of the batch; whether no other can be better, or there is no time for any."""
        batch = _fewer_rows(batch, self.max_rows)
        self.batch_size = batch.batch_size
        try:
            trial = observed(self.model, batch, self.tolerance)
            fit = (*_fit(trial), _as_read(trial.batch, getattr(self.model.live, "rows_axes", {})))
        except RunFailed as error:
            self.failed = self.failed or str(error)
            return False
        except OutOfTime as error:
            self.late = str(error)
            return True
        if self.trial is None or fit > self.fit:
            self.trial, self.fit = trial, fit
        return fit[:-1] == (True, True, len(batch.inputs), True, True)


def trial_of(
    model: Model,
    leaves: Sequence[Input],
    sequences: Sequence[Sequences],
    tolerance: tuple[float | None, float | None],
    max_rows: int,
    side: Side | None,
) -> Trial:
    """The first layout of the batch under which the model's results follow its rows.

    Raises UserError where it runs under none, or there is no time for one.
    """
    search = _Search(model, tolerance, max_rows)
    batches = (_layout(leaves, sequences, choice, side) for choice in range(2 * LAYOUTS))
    layouts = [batch for batch in batches if batch is not None]
    for batch in layouts:
        if search.settled(batch):
            break
    if search.trial is not None and search.mixed:
        for batch in _with_settings(layouts, search.trial):
            if search.mixed:
                search.settled(batch)
    if search.trial is None and search.late:
        runs = f"{model.passes} run{'' if model.passes == 1 else 's'} on {search.batch_size} rows"
        raise UserError(
            f"{model.live.name}: {search.late} after {runs}, before anything could be compared; allow it more time "
            f"({argument('seconds')}), give it fewer rows ({argument('max_rows')}) or fewer steps"
        )
    if search.trial is None:
        raise ModelFailedError(f"{model.live.name} does not run on this batch: {search.failed}")
    return search.trial


def _layout(leaves: Sequence[Input], sequences: Sequence[Sequences], choice: int, side: Side | None) -> Batch | None:
    """The batch under one of its layouts; of the second half of the choices masks are read as `[T, B]`."""
    if choice < LAYOUTS:
        return understood(leaves, sequences, choice, side)
    masks = turned(sequences)
    try:
        return understood(leaves, masks, choice - LAYOUTS, side) if masks else None
    except ShapeError:  # it is one batch-major mask then
        return None


def _with_settings(layouts: Sequence[Batch], best: Trial) -> Iterator[Batch]:
    """The batch with its lists left as they are whatever rows are taken, as settings of a model; then, where the model
    fails on fewer rows, with each array `[B]` in turn left so.
    """
    columns = [one for one in best.batch.inputs if one.kind == "other" and one.row is not None and one.array.ndim == 1]
    lists = {one.path for one in columns if _is_list(one)}
    choices = [lists] * bool(lists)
    choices += [{one.path} for one in columns] if columns and _needs_all_rows(best) else []
    for paths in choices:
        for batch in layouts:
            inputs = (replace(one, row=None) if one.path in paths else one for one in batch.inputs)
            yield replace(batch, inputs=tuple(inputs))


def _is_list(one: Input) -> bool:
    """Whether it stands for a list of texts, or is one of plain numbers."""
    numbers = isinstance(one.original, (list, tuple, range)) and not any(map(is_array, one.original))
    return numbers or are_items(one.path, one.array)


def _needs_all_rows(trial: Trial) -> bool:
    """Whether the model fails on fewer rows: something that was taken along with them is of no row."""
    try:
        trial.run(trial.batch.take(fewer_rows(trial.batch)))
    except RunFailed:
        return True
    except OutOfTime:
        return False
    return False


def _fit(trial: Trial) -> tuple[bool, bool, int, bool, bool]:
    """How well a layout agrees with what the model does: results follow the rows, rows keep to themselves, inputs have
    as many rows, the width can be changed, and what is taken for padding holds one value.
    """
    batch = trial.batch
    follows, rows = bool(trial.judged), sum(one.row is not None for one in batch.inputs)
    rest = list(range(1, batch.batch_size)) or [0]
    try:
        compared = trial.compare(trial.run(batch.take(rest), rest), trial.judged)
    except RunFailed:
        compared = []
    apart = bool(compared) and not any(one.rows for one in compared)
    return follows, apart, rows, not trial.blind, told_by_content(batch)


def _as_read(batch: Batch, rows_axes: Mapping[str, int]) -> bool:
    """Whether rows lie where the model's own layers take them from: it decides where what runs show does not."""
    axes = [(one.row, rows_axes[one.path]) for one in batch.inputs if one.kind == "data" and one.path in rows_axes]
    return bool(axes) and all(row == axis for row, axis in axes)


def _fewer_rows(batch: Batch, most: int) -> Batch:
    """At most so many rows: the shortest, the longest, and others between."""
    if most < 2:
        raise ShapeError(f"max_rows is {most}; two rows or more are needed")
    if batch.batch_size <= most:
        return batch
    order = np.argsort(batch.groups[0].lengths, kind="stable")
    picks = np.unique(np.linspace(0, batch.batch_size - 1, most).astype(int))
    return batch.take(sorted(order[picks].tolist()))
