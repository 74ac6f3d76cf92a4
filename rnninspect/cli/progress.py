"""Bars on stderr while something takes its time: over many dumps, and over the bytes of a large one.

They are shown on a terminal only, leave no trace there, and are imported from rich when they are.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rnninspect.core.finding import SEVERITIES
from rnninspect.core.tiles import watched
from rnninspect.core.trace import Array

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from rnninspect.api.parallel.results_file import Tally

LARGE = 256 << 20  # bytes of an array whose reading may take a while


@contextmanager
def over_dumps(total: int, done: int, quiet: bool) -> Iterator[Callable[[Tally], None]]:
    """A bar over many dumps, with rate, time left and findings so far; what it gives is to be called after each."""
    if total - done < 2 or not _is_wanted(quiet):
        yield lambda tally: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    with _bar(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[findings]}"),
    ) as bar:
        shown = bar.add_task("", total=total, completed=done, rate="", findings="")

        def advance(tally: Tally) -> None:
            rate = (tally.dumps - done) / max(bar.tasks[0].elapsed or 0.0, 1e-3)
            bar.update(shown, completed=tally.dumps, rate=f"{rate:.1f}/s", findings=_count_findings(tally))

        yield advance


def _count_findings(tally: Tally) -> str:
    """In how many dumps which severity was found so far."""
    dumps_by_severity = {
        severity: sum(n for _, found_severity, n in tally.by_rule() if found_severity == severity)
        for severity in SEVERITIES
    }
    return ", ".join(f"{n} with {severity}s" for severity, n in dumps_by_severity.items() if n)


@contextmanager
def over_bytes(arrays: Iterable[Array], quiet: bool) -> Iterator[None]:
    """A bar over the passes that are made within the block over the largest of these arrays, where it is large."""
    total = max((array.nbytes for array in arrays), default=0)
    if total < LARGE or not _is_wanted(quiet):
        yield
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with _bar(*columns, TimeRemainingColumn()) as bar:
        passes = Passes(bar, total)
        with watched(passes.advance):
            yield


@contextmanager
def over_runs(quiet: bool) -> Iterator[Callable[[int], None]]:
    """A count of a model's runs, on a terminal; what it gives is to be called with how many there were."""
    if not _is_wanted(quiet):
        yield lambda count: None
        return
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    with _bar(SpinnerColumn(), TextColumn("{task.completed} runs of the model"), TimeElapsedColumn()) as bar:
        shown = bar.add_task("", total=None)
        yield lambda count: bar.update(shown, completed=count)


class Passes:
    """Counts the bytes that are read; what goes beyond `total` belongs to the next pass, and to a task of its own."""

    def __init__(self, bar: Progress, total: int) -> None:
        self.bar, self.total, self.count = bar, total, 0
        self.shown, self.last = bar.add_task("reading", total=total), 0.0

    def advance(self, size: int) -> None:
        """So many more bytes were read: a bar that is full begins anew, as the next pass."""
        before, self.count = self.count, self.count + size
        done = max(0, self.count - 1) // self.total  # passes; one that is full is not yet the next
        if done > max(0, before - 1) // self.total:
            self.bar.remove_task(self.shown)
            self.shown = self.bar.add_task(f"pass {1 + done}", total=self.total)
        now = time.monotonic()
        if now - self.last > 0.1:
            self.last = now
            self.bar.update(self.shown, completed=self.count - done * self.total)


def _is_wanted(quiet: bool) -> bool:
    return not quiet and sys.stderr is not None and sys.stderr.isatty()


def _bar(*columns: ProgressColumn) -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(*columns, console=Console(stderr=True), transient=True)
