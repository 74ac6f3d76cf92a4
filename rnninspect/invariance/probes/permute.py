"""Permute: the rows in another order give the same rows."""

from __future__ import annotations

from rnninspect.invariance.compare import Run
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
        listed = [(one, disturbed) for one in trial.compare(run, [*trial.judged, *_unmoved(trial, run)])]
        return outcome(self.probe, listed, "in another order")


def _unmoved(trial: Trial, run: Run) -> list[str]:
    """Results that differ with the random numbers, yet not with the order of the rows: a row may get another's."""
    sampled = [path for path in trial.followed if path not in trial.steady]
    return [one.path for one in trial.compare(run, sampled) if not one.rows]


PROBE = Permute()
