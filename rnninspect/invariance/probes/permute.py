"""Permute: the rows in another order give the same rows."""

from __future__ import annotations

from rnninspect.invariance.probe import Disturbed, Outcome, not_made, outcome
from rnninspect.invariance.rows_mixed import RowsMixed
from rnninspect.invariance.trial import Trial


class Permute(RowsMixed):
    probe = "permute"
    holds = "rows in another order give the same rows"
    order = 30

    def make(self, trial: Trial) -> Outcome:
        if trial.batch.batch_size < 2:
            return not_made(self.probe, "the batch has one row")
        reordered = trial.reordered()
        if isinstance(reordered, str):
            return not_made(self.probe, f"the model fails on rows in another order: {reordered}")
        run, rows = reordered
        disturbed = Disturbed(trial.batch.take(rows), rows)
        listed = [(one, disturbed) for one in trial.compare(run, trial.judged)]
        return outcome(self.probe, listed, "in another order")


PROBE = Permute()
