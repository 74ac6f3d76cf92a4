"""More: further padded steps change nothing but the padding, and neither do fewer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from rnninspect.diagnosis.rule import Thread
from rnninspect.invariance.compare import Difference, Run
from rnninspect.invariance.in_training import in_training
from rnninspect.invariance.model import Manner
from rnninspect.invariance.near import made_near
from rnninspect.invariance.probe import Disturbed, Outcome, Probe, amount, gathered, not_made, outcome
from rnninspect.invariance.trial import Trial
from rnninspect.invariance.width import cut, widened, widened_within

_PRESUMED = (
    "more of the value that ends short steps changes results, and whether it is padding within the steps is not known: "
    "give how many words each step has as an input [B, T]"
)


class More(Probe):
    name = "depends-on-padded-width"
    summary = "the amount of padding changes the results of real steps"
    why = (
        "The number of padded steps affects the result, although their values do not: a mean over T, a softmax "
        "over scores multiplied by a mask, a position counted from the end of the time axis."
    )
    fix = (
        "mean = (outputs * mask[..., None]).sum(1) / lengths[:, None]\n"
        "scores = np.where(mask, scores, -np.inf)  # not scores * mask"
    )
    place = 2
    probe = "more"
    holds = "more or fewer padded steps change no real result"
    order = 20
    threads = (
        Thread(
            "https://github.com/fastai/fastai/pull/882",
            "A mean over the whole tensor, padding included, changes with the amount of padding.",
        ),
        Thread(
            "https://github.com/castorini/castor/issues/176",
            "Trained models give other results at other batch sizes, since rows get more padding.",
        ),
    )

    def make(self, trial: Trial) -> Outcome:
        return made_near(trial, self._made_on, self._made_on(trial))

    def _made_on(self, trial: Trial) -> Outcome:
        wider = widened(trial)
        first = [] if isinstance(wider, str) else [wider]
        listed, late = gathered(chain(first, cut(trial)))
        if isinstance(wider, str) and not listed:
            return not_made(self.probe, f"a wider batch fails: {wider}")
        made = outcome(self.probe, listed, remark=late)
        within = widened_within(trial) if made.held else []
        if any(one.rows for one, _ in within):
            return outcome(self.probe, within, what="padding within the steps")
        if made.held and not within and any(one.rows for one, _ in widened_within(trial, presumed=True)):
            return not_made(self.probe, _PRESUMED, doubtful=True)
        return in_training(trial, made, _widened) if made.held else made

    def shown_on(self) -> tuple[Any, tuple[Any, ...]]:
        from rnninspect.invariance.torch_modules.example import example

        return example(self.name)

    def message(self, outcome: Outcome) -> str:
        where = f" ({outcome.what})" if outcome.what else ""
        if outcome.disturbed is not None and not outcome.disturbed.exact:  # nor does a wider batch change anything
            return (
                f"{{rows}}: run alone and cut to their own lengths, they give different results{where}, "
                f"{amount(outcome)}"
            )
        return f"{{rows}}: more or fewer padded steps change the real results{where}, {amount(outcome)}"


def _widened(trial: Trial, manner: Manner, base: Run) -> Iterator[list[tuple[Difference, Disturbed]]]:
    """How the results of a wider batch differ from these, if it can be run."""
    wider = widened(trial, manner, base)
    if not isinstance(wider, str):
        yield wider


PROBE = More()
