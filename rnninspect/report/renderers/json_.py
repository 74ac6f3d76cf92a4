"""JSON: the report itself, schema 1."""

from __future__ import annotations

import json
from typing import Any

from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers.view import View

NAME = "json"
SUMMARY = "the whole report as one JSON object (schema 1), for programs and for `show`"


_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False).encode
_PLAIN = (str, int, float, bool, type(None))


def render(report: ReportRecord, view: View) -> str:
    """Strict JSON, a line for every row, the rest indented by two; the view changes nothing."""
    return _text({"schema": report.schema, **vars(report)}, "\n") + "\n"


def _text(value: Any, margin: str) -> str:
    """What holds objects is spread over lines; anything else has one: a row, an excerpt, a list of numbers."""
    if _is_record(value):
        value = vars(value)  # not a copy: a report of many rows is mostly these
    if not _holds_objects(value):
        return _encode(value)
    inner = margin + "  "
    if isinstance(value, dict):
        items = [f"{_encode(name)}: {_text(item, inner)}" for name, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(items)}{margin}}}"
    return f"[{inner}{f',{inner}'.join([_text(item, inner) for item in value])}{margin}]"


def _holds_objects(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and _is_object(value[0])
    return isinstance(value, dict) and any(
        _is_object(item) or _holds_objects(item) for item in value.values() if not isinstance(item, _PLAIN)
    )


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) or _is_record(value)


def _is_record(value: Any) -> bool:
    return hasattr(value, "__dataclass_fields__")
