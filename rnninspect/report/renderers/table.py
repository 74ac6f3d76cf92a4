"""Tables for people: the numbers, the step that each final state equals, the verdicts, the findings, the fixes."""

from __future__ import annotations

from io import StringIO

from rich.console import Console, Group
from rich.text import Text

from rnninspect.report.record import ReportRecord, Row, TrackReport
from rnninspect.report.renderers import _grid, _text, _words
from rnninspect.report.renderers._comparison import comparison
from rnninspect.report.renderers._findings import findings, not_checked
from rnninspect.report.renderers._header import header
from rnninspect.report.renderers._verdicts import row_verdicts, verdict
from rnninspect.report.renderers.view import View, chosen

NAME = "table"
SUMMARY = "tables for people: steps down, units across, a verdict a row, the findings and their fixes"

TABLES_OF_MANY = 6  # of a batch with more rows than are listed
ORDERS = {"reversed": "steps in the order read, T-1 first", "within": "steps reversed within each length"}


def render(report: ReportRecord, view: View) -> str:
    """The same text whatever the environment says: only `view` decides on width, colour and ASCII."""
    out = StringIO()
    console = Console(
        file=out,
        width=view.width,
        force_terminal=view.color,
        color_system="standard" if view.color else None,
        legacy_windows=False,
        _environ={},
    )
    console.print(renderable(report, view))
    return out.getvalue()


def renderable(report: ReportRecord, view: View) -> Group:
    """Lines of at most `view.width` cells, for a Console of that width."""
    rows = shown_rows(report, view)
    lines = header(report, view)
    for track in report.tracks:
        lines += _track_lines(report, track, rows, view)
    lines += comparison(report, view)
    lines += [Text(), *verdict(report, view), *findings(report, view), *not_checked(report, view)]
    return Group(*lines)


def shown_rows(report: ReportRecord, view: View) -> list[int]:
    """The chosen rows; else all, or where those are too many, the ones with findings and then the first."""
    total = report.shape.get("batch", 0)
    asked = chosen(view.rows, total, "rows")
    if asked is not None:
        return asked
    return list(range(total)) if total <= view.max_rows else _worst_first(report, total)[: view.max_rows]


def _worst_first(report: ReportRecord, total: int) -> list[int]:
    """All rows: those with findings (the worst finding's first), those that are off, the others."""
    return list(dict.fromkeys(row for row in (*_rows_with_findings(report), *range(total)) if 0 <= row < total))


def _rows_with_findings(report: ReportRecord) -> list[int]:
    """The rows that findings name or whose final state is off."""
    named = [row for finding in report.findings for row in sorted({*finding.rows, *finding.unexplained})]
    return named + [row.row for track in report.tracks for row in track.rows if _words.standing(row) == "bad"]


def _track_lines(report: ReportRecord, track: TrackReport, shown: list[int], view: View) -> list[Text]:
    by_row = {row.row: row for row in track.rows}
    rows = [by_row[b] for b in shown if b in by_row]
    lines = [Text()]
    if len(report.tracks) > 1 or track.direction != "forward" or track.order != "time":
        lines += [_heading(track, view), Text()]
    total = report.shape.get("steps", 0)
    numbers = _grid.tables(track, rows, _candidates(report, rows, view), total, len(report.tracks), view)
    lines += [*numbers, Text()] if numbers else []
    return lines + row_verdicts(track, rows, total, view)


def _candidates(report: ReportRecord, rows: list[Row], view: View) -> list[Row]:
    """Those of `rows` whose numbers are worth showing, the worst first: of a large batch a few."""
    total = report.shape.get("batch", 0)
    if view.rows is not None:
        return rows
    rank = {row: i for i, row in enumerate(_worst_first(report, total))}
    ranked = sorted(rows, key=lambda row: rank[row.row])
    if total <= view.max_rows:
        return ranked
    named = set(_rows_with_findings(report))
    return ranked[: min(TABLES_OF_MANY, max(_grid.FEWEST, sum(row.row in named for row in ranked)))]


def _heading(track: TrackReport, view: View) -> Text:
    """`layer 0 backward`, and a rule to the right edge."""
    title = Text.assemble((f"layer {track.layer} {_text.clean(track.direction, view.ascii)}", _text.TITLE))
    if track.order in ORDERS:
        title.append(f"  {ORDERS[track.order]}", _text.QUIET)
    title.truncate(view.width)
    room = view.width - title.cell_len - 1
    return title.append(" " + _text.marks(view.ascii).rule * room, _text.QUIET) if room > 0 else title
