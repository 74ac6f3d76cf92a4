"""NDJSON: one sequence per line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

from rnninspect.errors import UnreadableError
from rnninspect.formats.base import NamedArrays, only_once
from rnninspect.formats.json_ import _text, begins_as_json, shallow
from rnninspect.formats.nested import PADDED, from_nested, is_ragged, row_steps

NAME = "ndjson"
SUFFIXES = (".ndjson", ".jsonl")
EXTRA: str | None = None
SUMMARY = "one sequence per line, as a list of steps or an object of named arrays"


def sniff(head: bytes) -> bool:
    """Two lines or more, of which the first is a whole list or object, and the others begin as one."""
    first, newline, rest = head.lstrip(b"\xef\xbb\xbf").partition(b"\n")
    if not newline or not rest.strip():
        return False
    try:
        is_whole = isinstance(json.loads(first), (list, dict))
    except (ValueError, RecursionError):
        return False
    return is_whole and all(begins_as_json(line.strip()) for line in rest.split(b"\n") if line.strip())


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """All lines as one batch, padded, with their lengths; UnreadableError names every bad line."""
    with shallow(name):
        return _batch(_text(source, name).splitlines(), name)


def _batch(lines: list[str], name: str) -> NamedArrays:
    rows: list[Any] = []
    numbers: list[int] = []
    bad: list[int] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=only_once(f"{name}: line {number}"))
        except ValueError:
            bad.append(number)
            continue
        rows.append(row)
        numbers.append(number)
    if _are_samples(rows) and not bad:
        return NamedArrays(from_nested(rows, name), name, NAME, notes=(f"{len(rows)} lines: one row each",))
    rows = [row.get("inputs", row.get("sequence")) if isinstance(row, dict) else row for row in rows]
    bad = sorted([*bad, *(number for number, row in zip(numbers, rows, strict=True) if not isinstance(row, list))])
    if bad:
        shown = ", ".join(map(str, bad[:20]))
        raise UnreadableError(f"{name}: line {shown}: a list of steps is needed (or an object with 'inputs')")
    notes = (f"{len(rows)} lines: {PADDED}",) if is_ragged(rows) else ()
    return NamedArrays(from_nested(rows, name), name, NAME, notes=notes, row_steps=row_steps(rows))


def _are_samples(rows: list[Any]) -> bool:
    """Whether every line is an object that holds more lists than the inputs alone: outputs and states of one row."""
    names = {name for row in rows if isinstance(row, dict) for name, value in row.items() if isinstance(value, list)}
    return all(isinstance(row, dict) for row in rows) and bool(names - {"inputs", "sequence"})
