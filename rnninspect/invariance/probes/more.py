"""More: further padded steps change nothing but the padding, and neither do fewer."""

from __future__ import annotations

from rnninspect.diagnosis.rule import Thread
from rnninspect.invariance.probe import Outcome, Probe, amount, not_made, outcome
from rnninspect.invariance.trial import Trial
from rnninspect.invariance.width import cut, widened


class More(Probe):
    name = "depends-on-padded-width"
    summary = "how far the batch is padded changes the results of real steps"
    why = (
        "The number of padded steps enters the result although their values do not: a mean over T, a softmax over "
        "masked scores of zero, a position counted from the end of the batch, a layer that runs on over padding that "
        "always holds zeros. The same row gives another result beside longer rows."
    )
    fix = (
        "mean = (outputs * mask[..., None]).sum(1) / lengths[:, None]  # not .mean(1), which divides by T\n"
        "scores = np.where(mask, scores, -np.inf)  # not scores * mask: exp(0) is 1\n"
        "last = outputs[np.arange(B), lengths - 1]  # counted from the row's own end"
    )
    place = 2
    probe = "more"
    holds = "more steps of padding, or fewer, change no real result"
    order = 20
    threads = (
        Thread(
            "https://github.com/fastai/fastai/pull/882",
            "A mean over the whole tensor, padding included, changes with the amount of padding.",
        ),
        Thread(
            "https://github.com/castorini/castor/issues/176",
            "Trained models give other results at other batch sizes, which pad rows further.",
        ),
    )

    def make(self, trial: Trial) -> Outcome:
        wider, narrower = widened(trial), cut(trial)
        if isinstance(wider, str):
            return outcome(self.probe, narrower) if narrower else not_made(self.probe, f"a wider batch fails: {wider}")
        return outcome(self.probe, [*wider, *narrower])

    def message(self, outcome: Outcome) -> str:
        return f"{{rows}}: more or fewer steps of padding change the real results, {amount(outcome)}"


PROBE = More()
