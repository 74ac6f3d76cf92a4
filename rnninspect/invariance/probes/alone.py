"""Alone: each row by itself gives the same row."""

from __future__ import annotations

import numpy as np

from rnninspect.invariance.compare import Run
from rnninspect.invariance.model import RunFailed
from rnninspect.invariance.probe import Disturbed, Outcome, not_made, outcome
from rnninspect.invariance.rows_mixed import RowsMixed
from rnninspect.invariance.trial import Trial


class Alone(RowsMixed):
    probe = "alone"
    holds = "each row by itself gives the same row"
    order = 40

    def make(self, trial: Trial) -> Outcome:
        count = trial.batch.batch_size
        if count < 2:
            return not_made(self.probe, "the batch has one row")
        paths = [path for path in trial.judged if len(trial.shapes.axes[path].row_axes) == 1]
        runs = {row: trial.wide(row) for row in range(count)}
        made = {row: run for row, run in runs.items() if isinstance(run, Run)}
        if not made:
            return self._among_others(trial, paths, next(run for run in runs.values() if isinstance(run, str)))
        listed = []
        for row, run in made.items():
            disturbed = Disturbed(trial.batch.take([row]), (row,))
            compared = trial.compare(run, paths)
            if any(one.rows for one in compared) and self._by_width(trial, row, paths):
                continue  # the longest row decides, by its length and not by what it holds: that is the width
            listed += [(one, disturbed) for one in compared]
        if len(made) < count:
            rest = self._among_others(trial, paths, "")
            if rest.held is False:
                return rest
        return outcome(self.probe, listed, "each by itself")

    @staticmethod
    def _by_width(trial: Trial, row: int, paths: list[str]) -> bool:
        """Whether the row beside the longest gives what it gave among all."""
        beside = trial.pair(row)
        if isinstance(beside, str) or beside.rows == (row,) or not trial.ordered:
            return False
        return not any(row in one.rows for one in trial.compare(beside, paths))

    def _among_others(self, trial: Trial, paths: list[str], failed: str) -> Outcome:
        """Each row beside others of other values, where it does not run by itself."""
        listed = []
        for row in range(trial.batch.batch_size):
            batch = trial.batch.with_other_rows(np.random.default_rng(row), row)
            try:
                run = trial.run(batch)
            except RunFailed as error:
                return not_made(self.probe, f"the model fails on a row by itself: {failed or error}")
            disturbed = Disturbed(batch, trial.base.rows, same_shapes=True)
            for one in trial.compare(run, paths, same_shapes=True):
                rows = tuple(b for b in one.rows if b == row)
                listed.append(
                    (type(one)(one.path, one.largest if rows else 0.0, one.scale, one.allowed, rows), disturbed)
                )
        return outcome(self.probe, listed, "beside rows of other values")


PROBE = Alone()
