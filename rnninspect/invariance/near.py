"""Rows cut to few steps: what long rows read of a step far away they forget again, below what rounding does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from rnninspect.invariance.batch import Batch, joined
from rnninspect.invariance.model import RunFailed
from rnninspect.invariance.observe import observed
from rnninspect.invariance.probe import Outcome
from rnninspect.invariance.trial import Trial

FAR, NEAR = 16, 8  # real steps of the shortest row: from FAR on there is another batch with NEAR of them
WIDEST = 3 * NEAR


def near(batch: Batch) -> Batch | None:
    """The batch with every row as much shorter, so that the shortest keeps NEAR steps; None where rows are short."""
    shift = cut_by(batch)
    if shift < FAR - NEAR:
        return None
    widths = [min(width - shift, WIDEST) for width in batch.widths]
    rows = []
    for row in range(batch.batch_size):
        lengths = [int(group.lengths[row]) - shift for group in batch.groups]
        one = batch.take([row]).resized([min(n, width) for n, width in zip(lengths, widths, strict=True)])
        rows.append(one.resized(widths))
    return joined(rows)


def cut_by(batch: Batch) -> int:
    """How many steps are cut from every row."""
    return min(int(group.lengths.min()) for group in batch.groups) - NEAR


def made_near(trial: Trial, make: Callable[[Trial], Outcome], made: Outcome) -> Outcome:
    """What a probe that held gives on rows cut to few steps, where it does not hold there; else as it was."""
    there = _nearby(trial) if made.held else None
    if there is None:
        return made
    try:
        again = make(there)
    except RunFailed:
        return made
    if again.held is not False:
        return made
    before = f"{again.what}, " if again.what else ""
    where = f"{before}with all rows cut by {cut_by(trial.batch)} steps: in longer ones it is forgotten again"
    return replace(again, what=where, trial=there)


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
