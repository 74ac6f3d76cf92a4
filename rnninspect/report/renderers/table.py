"""Tables for people: the numbers, the step that each final state equals, the verdicts, the findings, the fixes."""

from __future__ import annotations

from rich.text import Text

from rnninspect.report.record import ReportRecord, Row, TrackReport
from rnninspect.report.renderers import _grid, _text
from rnninspect.report.renderers._brief import brief
from rnninspect.report.renderers._comparison import comparison
from rnninspect.report.renderers._header import header
from rnninspect.report.renderers._rows import heading, rows_with_findings, shown_rows, worst_first
from rnninspect.report.renderers._verdicts import row_verdicts, verdict
from rnninspect.report.renderers.view import View

NAME = "table"
SUMMARY = "for people: the answer and its fix first, then the rows that matter"

TABLES_OF_MANY = 6  # of a batch with more rows than are listed


def render(report: ReportRecord, view: View) -> str:
    """The same text whatever the environment says: only `view` decides on width, colour and ASCII."""
    return _text.drawn(table_lines(report, view), view)


def table_lines(report: ReportRecord, view: View) -> list[Text]:
    """Lines of at most `view.width` cells: the answer first, or the whole of it."""
    return _whole(report, view) if view.table == "full" else brief(report, view)


def _whole(report: ReportRecord, view: View) -> list[Text]:
    """All that the report says: what was looked at, each track, the verdict, each finding, what was not checked."""
    from rnninspect.report.renderers._findings import findings, not_checked

    rows = shown_rows(report, view)
    lines = header(report, view)
    for track in report.tracks:
        lines += _track_lines(report, track, rows, view)
    lines += comparison(report, view)
    return [*lines, Text(), *verdict(report, view), *findings(report, view), *not_checked(report, view)]


def _track_lines(report: ReportRecord, track: TrackReport, shown: list[int], view: View) -> list[Text]:
    by_row = {row.row: row for row in track.rows}
    rows = [by_row[b] for b in shown if b in by_row]
    lines = [Text()]
    if len(report.tracks) > 1 or track.direction != "forward" or track.order != "time":
        lines += [heading(track, view), Text()]
    total = report.shape.get("steps", 0)
    numbers = _grid.tables(track, rows, _candidates(report, rows, view), total, len(report.tracks), view)
    lines += [*numbers, Text()] if numbers else []
    return lines + row_verdicts(track, rows, total, view)


def _candidates(report: ReportRecord, rows: list[Row], view: View) -> list[Row]:
    """Those of `rows` whose numbers are worth showing, the worst first: of a large batch a few."""
    total = report.shape.get("batch", 0)
    if view.rows is not None:
        return rows
    rank = {row: i for i, row in enumerate(worst_first(report, total))}
    ranked = sorted(rows, key=lambda row: rank[row.row])
    if total <= view.max_rows:
        return ranked
    named = set(rows_with_findings(report))
    return ranked[: min(TABLES_OF_MANY, max(_grid.FEWEST, sum(row.row in named for row in ranked)))]
