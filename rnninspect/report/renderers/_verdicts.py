"""The verdicts: one line a row, and one for the whole."""

from __future__ import annotations

from collections import Counter

from rich.text import Text

from rnninspect.core.finding import SEVERITIES
from rnninspect.report.record import ReportRecord, Row, TrackReport
from rnninspect.report.renderers import _text, _words
from rnninspect.report.renderers.view import View

BETWEEN = "  "


def row_verdicts(track: TrackReport, rows: list[Row], total: int, view: View) -> list[Text]:
    """One line for each of `rows`, in columns, and how the track's other rows stand.

    Where the lines do not fit they are written more briefly; what does not fit even so goes on below.
    """
    parts = [[*_names(row), _words.judged(row)] for row in rows]
    widths = [max(len(names[i]) for names in parts) for i in range(4)] if parts else []
    lines: list[Text] = []
    for brief in (False, True):
        folded = [_line(row, names, widths, total, view, brief) for row, names in zip(rows, parts, strict=True)]
        lines = [line for row_lines in folded for line in row_lines]
        if len(lines) == len(rows):
            break
    hidden = {row.row for row in track.rows} - {row.row for row in rows}
    if hidden:
        rest = f"{_text.marks(view.ascii).more} and {_words.counted(len(hidden), 'more row')}: "
        rest += _words.tally(row for row in track.rows if row.row in hidden)
        lines += _text.hanging(Text("  "), Text(rest, _text.QUIET), view.width)
    return lines


def verdict(report: ReportRecord, view: View) -> list[Text]:
    """The verdict on the whole: what was found, and how many rows stand how."""
    sign, style = standing(report, view)
    body = Text.assemble((verdict_line(report), style), f"{BETWEEN} {tally(report)}")
    lines = _text.hanging(Text(f"{sign} ", style), body, view.width)
    for key, text in open_questions(report):
        lead = Text(f"  {key}: " if key else "  ", _text.QUIET)
        lines += _text.hanging(lead if key else Text("  "), Text(_text.clean(text, view.ascii)), view.width)
    return lines


def open_questions(report: ReportRecord) -> list[tuple[str, str]]:
    """What could not be tested, what would decide it, and what would follow, as (name, words)."""
    questions = [("not tested", report.untested), ("what would decide", report.would_decide)]
    questions += [("", _words.what_if(supposed)) for supposed in report.what_if]
    return [(key, text) for key, text in questions if text]


def because(report: ReportRecord) -> str:
    """The open questions in one line, for formats that have a line for them."""
    questions = "; ".join(f"{key}: {text}" if key else text for key, text in open_questions(report))
    return questions or tally(report)


def standing(report: ReportRecord, view: View) -> tuple[str, str]:
    """The mark and the style of the verdict on the whole."""
    mark = _text.marks(view.ascii)
    if report.verdict == "unjudged":
        return mark.nearest, _text.WARN
    if report.verdict == "clean":
        return mark.ok, _text.OK
    return _text.severity(next((s for s in SEVERITIES if _counts(report)[s]), "note"), mark)


def verdict_line(report: ReportRecord) -> str:
    """The verdict in words: `clean`, `clean, 1 note`, `could not judge` or `1 error, 2 notes`."""
    counts = _counts(report)
    verdict = {"clean": ["clean"], "unjudged": ["could not judge"], "findings": []}[report.verdict]
    return ", ".join([*verdict, *(_words.counted(counts[s], s) for s in SEVERITIES if counts[s])])


def tally(report: ReportRecord) -> str:
    """How many rows stand how: `8 rows in 2 tracks: 1 not as expected, 7 as expected`; of a check, how many probes."""
    if report.probes:
        standings = Counter(probe.standing for probe in report.probes)
        listed = [f"{count} {'differ' if standing == 'differs' else standing}" for standing, count in standings.items()]
        return f"{_words.counted(len(report.probes), 'probe')}: {', '.join(listed)}"
    rows = [row for track in report.tracks for row in track.rows]
    text = _words.counted(len(rows), "row")
    text += f" in {len(report.tracks)} tracks" if len(report.tracks) > 1 else ""
    return text + (f": {_words.tally(rows)}" if rows else "")


def _counts(report: ReportRecord) -> Counter[str]:
    return Counter(str(finding.severity) for finding in report.findings)


def sign(row: Row, view: View) -> tuple[str, str]:
    """The mark and the style of one row."""
    mark = _text.marks(view.ascii)
    return {
        "good": (mark.ok, _text.OK),
        "bad": (mark.wrong, _text.BAD),
        "silent": (mark.nearest, _text.FACT),
        "unknown": ("-", _text.QUIET),
    }[_words.standing(row)]


def _names(row: Row) -> list[str]:
    return [f"row {row.row}", "" if row.length is None else f"length {row.length}", _words.equals(row)]


def _line(row: Row, names: list[str], widths: list[int], total: int, view: View, brief: bool) -> list[Text]:
    """One row's line, its parts as wide as `widths`; what does not fit goes on below its name."""
    mark, style = sign(row, view)
    padded = [name.ljust(width) for name, width in zip(names, widths, strict=True) if width]
    line = Text.assemble((f"{mark} ", style), BETWEEN.join(padded[:-1]), BETWEEN, (padded[-1], style))
    bare = line.copy()
    bare.rstrip()
    if bare.cell_len > view.width:
        loose = Text.assemble(BETWEEN.join(name for name in names[:-1] if name), BETWEEN, (names[-1], style))
        lines = _text.hanging(Text(f"{mark} ", style), loose, view.width)
    else:
        lines = [line]
    between = f"{BETWEEN} "
    for remark in _words.remarks(row, total, view.verbose, brief):
        if lines[-1].cell_len + len(between) + len(remark) <= view.width:
            lines[-1].append(f"{between}{remark}", _text.QUIET)
        else:
            lines += _text.hanging(Text("    "), Text(remark, _text.QUIET), view.width)
        between = ", "
    for line in lines:
        line.rstrip()
    return lines
