"""Markdown as GitHub and GitLab read it: for a ticket, a pull request's comment or a job's summary."""

from __future__ import annotations

import re

from rnninspect.core.finding import Finding
from rnninspect.core.regex import regex
from rnninspect.report.record import ReportRecord, TrackReport
from rnninspect.report.renderers import _comparison, _findings, _header, _text, _verdicts, _words
from rnninspect.report.renderers._rows import shown_rows
from rnninspect.report.renderers.view import View

NAME = "markdown"
SUMMARY = "Markdown for tickets, comments and job summaries: verdict, findings with fixes, a table of rows"

_SPECIAL = regex(r"([\\`*_\[\]<>#|~&$@!]|:(?=\w))")
_LIST = regex(r"^([-+=]|\d+(?=[.)]))")  # what begins a list or underlines a heading


def render(report: ReportRecord, view: View) -> str:
    """Sections that stand on their own; `view` chooses rows and ASCII, a line is as long as it is."""
    name = _header.source_name(report, view)
    heading = f"## rnninspect {_escaped(report.command, view)} {_code(name) if name else ''}"
    sign, _ = _verdicts.standing(report, view)
    lines = [
        heading.rstrip(),
        "",
        f"**{_escaped(sign, view)} {_verdicts.verdict_line(report)}**: {_verdicts.tally(report)}",
    ]
    for key, text in _verdicts.open_questions(report):
        lines += ["", _escaped(f"{key}: {text}" if key else text, view)]
    for finding in report.findings:
        lines += ["", *_finding(finding, view)]
    lines += ["", *_table(["", ""], [[key, text] for key, text in _header.entries(report, view)], view)]
    rows = shown_rows(report, view)
    for track in report.tracks:
        lines += ["", *_track_section(track, rows, report, view)]
    compared = [line.plain.strip() for line in _comparison.comparison(report, view)]
    lines += ["", "### Against the reference", "", *_fenced("\n".join(compared[1:]))] if compared else []
    skipped = _findings.skipped(report)
    lines += ["", "### Not checked", ""] if skipped else []
    lines += [f"- {_escaped(reason, view)}: {', '.join(map(_code, rules))}" for reason, rules in skipped.items()]
    return "\n".join(lines) + "\n"


def _finding(finding: Finding, view: View) -> list[str]:
    sign, _ = _text.severity(finding.severity, _text.marks(view.ascii))
    standing = _escaped(", ".join(_findings.standing(finding, view)), view)
    lines = [f"### {_escaped(sign, view)} {finding.severity} {_code(finding.rule)}", "", f"*{standing}*", ""]
    lines.append(_escaped(finding.message, view))
    for key, text in _findings.details(finding, view):
        lines += ["", f"{_escaped(key, view)}: {_escaped(text, view)}"]
    return lines + (["", *_fenced(finding.fix.expandtabs(4))] if finding.fix else [])


def _track_section(track: TrackReport, shown: list[int], report: ReportRecord, view: View) -> list[str]:
    total, by_row = report.shape.get("steps", 0), {row.row: row for row in track.rows}
    cells = []
    for row in (by_row[b] for b in shown if b in by_row):
        sign, _ = _verdicts.sign(row, view)
        length = "" if row.length is None else str(row.length)
        remarks = ", ".join(filter(None, [_words.judged(row), *_words.remarks(row, total, view.verbose)]))
        cells.append([f"{sign} {row.row}", length, _words.equals(row), remarks])
    lines = [f"### {_escaped(_words.track_name(track.layer, track.direction), view).capitalize()}", ""]
    lines += _table(["row", "length", "final state", "verdict"], cells, view)
    hidden = [by_row[b] for b in by_row.keys() - set(shown)]
    rest = f"and {_words.counted(len(hidden), 'more row')}: {_words.tally(hidden)}"
    return lines + (["", rest] if hidden else [])


def _table(head: list[str], rows: list[list[str]], view: View) -> list[str]:
    body = ["| " + " | ".join(_escaped(cell, view) for cell in row) + " |" for row in rows]
    return [f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *body]


def _escaped(text: str, view: View) -> str:
    r"""Text that reads as itself: no markup, no HTML, no mention.

    >>> _escaped("1. a_b <b>|[c](d)", View())
    '1\\. a\\_b \\<b\\>\\|\\[c\\](d)'
    """
    safe = _SPECIAL.sub(r"\\\1", _text.clean(text, view.ascii))
    bullet = _LIST.match(safe)
    if bullet is None:
        return safe
    return f"{bullet[1]}\\{safe[bullet.end() :]}" if bullet[1].isdigit() else f"\\{safe}"


def _code(text: str) -> str:
    """A code span, whatever backticks the text holds.

    >>> _code("a`b"), _code("`")
    ('``a`b``', '`` ` ``')
    """
    safe = _text.clean(text)
    ticks = "`" * (_longest_run(safe) + 1)
    return f"{ticks} {safe} {ticks}" if not safe.strip() or "`" in (safe[0], safe[-1]) else f"{ticks}{safe}{ticks}"


def _fenced(code: str) -> list[str]:
    fence = "`" * max(3, _longest_run(code) + 1)
    return [fence, *(_text.clean(line) for line in code.splitlines()), fence]


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
