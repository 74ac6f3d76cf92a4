"""Reach: another value at a row's first or last real step changes its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnninspect.core.finding import Severity
from rnninspect.core.trace import Ints
from rnninspect.core.wording import argument
from rnninspect.diagnosis.rule import Thread
from rnninspect.invariance.batch import Batch
from rnninspect.invariance.compare import Difference, Run, differences
from rnninspect.invariance.model import RunFailed
from rnninspect.invariance.near import near
from rnninspect.invariance.probe import Disturbed, Outcome, Probe, not_made
from rnninspect.invariance.trial import Trial

SIZES = (1.0, 6.0, 40.0, -40.0)  # of the other values, in spreads of the real ones
FEW = (1.0, 40.0)  # where it is only asked whether a step is read at all
INWARD = 3  # steps beside the first or last one, one of which is read where that one alone was left out
SHIFTS = range(1, 8)  # steps by which rows are cut, to see whether a stride passes the last one over
SHARES = range(2, 9)  # by which lengths are divided for a layer behind strides, or pooling
EXACT = (0.0, 0.0)
_WHOLE = "n = lengths  # not lengths // {share}: of all steps that the layer is given; only a stride makes them fewer"


@dataclass(frozen=True, eq=False)
class Ends:
    """How many steps at the end of each row no result depends on (`unread`), of rows of these `lengths`."""

    lengths: Ints
    unread: dict[int, int]

    @property
    def share(self) -> int:
        """The whole number by which the lengths of all rows were divided before the steps were counted; 0 for none.

        One number of steps for all rows, as of a model that reads the first ones alone, or a span of each row as its
        inputs say, tells of none.
        """
        rows = {int(self.lengths[row]): int(self.lengths[row]) - unread for row, unread in self.unread.items()}
        if len(rows) < 3 or len(set(rows.values())) < 3:
            return 0
        shares = (k for k in SHARES if all(read in (n // k, -(-n // k)) for n, read in rows.items()))
        return next(shares, 0)

    @property
    def counts(self) -> str:
        return ", ".join(str(unread) for unread in self.unread.values())

    def __str__(self) -> str:
        return f"{self.counts} steps at the end of rows {', '.join(map(str, self.unread))} are not read"


class Reach(Probe):
    name = "step-unread"
    severity: Severity = "warning"
    summary = "no result depends on the first, or on the last, real step of any row"
    why = (
        "An index or a length is one too small, or a slice drops a real step, so nothing is learned from that step. "
        "For a model that drops it on purpose, skip the probe."
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
            "A model trained to predict the next token skips the last one on purpose.",
        ),
    )

    def make(self, trial: Trial) -> Outcome:
        paths = [p for p in trial.followed if trial.base.results[p].dtype.kind == "f"]
        if not paths:
            return not_made(self.probe, "no result is a float, so small changes cannot be seen")
        if not _of_two_steps(trial.batch):
            return not_made(self.probe, "no row has two real steps")
        unread = [last for last in (False, True) if not _read(trial, trial.batch, paths, last)]
        unread = [last for last in unread if not _read_near(trial, paths, last)]
        unread = [last for last in unread if not (last and (_ends_early(trial, paths) or _strides(trial, paths)))]
        if not unread:
            return Outcome(self.probe, True, compared=len(paths))
        alone = [last for last in unread if _read_beside(trial, paths, last)]
        ends = Ends(trial.batch.groups[0].lengths, {}) if alone or True not in unread else _ends(trial, paths)
        if not alone and not ends.share:
            reason = "steps beside the first or the last one are not read either: it looks less far"
            return not_made(self.probe, f"{ends}: it looks less far, or ends too early" if ends.unread else reason)
        unread = alone or [True]
        which = " and ".join("last" if last else "first" for last in unread)
        rows = tuple(_of_two_steps(trial.batch))
        batch = trial.batch.with_step(np.random.default_rng(0), 1.0, unread[0])
        one = Difference(paths[0], 0.0, 0.0, 0.0, rows)
        fix = _WHOLE.format(share=ends.share) if ends.share else ""
        reason = (
            f"{ends.counts} steps at their end are not read, but lengths // {ends.share} alone" if ends.share else ""
        )
        return Outcome(self.probe, False, reason, (one,), disturbed=Disturbed(batch, rows), what=which, fix=fix)

    def shown_on(self) -> tuple[Any, tuple[Any, ...]]:
        from rnninspect.invariance.torch_modules.example import example

        return example(self.name)

    def message(self, outcome: Outcome) -> str:
        them = "them" if outcome.reason else "it"
        return (
            f"{{rows}}: "
            f"{outcome.reason or f'no other value at the {outcome.what} real step changes a result'}; if the "
            f"model should not read {them}, skip the probe: {argument('skip', 'reach')}"
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
            read |= _rows_read(trial, batch, base, paths, last, inward)
            if rows and rows <= read:
                return True
    except RunFailed:
        return True  # it cannot be said that it is not
    return False


def _rows_read(trial: Trial, batch: Batch, base: Run, paths: list[str], last: bool, inward: int | Ints) -> set[int]:
    """The rows of which other values so many steps inward change a result."""
    read: set[int] = set()
    for number, size in enumerate(FEW):
        run = trial.run(batch.with_step(np.random.default_rng(number), size, last, inward))
        read |= {row for one in differences(base, run, trial.shapes, EXACT, paths) for row in one.rows}
    return read


def _ends(trial: Trial, paths: list[str]) -> Ends:
    """How many steps at the end of each row are not read, where its first one is: found by halves, all rows at once."""
    batch = trial.batch
    lengths, rows = batch.groups[0].lengths, _of_two_steps(batch)
    unread, read = np.zeros_like(lengths), np.maximum(lengths - 1, 0)
    try:
        if not set(rows) <= _rows_read(trial, batch, trial.base, paths, True, read):
            return Ends(lengths, {})
        while (read - unread > 1).any():
            middle = (read + unread) // 2
            there = np.isin(np.arange(len(lengths)), [*_rows_read(trial, batch, trial.base, paths, True, middle)])
            unread, read = np.where(there, unread, middle), np.where(there, middle, read)
        if not set(rows).isdisjoint(_rows_reading_ends(trial, paths, read)):
            return Ends(lengths, {})  # strides read some of them
    except RunFailed:
        return Ends(lengths, {})
    return Ends(lengths, {row: int(read[row]) for row in rows})


def _rows_reading_ends(trial: Trial, paths: list[str], ends: Ints) -> set[int]:
    """The rows of which other values at so many steps `[B]` at their end, and in the padding, change a result."""
    first = trial.batch.groups[0]
    kept = np.cumsum(first.real, 1) <= (first.lengths - ends)[:, None]
    cut = replace(trial.batch, groups=(replace(first, real=first.real & kept), *trial.batch.groups[1:]))
    read: set[int] = set()
    for number, size in enumerate(FEW):
        run = trial.run(cut.with_noise(np.random.default_rng(number), size))
        read |= {row for one in differences(trial.base, run, trial.shapes, EXACT, paths) for row in one.rows}
    return read


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
