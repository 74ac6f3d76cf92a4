"""The findings with their fixes, and what was not checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from rnninspect.core.finding import Finding
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import _text
from rnninspect.report.renderers._words import track_name
from rnninspect.report.renderers.view import View

LISTED = 8  # values of one piece of evidence


def findings(report: ReportRecord, view: View) -> list[Text]:
    """Each: severity, rule and certainty; the message; what decides between alternatives; the fix as code."""
    return [line for finding in report.findings for line in (Text(), *finding_lines(finding, view))]


def finding_lines(finding: Finding, view: View) -> list[Text]:
    """One finding with all that it says."""
    lines = heading(finding, view)
    lines += _text.hanging(Text("  "), Text(_text.clean(finding.message, view.ascii)), view.width)
    for key, parts in details(finding, view):
        lines += _text.hanging(Text(f"  {key}: ", _text.QUIET), Text(_text.clean(parts, view.ascii)), view.width)
    return lines + fix_lines(finding, view)


def fix_lines(finding: Finding, view: View) -> list[Text]:
    """The fix as code, under a line that says so; none where there is no fix."""
    if not finding.fix:
        return []
    code = [line for code in finding.fix.expandtabs(4).splitlines() for line in code_lines(code, 4, view)]
    return [Text("  fix:", _text.OK), *code]


def heading(finding: Finding, view: View) -> list[Text]:
    """Severity, name and certainty, where it is and how much it explains."""
    sign, style = _text.severity(finding.severity, _text.marks(view.ascii))
    title = Text.assemble(
        (f"{finding.severity}  ", style),
        (_text.clean(finding.rule, view.ascii), _text.TITLE),
        (f"  {', '.join(standing(finding, view))}", _text.QUIET),
    )
    return _text.hanging(Text(f"{sign} ", style), title, view.width)


def standing(finding: Finding, view: View) -> list[str]:
    """How sure it is, where it is and how much it explains."""
    parts: list[str] = [finding.certainty]
    place = track_name(finding.layer, finding.direction, view.ascii)
    parts += [place] if place else []
    if finding.explains:
        parts.append(f"explains {finding.explains} row{'s' if finding.explains > 1 else ''}")
    if finding.unexplained and finding.explains:
        parts.append(f"not {len(finding.unexplained)}")
    return parts


def details(finding: Finding, view: View) -> list[tuple[str, str]]:
    """The alternatives, what would decide and, where `view` is verbose, the whole evidence, as (name, words)."""
    entries = []
    if finding.alternatives:
        entries.append(("or", ", ".join(finding.alternatives)))
    for key, value in finding.evidence.items():
        if key == "would_decide":
            entries.append(("what would decide", _value(value, view)))
        elif view.verbose:
            entries.append((key.replace("_", " "), _value(value, view)))
    return [(_text.clean(key, view.ascii), text) for key, text in entries]


def _value(value: Any, view: View) -> str:
    """A piece of evidence in words; long lists are cut."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_value(v, view)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        listed = ", ".join(_value(v, view) for v in value[:LISTED])
        return listed + (f" and {len(value) - LISTED} more" if len(value) > LISTED else "")
    return "unknown" if value is None else str(value)


def code_lines(code: str, indent: int, view: View) -> list[Text]:
    """A line of code behind `indent` blanks and its own; one that does not fit goes on further to the right."""
    inner = code.lstrip(" ")
    lead = " " * min(indent + len(code) - len(inner), view.width // 2)
    text = Text(_text.clean(inner, view.ascii), _text.FACT)
    if len(lead) + text.cell_len <= view.width:
        return [Text.assemble(lead, text)]
    body, commented, comment = inner.partition("  # ")
    if commented:  # goes below, so that what is copied stays code
        shift = " " * (len(code) - len(inner))
        return [part for line in (body, f"# {comment}") for part in code_lines(shift + line, indent, view)]
    return _remark(lead, inner, view) if inner.startswith("# ") else _continued(lead, text, view)


def _remark(lead: str, code: str, view: View) -> list[Text]:
    """A comment that is too long, as several."""
    parts = _text.wrapped(Text(_text.clean(code[2:], view.ascii)), view.width - len(lead) - 2)
    return [Text(f"{lead}# {part.plain}", _text.FACT) for part in parts]


def _continued(lead: str, text: Text, view: View) -> list[Text]:
    """Code that is too long: its further lines are deeper than its first."""
    first, *rest = _text.wrapped(text, view.width - len(lead) - 4)
    return [Text.assemble(lead, first), *(Text.assemble(lead, "    ", line) for line in rest)]


def skipped(report: ReportRecord) -> dict[str, list[str]]:
    """The rules that were not checked, by the reason; as the report has them."""
    by_reason: dict[str, list[str]] = {}
    for rule in report.not_checked:
        by_reason.setdefault(rule.reason, []).append(rule.rule)
    return by_reason


def not_checked(report: ReportRecord, view: View) -> list[Text]:
    """The rules whose evidence is missing, by what is missing."""
    by_reason = skipped(report)
    if not by_reason:
        return []
    count = len(report.not_checked)
    lines = [Text(), Text(f"not checked: {count} rule{'s' if count > 1 else ''}", _text.QUIET)]
    for reason, rules in by_reason.items():
        lead = Text(f"  {_text.clean(reason, view.ascii)}: ", _text.QUIET)
        body = Text(_text.clean(", ".join(rules), view.ascii), _text.QUIET)
        if lead.cell_len + body.cell_len <= view.width:
            lines.append(Text.assemble(lead, body))
            continue
        lead.rstrip()
        lines += [*_text.wrapped(lead, view.width), *_text.hanging(Text("    "), body, view.width)]
    return lines
