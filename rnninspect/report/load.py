"""A saved report -> Report, so that `show` can render it again. Checks all that a renderer relies on.

The fields and their types are read off the dataclasses of `rnninspect.report.record`; a field that this version does
not know is left out (a schema only ever gains fields).
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, overload

from rnninspect.core.wording import argument
from rnninspect.errors import UnreadableError
from rnninspect.report.record import SCHEMA, Excerpt, Levels, ReportRecord, TrackReport
from rnninspect.report.report import Report, Reports

R = TypeVar("R", bound=ReportRecord)
Place = tuple[str | int, ...]


def load(report: str | os.PathLike[str] | Mapping[str, Any]) -> Report:
    """Load a Report from its JSON, as `--format json` or `to_dict()` gave it: a file, or the object itself.

    Raises UnreadableError where it is not a report of this schema.

    >>> from rnninspect import inspect
    >>> saved = inspect([[[0.1], [0.2]]], [[0.2]], lengths=[2]).to_dict()
    >>> load(saved).ok
    True
    """
    if isinstance(report, Mapping):
        return from_dict(dict(report), Report)
    path = os.fspath(report)
    try:
        with open(path, encoding="utf-8") as file:
            return from_dict(json.load(file), Report)
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise UnreadableError(f"{path}: not a JSON report ({error}); save one with report.to_json()") from None


def load_all(data: Any) -> Reports:
    """The reports whose `to_dict()` is `data`; UnreadableError where one of them is no report of this schema."""
    held = data.get("reports") if isinstance(data, dict) else None
    if not isinstance(held, list) or not held:
        raise UnreadableError("not several reports: no list 'reports' with a report in it")
    return Reports(from_dict(one, Report) for one in held)


@overload
def from_dict(data: Any) -> ReportRecord: ...
@overload
def from_dict(data: Any, kind: type[R]) -> R: ...
def from_dict(data: Any, kind: type[ReportRecord] = ReportRecord) -> ReportRecord:
    """The record whose `to_dict()` is `data`; `kind` may be a subclass of ReportRecord.

    Raises UnreadableError, one line that names the place and what is wrong with it: no report at all, another schema,
    a field that is missing or of another type, numbers whose counts do not fit each other.
    """
    if not isinstance(data, dict) or "schema" not in data:
        raise UnreadableError(
            f"not a report: no JSON object with a field 'schema'; save one with {argument('format', 'json')}"
        )
    if data["schema"] != SCHEMA or isinstance(data["schema"], bool):
        raise UnreadableError(
            f"the report has schema {_seen(data['schema'])}, this version reads schema {SCHEMA}: render it with the "
            "version of rnninspect that made it"
        )
    report: ReportRecord = _record(data, kind, ())
    _check(report)
    return report


def _record(data: Any, kind: Any, place: Place) -> Any:
    """One dataclass from one object; fields with a default may be missing."""
    if not isinstance(data, dict):
        raise _wrong(place, data, "an object")
    hints, required = _fields(kind)
    missing = [name for name in required if name not in data]
    if missing:
        raise UnreadableError(f"not a whole report: {_format_place(place)} lacks {', '.join(missing)}")
    return kind(**{name: _value(data[name], hint, (*place, name)) for name, hint in hints.items() if name in data})


@cache
def _fields(kind: Any) -> tuple[dict[str, Any], list[str]]:
    """The types of a dataclass' fields by name, and the fields that have no default."""
    hints, fields, none = get_type_hints(kind), dataclasses.fields(kind), dataclasses.MISSING
    required = [f.name for f in fields if f.default is none and f.default_factory is none]
    return {f.name: hints[f.name] for f in fields}, required


