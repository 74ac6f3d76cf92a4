"""HTML: one file that explains itself, asks no network and needs no server; and a fragment for notebooks.

The template is jinja2's (escapes by itself); what scripts and styles the page may run is pinned by their hashes.
"""

from __future__ import annotations

import json
from typing import Any

from rnninspect.core.finding import Finding
from rnninspect.report.glossary import word
from rnninspect.report.record import ReportRecord, TrackReport
from rnninspect.report.renderers import _comparison, _findings, _header, _page, _text, _verdicts, _words
from rnninspect.report.renderers._brief import numbers_that_matter, unrecorded_tracks
from rnninspect.report.renderers._card import next_step, why_clean
from rnninspect.report.renderers._rows import ORDERS, shown_rows
from rnninspect.report.renderers._templates import asset, clean_code, source, templates
from rnninspect.report.renderers.view import View

NAME = "html"
SUMMARY = (
    "one self-contained page: a map of the rows and steps of each track, the units of a row on a click, "
    "findings and fixes"
)

EXCERPT = 300_000  # numbers that a report should quote for this format: the units of several hundred rows
SCRIPTS = ("palette.js", "heatmap.js", "steps.js", "units.js", "page.js")
LINKED = 24  # rows of a finding that are linked; of more, the page's filter shows them all
STRIP = 48  # steps of a row that are shown as marks in a table's cell


def render(report: ReportRecord, view: View) -> str:
    """The whole page; `view` chooses rows, digits and ASCII marks, width and colour mean nothing here."""
    style, script = asset("page.css"), "\n".join(asset(name) for name in SCRIPTS)
    data, kept = _page.data(report, view)
    page = templates().get_template("page.html")
    policy = f"default-src 'none'; style-src {source(style)}; script-src {source(script)}; base-uri 'none'"
    policy += "; form-action 'none'; require-trusted-types-for 'script'"
    made = page.render(
        _words_of(report, view), policy=policy, style=style, script=script, data=_embedded(data), kept=kept
    )
    return made.rstrip() + "\n"


def fragment(report: ReportRecord) -> str:
    """A compact piece of HTML for a notebook's cell: the answer, a map of the rows' steps and the numbers that matter.

    It runs no script, and its colours follow the notebook's own.
    """
    view = View()
    numbers = "\n".join(line.plain for line in numbers_that_matter(report, view))
    template = templates().get_template("fragment.html")
    made = template.render(_words_of(report, view), style=asset("fragment.css"), numbers=numbers)
    return made.rstrip() + "\n"


def _embedded(data: dict[str, Any]) -> str:
    """JSON that ends no script element and opens none.

    >>> _embedded({"a": "</script><!--&"})
    '{"a":"\\\\u003c/script\\\\u003e\\\\u003c!--\\\\u0026"}'
    """
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _words_of(report: ReportRecord, view: View) -> dict[str, Any]:
    """All that the templates say, in the words of the terminal's table."""
    sign, _ = _verdicts.standing(report, view)
    return {
        "name": _header.source_name(report, view),
        "command": _text.clean(report.command, view.ascii),
        "version": _text.clean(report.tool.get("version", ""), view.ascii),
        "sign": sign,
        "verdict": _verdicts.verdict_line(report),
        "standing": _standing(report),
        "tally": _verdicts.tally(report),
        "cause": _finding(report, report.findings[0], view) if report.findings else None,
        "following": _text.clean(next_step(report), view.ascii),
        "why_clean": why_clean(report),
        "untold": [line.plain for line in unrecorded_tracks(report, view)],
        "questions": [(key, _text.clean(text, view.ascii)) for key, text in _verdicts.open_questions(report)],
        "facts": sorted(_header.entries(report, view), key=lambda fact: fact[0] in _header.OF_THE_FILE),
        "findings": [_finding(report, finding, view) for finding in report.findings],
        "tracks": [_track_table(report, track, view) for track in report.tracks],
        "compared": [line.plain.strip() for line in _comparison.comparison(report, view)][1:],
        "skipped": _findings.skipped(report),
        "marks": _text.marks(view.ascii),
        "batch": report.shape.get("batch", 0),
    }


def _standing(report: ReportRecord) -> str:
    """The worst severity found, `clean` or `unjudged`: the page's colours go by it."""
    worst = next((s for s in ("error", "warning", "note") if any(f.severity == s for f in report.findings)), "note")
    return worst if report.verdict == "findings" else report.verdict


def _finding(report: ReportRecord, finding: Finding, view: View) -> dict[str, Any]:
    track = _page.track_of(report, finding)
    rows = [row for row in dict.fromkeys(finding.rows) if 0 <= row < report.shape.get("batch", 0)]
    return {
        "sign": _text.severity(finding.severity, _text.marks(view.ascii))[0],
        "severity": finding.severity,
        "rule": finding.rule,
        "standing": ", ".join(_findings.standing(finding, view)),
        "message": finding.message,
        "details": _findings.details(finding, View(verbose=True)),
        "links": [(row, _page.anchor(track, row)) for row in rows[:LINKED]] if report.tracks else [],
        "more": max(0, len(rows) - LINKED),
        "why": _why(finding),
        "fix": clean_code(finding.fix),
    }


def _why(finding: Finding) -> str:
    """Why the mistake happens, as `explain` has it; what the name means where the finding is no rule's."""
    entry = None if finding.why else word(finding.rule)
    return finding.why if entry is None else entry.meaning


def _track_table(report: ReportRecord, track: TrackReport, view: View) -> dict[str, Any]:
    """One track's name and the rows that its table lists."""
    shown, total = shown_rows(report, view), report.shape.get("steps", 0)
    by_row = {row.row: row for row in track.rows}
    number = next(i for i, other in enumerate(report.tracks) if other is track)
    rows = []
    for row in (by_row[b] for b in shown if b in by_row):
        rows.append(
            {
                "row": row.row,
                "anchor": _page.anchor(number, row.row),
                "sign": _verdicts.sign(row, view)[0],
                "standing": _words.standing(row),
                "length": "" if row.length is None else row.length,
                "equals": _words.equals(row),
                "said": ", ".join(filter(None, [_words.judged(row), *_words.remarks(row, total)])),
                "strip": _page.strip(row, total, view) if total <= STRIP else "",
            }
        )
    hidden = [by_row[b] for b in by_row.keys() - set(shown)]
    rest = f"and {_words.counted(len(hidden), 'more row')}: {_words.tally(hidden)}" if hidden else ""
    return {
        "number": number,
        "compared": any(row.status is not None for row in track.rows),
        "name": _words.track_name(track.layer, track.direction),
        "order": ORDERS.get(track.order, ""),
        "rows": rows,
        "rest": rest,
        "strips": total <= STRIP,
    }
