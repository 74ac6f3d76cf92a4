"""A format of a report of its own: the verdict and the rules that were found, a line each."""

from __future__ import annotations

from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers.view import View

NAME = "madeup"
SUMMARY = "a made-up format of a report, to show that one file is enough"


def render(report: ReportRecord, view: View) -> str:
    """One line for the verdict, one a finding."""
    return "\n".join([f"madeup verdict {report.verdict}", *(finding.rule for finding in report.findings)]) + "\n"
