"""JSON: the report itself, schema 1."""

from __future__ import annotations

from rnninspect.renderers.view import View
from rnninspect.report import Report

NAME = "json"
SUMMARY = "the whole report as one JSON object (schema 1), for programs and for `show`"


def render(report: Report, view: View) -> str:
    """Strict JSON, indented by two; the view changes nothing."""
    return report.to_json(indent=2) + "\n"
