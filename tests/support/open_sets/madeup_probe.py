"""A probe of no use: the very same batch."""

from typing import Any

from rnninspect.core.finding import Severity
from rnninspect.diagnosis.rule import Thread
from rnninspect.invariance.probe import Disturbed, Outcome, Probe, outcome
from rnninspect.invariance.trial import Trial


class MadeUp(Probe):
    name = "made-up-difference"
    severity: Severity = "error"
    summary = "the same batch gives other results"
    why = "Nobody knows."
    fix = "pass"
    place = 99
    probe = "madeup"
    holds = "the same batch gives the same results"
    threads = (Thread("https://github.com/a/b/issues/1", "Somebody met it in a batch of three rows."),)

    def make(self, trial: Trial) -> Outcome:
        """Runs the batch again."""
        disturbed = Disturbed(trial.batch, trial.base.rows, same_shapes=True, exact=True)
        run = trial.run(trial.batch)
        return outcome(self.probe, [(one, disturbed) for one in trial.compare(run, same_shapes=True, exact=True)])

    def shown_on(self) -> tuple[Any, tuple[Any, ...]]:
        """A model that makes no mistake: the lesson has nothing to show."""
        from rnninspect.invariance.torch_modules.example import example

        return example()

    def message(self, outcome: Outcome) -> str:
        """What the finding says."""
        return "{rows}: they differ"


PROBE = MadeUp()
