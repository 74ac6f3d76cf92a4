"""Alone: each row by itself gives the same row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnninspect.invariance.compare import Difference
from rnninspect.invariance.model import OutOfTime, RunFailed
from rnninspect.invariance.probe import Disturbed, Outcome, gathered, not_made, outcome
from rnninspect.invariance.rows_mixed import RowsMixed
from rnninspect.invariance.trial import Trial

_OF_EACH = (
    "y = x / x.norm(dim=-1, keepdim=True)  # of each row's own numbers: no norm, softmax, mean or maximum over dim=0,\n"
    "# which is the batch; the order of the rows changes nothing, so that nothing was sorted"
)
Pairs = list[tuple[Difference, Disturbed]]


class Alone(RowsMixed):
    probe = "alone"
    holds = "each row by itself gives the same row"
    order = 40

    def make(self, trial: Trial) -> Outcome:
        count = trial.batch.batch_size
        if count < 2:
            return not_made(self.probe, "the batch has one row")
        paths = [path for path in trial.followed if len(trial.shapes.axes[path].row_axes) == 1]
        failed: list[str] = []
        by_width: Pairs = []
        listed, late = gathered(self._by_itself(trial, paths, failed, by_width))
        if len(failed) == count:
            return self._among_others(trial, paths, failed[0])
        made = outcome(self.probe, listed, "each by itself", late)
        sampled = [path for path in paths if path not in trial.steady]
        if sampled and made.held is not False and not late:  # by themselves rows are given other random numbers
            beside = self._among_others(trial, sampled, "")
            made = beside if beside.held is False or not trial.judged else made
        if made.held is False and trial.ordered:
            made = replace(made, fix=_OF_EACH)
        if by_width and made.held is not False:
            made = replace(outcome(self.probe, by_width, "without the longest row beside them", late), of_width=True)
        if failed and not late:
            try:
                rest = self._among_others(trial, paths, "")
            except OutOfTime as error:
                if made.held is not False:
                    raise
                return replace(made, remark=f"not all was compared, {error}")
            if rest.held is False:
                return rest
        return made

    def _by_itself(self, trial: Trial, paths: list[str], failed: list[str], by_width: Pairs) -> Iterator[Pairs]:
        """How each row differs by itself; the reasons of those that do not run so are put into `failed`, and the
        differences that the longest row makes, by its length and not by what it holds, into `by_width`.
        """
        for row in range(trial.batch.batch_size):
            run = trial.wide(row)
            if isinstance(run, str):
                failed.append(run)
                continue
            disturbed = Disturbed(trial.batch.take([row]), (row,))
            compared = trial.compare(run, paths)
            if any(one.rows for one in compared) and self._by_width(trial, row, paths):
                by_width += [(one, disturbed) for one in compared]
                continue
            yield [(one, disturbed) for one in compared]

    @staticmethod
    def _by_width(trial: Trial, row: int, paths: list[str]) -> bool:
        """Whether the row beside the longest gives what it gave among all."""
        beside = trial.pair(row)
        if isinstance(beside, str) or beside.rows == (row,) or not trial.ordered:
            return False
        return not any(row in one.rows for one in trial.compare(beside, paths))

    def _among_others(self, trial: Trial, paths: list[str], failed: str) -> Outcome:
        """Each row beside others of other values, where it does not run by itself."""
        try:
            listed, late = gathered(self._beside_others(trial, paths))
        except RunFailed as error:
            return not_made(self.probe, f"the model fails on a row by itself: {failed or error}")
        return outcome(self.probe, listed, "beside rows of other values", late)

    @staticmethod
    def _beside_others(trial: Trial, paths: list[str]) -> Iterator[Pairs]:
        """How each row differs as the other rows hold other values."""
        for row in range(trial.batch.batch_size):
            batch = trial.batch.with_other_rows(np.random.default_rng(row), row)
            run = trial.run(batch)
            disturbed = Disturbed(batch, trial.base.rows, same_shapes=True, alike=(row,))
            pairs = []
            for one in trial.compare(run, paths, same_shapes=True):
                rows = tuple(b for b in one.rows if b == row)
                pairs.append((replace(one, largest=one.largest if rows else 0.0, rows=rows), disturbed))
            yield pairs


PROBE = Alone()
