"""Reach: another value at a row's first or last real step changes its results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnninspect.core.finding import Severity
from rnninspect.core.wording import argument
from rnninspect.diagnosis.rule import Thread
from rnninspect.invariance.batch import Batch
from rnninspect.invariance.compare import Difference, differences
from rnninspect.invariance.model import RunFailed
from rnninspect.invariance.near import near
from rnninspect.invariance.probe import Disturbed, Outcome, Probe, not_made
from rnninspect.invariance.trial import Trial

SIZES = (1.0, 6.0, 40.0, -40.0)  # of the other values, in spreads of the real ones
FEW = (1.0, 40.0)  # where it is only asked whether a step is read at all
INWARD = 3  # steps beside the first or last one, one of which is read where that one alone was left out
SHIFTS = range(1, 8)  # steps by which rows are cut, to see whether a stride passes the last one over
EXACT = (0.0, 0.0)


class Reach(Probe):
    name = "step-unread"
    severity: Severity = "warning"
    summary = "no result depends on the first, or on the last, real step of any row"
    why = (
        "An index one too small, lengths one too short, a slice that drops a step that is real: what stands there is "
        "never learned from. A model that drops it on purpose is right: leave the probe out for it."
    )
    fix = (
        "final = outputs[np.arange(B), lengths - 1]  # the last real step of n steps is n - 1; one direction only:\n"
        "# of a bidirectional layer take both final states that it returns, as h_n[-2] and h_n[-1] of torch"
    )
    place = 4
    probe = "reach"
    holds = "the first and the last real step of a row are read"
    order = 50
    threads = (
        Thread(
            "https://github.com/Haiyang-W/GiT/issues/11",
            "A model trained to predict the next token skips the last one: on purpose.",
        ),
    )

    def make(self, trial: Trial) -> Outcome:
        paths = [p for p in trial.judged if trial.base.results[p].dtype.kind == "f"]
        if not paths:
            return not_made(self.probe, "no result holds fractions, so that small changes could be seen")
        if not _of_two_steps(trial.batch):
            return not_made(self.probe, "no row has two real steps")
        unread = [last for last in (False, True) if not _read(trial, trial.batch, paths, last)]
        unread = [last for last in unread if not _read_near(trial, paths, last)]
        unread = [last for last in unread if not (last and (_ends_early(trial, paths) or _strides(trial, paths)))]
        if not unread:
            return Outcome(self.probe, True, compared=len(paths))
        unread = [last for last in unread if _read_beside(trial, paths, last)]
        if not unread:
            return not_made(self.probe, "steps beside the first or the last one are not read either: it looks less far")
        which = " and ".join("last" if last else "first" for last in unread)
        rows = tuple(_of_two_steps(trial.batch))
        batch = trial.batch.with_step(np.random.default_rng(0), 1.0, unread[0])
        one = Difference(paths[0], 0.0, 0.0, 0.0, rows)
        return Outcome(self.probe, False, "", (one,), disturbed=Disturbed(batch, rows), what=which)

    def shown_on(self) -> tuple[Any, tuple[Any, ...]]:
        from rnninspect.invariance.torch_modules.example import example

        return example(self.name)

    def message(self, outcome: Outcome) -> str:
        return (
            f"{{rows}}: no other value at the {outcome.what} real step changes a result; where the model is not to "
            f"read it, leave the probe out: {argument('skip', 'reach')}"
        )


def _read(
    trial: Trial, batch: Batch, paths: list[str], last: bool, sizes: Sequence[float] = SIZES, failed: bool = True
) -> bool:
    """Whether any value at that step changes a result of a row of two steps or more, whose first is not its last;
    `failed`: the answer where the model fails on the batch.
    """
    several = set(_of_two_steps(batch))
    try:
        base = trial.base if batch is trial.batch else trial.run(batch)
        for number, size in enumerate(sizes):
            run = trial.run(batch.with_step(np.random.default_rng(number), size, last))
            if any(one.rows and several & set(one.rows) for one in differences(base, run, trial.shapes, EXACT, paths)):
                return True
    except (RunFailed, KeyError):
        return failed  # it cannot be said that it is not
    return False


def _read_near(trial: Trial, paths: list[str], last: bool) -> bool:
    """Whether rows cut to few steps have that step read: then longer ones have forgotten it again."""
    batch = near(trial.batch)
    return batch is not None and _read(trial, batch, paths, last)


def _read_beside(trial: Trial, paths: list[str], last: bool) -> bool:
    """Whether a step beside that one is read in every row: where none is, that one alone was not left out.

    A few convolutions, say, look at the last steps alone, at however many there are of each row.
    """
    batches = [batch for batch in (trial.batch, near(trial.batch)) if batch is not None]
    return any(_read_in_all(trial, batch, paths, last) for batch in batches)


def _read_in_all(trial: Trial, batch: Batch, paths: list[str], last: bool) -> bool:
    """Whether other values at one of the steps inward of it change a result, of every row that has one."""
    rows = set(_of_two_steps(batch))
    read: set[int] = set()
    try:
        base = trial.base if batch is trial.batch else trial.run(batch)
        for inward in range(1, INWARD + 1):
            for number, size in enumerate(FEW):
                run = trial.run(batch.with_step(np.random.default_rng(number), size, last, inward))
                listed = differences(base, run, trial.shapes, EXACT, paths)
                read |= {row for one in listed for row in one.rows}
            if rows and rows <= read:
                return True
    except RunFailed:
        return True  # it cannot be said that it is not
    return False


def _of_two_steps(batch: Batch) -> list[int]:
    """The rows of two real steps or more: the first step of another is its last."""
    return [int(row) for row in np.flatnonzero(batch.groups[0].lengths > 1)]


def _ends_early(trial: Trial, paths: list[str]) -> bool:
    """Whether a result has fewer steps than a row: a model that is given all but the last step returns one less."""
    lengths = trial.batch.groups[0].lengths
    return any(
        trial.shapes.counts.get((path, number, row), 0) < lengths[row]
        for path in paths
        for number, _ in enumerate(trial.shapes.axes[path].step_axes)
        for row in range(trial.batch.batch_size)
        if not isinstance(trial.alone.get(row), str)
    )


def _strides(trial: Trial, paths: list[str]) -> bool:
    """Whether rows that are a few steps shorter have their last step read, and those shorter by one more have not: then
    a stride passed it over. Where both have, rows are cut at some length.
    """
    shortest = int(trial.batch.groups[0].lengths.min())
    shifts = [shift for shift in SHIFTS if shift < shortest - 1]
    read = (_read(trial, trial.batch.shortened(shift), paths, True, FEW, failed=False) for shift in shifts)
    return any(read) and not next(read, False)


PROBE = Reach()