def _value(data: Any, hint: Any, place: Place) -> Any:
    """`data` as the type `hint` says."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if data is None and type(None) in inner:
            return None
        (hint,) = [h for h in inner if h is not type(None)]
        return _value(data, hint, place)
    if origin is Literal:
        if isinstance(data, str) and data in inner:
            return data
        raise _wrong(place, data, f"one of {', '.join(inner)}")
    if origin is list:
        if not isinstance(data, list):
            raise _wrong(place, data, "a list")
        if all(type(item) is float for item in data) and inner[0] == float | None and _strict(data):
            return data  # a line of numbers: most of a report, so it is not looked at one by one
        return [_value(item, inner[0], (*place, i)) for i, item in enumerate(data)]
    if origin is dict:
        if not isinstance(data, dict):
            raise _wrong(place, data, "an object")
        return {key: _value(item, inner[1], (*place, key)) for key, item in data.items()}
    if dataclasses.is_dataclass(hint):
        return _record(data, hint, place)
    return _plain(data, hint, place)


def _plain(data: Any, hint: Any, place: Place) -> Any:
    """A string or a number; anything that strict JSON can say where the type is Any."""
    number = isinstance(data, (int, float)) and not isinstance(data, bool)
    if (hint is Any or (hint is float and number)) and not _strict(data):
        raise _wrong(place, data, "finite numbers")
    if hint is float and number:
        return float(data)
    if hint is Any or (hint is int and isinstance(data, int) and number) or (hint is str and isinstance(data, str)):
        return data
    raise _wrong(place, data, {int: "a whole number", float: "a number", str: "a string"}[hint])


def _strict(data: Any) -> bool:
    """No NaN, no infinity, no integer beyond a float's range, at any depth."""
    if isinstance(data, dict):
        return all(_strict(item) for item in data.values())
    if isinstance(data, list):
        return all(_strict(item) for item in data)
    try:
        return not isinstance(data, (int, float)) or math.isfinite(data)
    except OverflowError:
        return False


def _wrong(place: Place, data: Any, needed: str) -> UnreadableError:
    return UnreadableError(f"not a report: {_format_place(place)} is {_seen(data)}, but must be {needed}")


def _format_place(place: Place) -> str:
    """`tracks[0].rows[1].steps`; keys that a file made up are shown as what they are."""
    if not place:
        return "it"
    parts = (f"[{part}]" if isinstance(part, int) else f".{ascii(part)[1:-1]}" for part in place)
    return "".join(parts).removeprefix(".")


def _seen(data: Any) -> str:
    """What was found, short enough for one line and safe to print."""
    shown = ascii(data)
    return shown if len(shown) <= 40 else f"{shown[:40]}..."


def _check(report: ReportRecord) -> None:
    """What the types alone do not say."""
    for name in ("batch", "steps"):
        if report.shape.get(name, -1) < 0:
            raise UnreadableError(f"not a whole report: shape lacks {name!r}, or it is negative")
    for t, track in enumerate(report.tracks):
        if [row.row for row in track.rows] != list(range(len(track.rows))) or len(track.rows) != report.shape["batch"]:
            raise UnreadableError(f"not a report: tracks[{t}].rows must be the batch's {report.shape['batch']} rows")
        for r, row in enumerate(track.rows):
            for name in ("real", "elsewhere"):
                pairs: list[list[int]] = getattr(row, name)
                if any(len(pair) != 2 for pair in pairs):
                    raise _wrong(("tracks", t, "rows", r, name), pairs, "pairs of whole numbers")
        if track.levels is not None and not _fits(track.levels, report.shape):
            raise UnreadableError(
                f"not a report: tracks[{t}].levels.rows must hold {report.shape['batch']} rows of "
                f"{report.shape['steps']} hexadecimal digits or !"
            )
        for e, excerpt in enumerate(track.excerpt):
            _check_excerpt(excerpt, track, f"tracks[{t}].excerpt[{e}]")


def _check_excerpt(excerpt: Excerpt, track: TrackReport, place: str) -> None:
    """Numbers are where `steps` and `units` say that they are."""
    units = len(excerpt.units)
    if not 0 <= excerpt.row < len(track.rows):
        raise UnreadableError(f"not a report: {place}.row is {excerpt.row}; rows 0 to {len(track.rows) - 1} are there")
    fits: list[tuple[str, Callable[[], bool], str]] = [
        ("steps", lambda: _rising(excerpt.steps), "rising steps from 0 on"),
        ("units", lambda: _rising(excerpt.units), "rising units from 0 on"),
        ("outputs", lambda: len(excerpt.outputs or []) == len(excerpt.steps), f"{len(excerpt.steps)} steps"),
        ("outputs", lambda: all(len(step) == units for step in excerpt.outputs or []), f"{units} units a step"),
        ("final", lambda: len(excerpt.final or []) == units, f"{units} units"),
        ("cell", lambda: len(excerpt.cell or []) <= (track.cell_units or 0), f"at most {track.cell_units or 0} units"),
    ]
    for name, holds, needed in fits:
        if getattr(excerpt, name) is not None and not holds():
            raise UnreadableError(f"not a report: {place}.{name} must hold {needed}")


def _fits(levels: Levels, shape: dict[str, int]) -> bool:
    """A character a step for every row, and none that says nothing."""
    whole = len(levels.rows) == shape["batch"] and all(len(row) == shape["steps"] for row in levels.rows)
    return whole and not set("".join(levels.rows)) - set("0123456789abcdef!")


def _rising(numbers: list[int]) -> bool:
    return all(a < b for a, b in zip([-1, *numbers], numbers, strict=False))
