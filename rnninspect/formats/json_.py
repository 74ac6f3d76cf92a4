"""`.json`: nested lists, ragged lists, outputs and state in one list, or an object of named arrays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from rnninspect.core.regex import regex
from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats.base import NamedArrays, only_once, whole
from rnninspect.formats.nested import PADDED, from_nested, is_ragged, of_pair, row_steps

NAME = "json"
SUFFIXES = (".json",)
EXTRA: str | None = None
SUMMARY = "nested or ragged lists, an object of named arrays, or a list of objects, one per row"


_WHOLE = regex(rb'"(?:[^"\\]|\\.)*+"|-?\d++(?:\.\d++)?(?:[eE][-+]?\d++)?|true|false|null|NaN|-?Infinity')
_CUT = 40  # bytes of a token that the end of the head may cut


def sniff(head: bytes) -> bool:
    """Text that begins as a list or an object, and goes on as JSON does: what was printed seldom does."""
    return begins_as_json(head.lstrip(b"\xef\xbb\xbf \t\r\n"))


def begins_as_json(head: bytes) -> bool:
    """Whether one list or object begins here, none of its values without a comma, and nothing comes after it.

    >>> begins_as_json(b"[[1, 2], [3"), begins_as_json(b"[[1 2] [3 4]]"), begins_as_json(b"{'h': [1]}")
    (True, False, False)
    """
    if head[:1] not in (b"[", b"{"):
        return False
    at = depth = 0
    last = b""  # the sign before, or `v` behind a value
    while at < len(head):
        sign = head[at : at + 1]
        if sign in b" \t\r\n":
            at += 1
            continue
        if not depth and last:
            return False
        if sign in b"[{":
            depth += 1
        elif sign in b"]}":
            depth -= 1
        if sign in b"[{]},:":
            if (last == b"," and sign in b"]},") or (last == b"v" and sign in b"[{"):
                return False
            last, at = (b"v" if sign in b"]}" else sign), at + 1
            continue
        value = _WHOLE.match(head, at)
        if value is None or last == b"v":
            return (
                value is None
                and last != b"v"
                and (sign == b'"' or at > len(head) - _CUT)
                and sign in b'"-0123456789tfnNI'
            )
        last, at = b"v", value.end()
    return True


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """The arrays; UnreadableError where it is no JSON."""
    return from_text(_text(source, name), name)


def from_text(text: str, name: str) -> NamedArrays:
    """The arrays of one JSON text; UnreadableError on what is none, or holds none."""
    with shallow(name):
        try:
            data = of_pair(json.loads(text, object_pairs_hook=only_once(name)))
        except ValueError as error:
            raise UnreadableError(f"{name}: not JSON, or truncated ({error})") from None
        if not isinstance(data, (list, dict)):
            raise UnreadableError(f"{name}: a list or an object of arrays is needed, not {type(data).__name__}")
        notes = (f"rows of different lengths: {PADDED}",) if is_ragged(data) else ()
        return NamedArrays(from_nested(data, name), name, NAME, notes=notes, row_steps=row_steps(data))


@contextmanager
def shallow(name: str) -> Iterator[None]:
    """Around what walks nested lists and objects: UnreadableError where they nest deeper than Python can follow."""
    try:
        yield
    except RecursionError:
        raise UnreadableError(f"{name}: nested too deeply for arrays") from None


def _text(source: Path | BinaryIO, name: str) -> str:
    try:
        return whole(source, name).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError(f"{name}: not UTF-8 text") from None


def write(arrays: dict[str, Array], target: BinaryIO) -> None:
    """Write an object of nested lists; names keep their dots."""
    image: dict[str, Any] = {key: array.tolist() for key, array in arrays.items()}
    target.write((json.dumps(image) + "\n").encode())
