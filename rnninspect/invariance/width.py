"""Whether the width of the batch matters: more steps of padding, and rows cut to their own length."""

from __future__ import annotations

from collections.abc import Iterator

from rnninspect.invariance.compare import Difference, Run
from rnninspect.invariance.model import Manner, RunFailed
from rnninspect.invariance.observe import trimmed
from rnninspect.invariance.probe import Disturbed
from rnninspect.invariance.trial import Trial
from rnninspect.invariance.words import with_more_words, with_presumed_words

MORE = 3  # steps of padding that are added


def widened(
    trial: Trial, manner: Manner | None = None, base: Run | None = None
) -> list[tuple[Difference, Disturbed]] | str:
    """How the results of a wider batch differ from `base`, by default the trial's, or why it cannot be run."""
    if trial.batch.bare:
        return "the sequences are given without padding"
    wide = trial.batch.resized([width + MORE for width in trial.batch.widths])
    disturbed = Disturbed(wide, trial.base.rows, manner or Manner(), exact=True)
    try:
        run = trial.run(wide, manner=disturbed.manner)
    except RunFailed as error:
        return str(error)
    compared = trial.compare(run, base=base, exact=True)
    return [(one, disturbed) for one in compared if not _tells_width(trial, one.path, base or trial.base, run)]


def widened_within(trial: Trial, presumed: bool = False) -> list[tuple[Difference, Disturbed]]:
    """How the results differ with more padding within the steps, where the model runs on it; it is known, or
    `presumed` by the values alone."""
    wide = with_more_words(with_presumed_words(trial.batch) if presumed else trial.batch, MORE)
    if wide is None:
        return []
    disturbed = Disturbed(wide, trial.base.rows, exact=True)
    try:
        run = trial.run(wide)
    except RunFailed:
        return []
    return [(one, disturbed) for one in trial.compare(run, exact=True)]


def _tells_width(trial: Trial, path: str, base: Run, run: Run) -> bool:
    """Whether a result without rows is a count, or the very width: it may be meant to say how wide the batch is."""
    here, there = base.results[path], run.results[path]
    if trial.shapes.axes[path].row_axes or here.shape != there.shape:
        return False
    changed = here != there
    widths = (here[changed] == base.sizes.widths[0]) & (there[changed] == run.sizes.widths[0])
    return here.dtype.kind in "iub" or bool(changed.any() and widths.all())


def cut(trial: Trial) -> Iterator[list[tuple[Difference, Disturbed]]]:
    """How the results of each row cut to its own length differ; of rows that being alone leaves as they are."""
    if not trial.ordered:
        return
    for row, run in trial.alone.items():
        shorter = any(0 < group.lengths[row] < group.steps for group in trial.batch.groups)
        if isinstance(run, Run) and shorter and _same_alone(trial, row):
            disturbed = Disturbed(trimmed(trial.batch, row), (row,))
            yield [(one, disturbed) for one in trial.compare(run, trial.followed)]


def _same_alone(trial: Trial, row: int) -> bool:
    return any(
        not isinstance(run, str) and not any(row in d.rows for d in trial.compare(run, trial.followed))
        for run in (trial.wide(row), trial.pair(row))
    )


def width_matters(trial: Trial) -> bool | None:
    """Whether more padding, or less of it, changes a real result; None where neither could be tried."""
    wider = widened(trial)
    listed = [*([] if isinstance(wider, str) else wider), *(pair for pairs in cut(trial) for pair in pairs)]
    return any(one.rows for one, _ in listed) if listed else None
