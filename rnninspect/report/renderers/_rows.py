"""Which rows of a report are shown, in which order, and under which heading."""

from __future__ import annotations

from rich.text import Text

from rnninspect.report.record import ReportRecord, TrackReport
from rnninspect.report.renderers import _text, _words
from rnninspect.report.renderers.view import View, chosen

ORDERS = {"reversed": "steps in the order read, T-1 first", "within": "steps reversed within each length"}


def shown_rows(report: ReportRecord, view: View) -> list[int]:
    """The chosen rows; else all, or where those are too many, the ones with findings and then the first."""
    total = report.shape.get("batch", 0)
    asked = chosen(view.rows, total, "rows")
    if asked is not None:
        return asked
    return list(range(total)) if total <= view.max_rows else worst_first(report, total)[: view.max_rows]


def worst_first(report: ReportRecord, total: int) -> list[int]:
    """All rows: those with findings (the worst finding's first), those that are off, the others."""
    return list(dict.fromkeys(row for row in (*rows_with_findings(report), *range(total)) if 0 <= row < total))


def rows_with_findings(report: ReportRecord) -> list[int]:
    """The rows that findings name or whose final state is off."""
    named = [row for finding in report.findings for row in sorted({*finding.rows, *finding.unexplained})]
    return named + [row.row for track in report.tracks for row in track.rows if _words.standing(row) == "bad"]


def heading(track: TrackReport, view: View) -> Text:
    """`layer 0 backward`, and a rule to the right edge."""
    title = Text.assemble((f"layer {track.layer} {_text.clean(track.direction, view.ascii)}", _text.TITLE))
    if track.order in ORDERS:
        title.append(f"  {ORDERS[track.order]}", _text.QUIET)
    title.truncate(view.width)
    room = view.width - title.cell_len - 1
    return title.append(" " + _text.marks(view.ascii).rule * room, _text.QUIET) if room > 0 else title
