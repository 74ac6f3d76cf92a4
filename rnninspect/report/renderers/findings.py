"""The verdict, the rows that are off, and the findings with their fixes: for test failures, logs and messages."""

from __future__ import annotations

from rich.text import Text

from rnninspect.report.record import ReportRecord, TrackReport
from rnninspect.report.renderers import _words
from rnninspect.report.renderers._findings import findings
from rnninspect.report.renderers._header import header
from rnninspect.report.renderers._verdicts import row_verdicts, verdict
from rnninspect.report.renderers.view import View

NAME = "findings"
SUMMARY = "the verdict, the rows that are wrong, and the findings with their fixes: for test failures and logs"


def render(report: ReportRecord, view: View) -> str:
    """Plain lines of at most `view.width` cells; of each track at most `view.max_rows` rows that are off."""
    lines = header(report, view)[:2] if report.source else []  # which dump, which layer
    lines += verdict(report, view)
    for track in report.tracks:
        lines += _off(track, len(report.tracks) > 1, report.shape.get("steps", 0), view)
    lines += findings(report, view)
    return "\n".join(line.plain.rstrip() for line in lines) + "\n"


def _off(track: TrackReport, named: bool, steps: int, view: View) -> list[Text]:
    """The verdicts on the rows that are off, under the track's name where there are several."""
    mismatched = [row for row in track.rows if _words.standing(row) == "bad"][: view.max_rows]
    if not mismatched:
        return []
    title = [Text(f"layer {track.layer} {track.direction}")] if named else []
    return title + row_verdicts(track, mismatched, steps, view)
