"""View: how a report is to be looked at. It changes what is shown, never what was found."""

from __future__ import annotations

import re
from collections.abc import Collection

from rnninspect.core.frozen import frozen
from rnninspect.errors import UnknownNameError, UserError

# `3`, `"0,2-5,60-"` (both ends belong to a range; an open one runs to the end), or any collection of whole numbers
Selection = int | str | Collection[int]

NARROWEST = 40  # one column of numbers, its step and its mark
TABLES = ("brief", "full")
MOST_DIGITS = 17  # a float64 has no more


@frozen
class View:
    """`width`: columns of the terminal. `color`: escape codes may be used; marks carry the meaning without them.

    `ascii`: ASCII characters only. `rows`, `steps`: what to show, None for what matters. `precision`: digits behind
    the point, 0 to 17. `max_rows`: of more rows than that, those with findings are shown first. `verbose`: also
    tolerances, distances and the whole evidence. `table`: `brief`, the answer and the rows that matter, or `full`, all
    that the report says. `why`: also in the brief table, every rule that was not checked with its reason.
    """

    width: int = 80
    color: bool = False
    ascii: bool = False
    rows: Selection | None = None
    steps: Selection | None = None
    precision: int = 4
    max_rows: int = 20
    verbose: bool = False
    table: str = "brief"
    why: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.precision <= MOST_DIGITS:
            raise UserError(f"precision is 0 to {MOST_DIGITS} digits behind the point, got {self.precision}")
        if self.table not in TABLES:
            raise UnknownNameError("table", self.table, TABLES)
        object.__setattr__(self, "width", max(self.width, NARROWEST))

    @property
    def digits(self) -> int:
        """`precision`, or what a column of numbers has room for on a narrow terminal."""
        return min(self.precision, self.width - 31)


def chosen(selection: Selection | None, total: int, what: str) -> list[int] | None:
    """The selected of `range(total)`, in order, each once; None where nothing was selected.

    Raises UserError on words that are no selection, and names every number out of range.

    >>> chosen("0,2-3", 5, "rows"), chosen("2:4", 5, "rows"), chosen("3-", 5, "rows"), chosen(4, 5, "rows")
    ([0, 2, 3], [2, 3], [3, 4], [4])
    """
    if selection is None:
        return None
    spans = _spans(selection, total, what)
    outside = sorted({n for span in spans for n in (span[0], span[-1]) if not 0 <= n < total})
    if outside:
        has = f"{what} 0 to {total - 1}" if total else f"no {what}"
        raise UserError(f"{what} {', '.join(map(str, outside))} not in the report: it has {has}")
    return sorted({n for span in spans for n in span})


def _spans(selection: Selection, total: int, what: str) -> list[range]:
    """Non-empty ranges; not yet checked against `total`."""
    if isinstance(selection, int):
        return [range(selection, selection + 1)]
    if not isinstance(selection, str):
        return [range(n, n + 1) for n in selection]
    spans = []
    for part in selection.split(","):
        span = re.fullmatch(r"\s*(\d{1,15})\s*(?:([-:])\s*(\d{1,15})?)?\s*", part, re.ASCII)
        if span is None:
            raise UserError(f"{what} {selection!r} is not a selection: write numbers and ranges, as in 0,2-5,60-")
        first = int(span[1])
        before = span[2] == ":"  # as in Python, the end is not one of them
        last = first if span[2] is None else int(span[3]) - before if span[3] else max(total - 1, first)
        if last < first:
            raise UserError(f"{what} {part.strip()!r} runs backwards: write the smaller number first")
        spans.append(range(first, last + 1))
    return spans
