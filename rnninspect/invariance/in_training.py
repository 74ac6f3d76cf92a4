"""Batch normalisation as in training: whether its statistics count the padding, which a run in evaluation hides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rnninspect.invariance.compare import Difference, Run
from rnninspect.invariance.model import Manner, RunFailed
from rnninspect.invariance.probe import Disturbed, Outcome, gathered, outcome
from rnninspect.invariance.trial import Trial

Listed = Iterable[Sequence[tuple[Difference, Disturbed]]]
_FIX = "y = torch.zeros_like(x)\ny[mask] = norm(x[mask])  # [N, F]: the batch statistics of only the real steps"
_AS_IT_IS = "as the model is now, in evaluation, they do not change"


def in_training(trial: Trial, made: Outcome, disturbances: Callable[[Trial, Manner, Run], Listed]) -> Outcome:
    """What a probe that held gives with batch normalisation as in training, where the model has such layers and the
    batch allows it; as it was where that holds too.

    A model that is in evaluation is right as it is: what its training counted is a warning then.
    """
    if not trial.model.live.norms:
        return made
    manner = Manner(norms=True)
    try:
        listed, late = gathered(disturbances(trial, manner, trial.run(trial.batch, manner=manner)))
    except RunFailed:
        return made
    trained = outcome(made.probe, listed, what="in training, where batch normalisation counts it", remark=late)
    if trained.held is not False:
        return made
    if trial.model.live.training:
        return replace(trained, fix=_FIX)
    return replace(trained, fix=_FIX, severity="warning", what=f"{trained.what}; {_AS_IT_IS}")
