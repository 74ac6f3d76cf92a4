"""JSON: the report itself, schema 1."""

from __future__ import annotations

import json
from typing import Any

from rnninspect.renderers.view import View
from rnninspect.report import Report

NAME = "json"
SUMMARY = "the whole report as one JSON object (schema 1), for programs and for `show`"


def render(report: Report, view: View) -> str:
    """Strict JSON, a line for every row, the rest indented by two; the view changes nothing."""
    return _text(report.to_dict(), "\n") + "\n"


def _text(value: Any, margin: str) -> str:
    """What holds objects is spread over lines; anything else has one: a row, an excerpt, a list of numbers."""
    if not _holds_objects(value):
        return json.dumps(value, ensure_ascii=True, allow_nan=False)
    inner = margin + "  "
    if isinstance(value, dict):
        items = [f"{json.dumps(name)}: {_text(item, inner)}" for name, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(items)}{margin}}}"
    return f"[{inner}{f',{inner}'.join([_text(item, inner) for item in value])}{margin}]"


def _holds_objects(value: Any) -> bool:
    if isinstance(value, dict):
        return any(isinstance(item, dict) or _holds_objects(item) for item in value.values())
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)
