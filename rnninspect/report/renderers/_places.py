"""A finding for programs that show one line or one block of text: where it is, what it says, how to mend it."""

from __future__ import annotations

from rnninspect.core.finding import Finding
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import _findings, _text
from rnninspect.report.renderers.view import View

_WHOLE = View(verbose=False)


def source_path(report: ReportRecord) -> str | None:
    """The file that was read, as the report has it; None where it was no file."""
    path = report.source.get("path")
    return path if isinstance(path, str) and path not in ("", "-") else None


def describe(finding: Finding) -> str:
    """The message, what else it may be, and the fix; lines are kept, all else that could do harm is escaped."""
    lines = [_text.clean(finding.message)]
    lines += [f"{key}: {_text.clean(parts)}" for key, parts in _findings.details(finding, _WHOLE)]
    if finding.fix:
        lines += ["fix:", *(f"  {_text.clean(code)}" for code in finding.fix.expandtabs(4).splitlines())]
    return "\n".join(lines)
