"""GitHub Actions: a workflow annotation a finding, and one plain line with the verdict.

Escapes as GitHub's own toolkit does (actions/toolkit, packages/core/src/command.ts).
"""

from __future__ import annotations

from rnninspect.core.finding import Finding
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import _header, _places, _text, _verdicts, _words
from rnninspect.report.renderers.view import View

NAME = "github"
SUMMARY = "workflow annotations for GitHub Actions: ::error, ::warning and ::notice lines"

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render(report: ReportRecord, view: View) -> str:
    """A line a finding, then the verdict; the view changes nothing."""
    lines = [_annotation(report, finding) for finding in report.findings]
    if report.verdict == "unjudged":
        lines.append(f"::warning title=rnninspect::could not judge: {_data(_text.clean(_verdicts.because(report)))}")
    name = _header.source_name(report, View())
    return "\n".join(
        [*lines, f"rnninspect: {_verdicts.verdict_line(report)}, {_verdicts.tally(report)}  {name}".rstrip(), ""]
    )


def _annotation(report: ReportRecord, finding: Finding) -> str:
    title = " ".join(filter(None, [finding.rule, _words.track_name(finding.layer, finding.direction)]))
    properties = {"file": _places.source_path(report), "title": f"{title} ({finding.certainty})"}
    attributes = ",".join(f"{key}={_property(value)}" for key, value in properties.items() if value is not None)
    return f"::{_COMMANDS[finding.severity]} {attributes}::{_data(_places.describe(finding))}"


def _data(text: str) -> str:
    """What stands behind the second `::`.

    >>> _data("100%\\n::error::")
    '100%25%0A::error::'
    """
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A property's value, which ends at a comma or colon.

    >>> _property("a:b,c")
    'a%3Ab%2Cc'
    """
    return _data(_text.clean(text)).replace(":", "%3A").replace(",", "%2C")
