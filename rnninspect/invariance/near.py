"""Rows cut to few steps: what long rows read of a step far away they forget again, below what rounding does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np

from rnninspect.invariance.batch import Batch, joined
from rnninspect.invariance.model import RunFailed
from rnninspect.invariance.observe import observed
from rnninspect.invariance.probe import Outcome
from rnninspect.invariance.trial import Trial

FAR, NEAR = 16, 8  # real steps of the shortest row: from FAR on there is another batch with NEAR of them
WIDER = 3  # times the steps of the shortest row: so wide is the batch at most
OTHERS = 6  # batches of other values, of which one shows what only chance hides
AT_ONCE = 0.01  # of a difference, that one step more leaves at most where it does not fade


def near(batch: Batch, steps: int = NEAR) -> Batch | None:
    """The batch with every row as much shorter, so that the shortest keeps so many steps; None where rows are short."""
    shortest = _shortest(batch)
    if shortest < FAR:
        return None
    shift = shortest - steps
    widths = [min(width - shift, WIDER * steps) for width in batch.widths]
    rows = []
    for row in range(batch.batch_size):
        lengths = [int(group.lengths[row]) - shift for group in batch.groups]
        one = batch.take([row]).resized([min(n, width) for n, width in zip(lengths, widths, strict=True)])
        rows.append(one.resized(widths))
    return joined(rows)


def _shortest(batch: Batch) -> int:
    return min(int(group.lengths.min()) for group in batch.groups)


def made_near(trial: Trial, make: Callable[[Trial], Outcome], made: Outcome) -> Outcome:
    """What a probe that held gives on rows cut to few steps, where it does not hold there; else as it was.

    What longer rows forget fades as they grow. Where it is gone at once, rows were cut below what the model needs: it
    is right for those that were given, and only told of shorter ones.
    """
    there = _nearby(trial) if made.held else None
    if there is None:
        return made
    try:
        again = make(there)
    except RunFailed:
        return made
    if again.held is not False:
        return made
    needed = _needed(trial, make, made, again)
    if needed:
        told = f"rows of fewer than {needed} steps would read padding ({made.probe}); there are none in this batch"
        return replace(made, remark="; ".join(filter(None, [made.remark, told])))
    before = f"{again.what}, " if again.what else ""
    cut_by = _shortest(trial.batch) - NEAR
    where = f"{before}with all rows cut by {cut_by} steps (longer rows forget it)"
    return replace(again, what=where, trial=there)


def _needed(trial: Trial, make: Callable[[Trial], Outcome], made: Outcome, again: Outcome) -> int:
    """The fewest steps of the shortest row at which the difference is gone at once; 0 where it fades, or where other
    rows of as many steps show it: what a maximum over unmasked padding gives away is a matter of chance.
    """
    differs, holds = NEAR, _shortest(trial.batch)
    largest, rest = again.largest, made.largest
    while holds - differs > 1:
        steps = (differs + holds) // 2
        batch = near(trial.batch, steps)
        assert batch is not None
        try:
            outcome = make(observed(trial.model, batch, trial.tolerance))
        except RunFailed:
            return 0
        if outcome.held is False:
            differs, largest = steps, outcome.largest
        else:
            holds, rest = steps, outcome.largest
    if rest >= AT_ONCE * largest or any(_differs(trial, make, batch) for batch in _others(trial.batch, holds)):
        return 0
    return holds


def _others(batch: Batch, steps: int) -> Iterator[Batch]:
    """Batches of rows cut so, of other values."""
    cut = near(batch, steps)
    for seed in range(OTHERS):
        if cut is not None:
            yield cut.with_other_rows(np.random.default_rng(seed), slice(0))


def _differs(trial: Trial, make: Callable[[Trial], Outcome], batch: Batch) -> bool:
    try:
        return make(observed(trial.model, batch, trial.tolerance)).held is False
    except RunFailed:
        return False


def _nearby(trial: Trial) -> Trial | None:
    """What is observed on rows cut to few steps, once for all probes; None where that cannot be."""
    if not trial.nearby:
        batch = near(trial.batch)
        there: Trial | None = None
        if batch is not None and batch.padded:
            with suppress(RunFailed):
                there = observed(trial.model, batch, trial.tolerance)
        trial.nearby.append(there)
    nearby: Trial | None = trial.nearby[0]
    return nearby
