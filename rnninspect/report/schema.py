"""The JSON Schema of the report, derived from the report's own types: the two cannot drift apart."""

from __future__ import annotations

import dataclasses
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from rnninspect.report.record import SCHEMA, ReportRecord

_PLAIN: dict[Any, dict[str, Any]] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    str: {"type": "string"},
    type(None): {"type": "null"},
    Any: {},
}


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `Report.to_dict()`. Fields may be added within a schema number."""
    definitions: dict[str, Any] = {}
    root = _record(ReportRecord, definitions)
    root["properties"]["schema"] = {"const": SCHEMA}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rnninspect report",
        **root,
        "$defs": definitions,
    }


def _record(record: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(record)
    names = [f.name for f in dataclasses.fields(record)]
    return {
        "type": "object",
        "description": (record.__doc__ or "").strip().splitlines()[0],
        "properties": {name: _of(hints[name], definitions) for name in names},
        "required": names,
    }


def _of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if dataclasses.is_dataclass(hint):
        name = getattr(hint, "__name__", str(hint))
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _record(hint, definitions)
        return {"$ref": f"#/$defs/{name}"}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_of(a, definitions) for a in arguments]}
    if origin is list:
        return {"type": "array", "items": _of(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(arguments[1], definitions)}
    return dict(_PLAIN[hint])
