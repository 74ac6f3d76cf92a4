"""`.json`: nested lists, ragged lists, or an object of named arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats.base import NamedArrays
from rnninspect.formats.nested import from_nested, is_ragged

NAME = "json"
SUFFIXES = (".json",)
EXTRA: str | None = None
SUMMARY = "nested or ragged lists, or an object of named arrays"


def sniff(head: bytes) -> bool:
    """Text that begins as a list or an object."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{")


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """The arrays; UnreadableError where it is no JSON."""
    return from_text(_text(source, name), name)


def from_text(text: str, name: str) -> NamedArrays:
    """The arrays of one JSON text."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise UnreadableError(f"{name}: not JSON, or truncated ({error})") from None
    except RecursionError:
        raise UnreadableError(f"{name}: nested too deeply for arrays") from None
    if not isinstance(data, (list, dict)):
        raise UnreadableError(f"{name}: a list or an object of arrays is needed, not {type(data).__name__}")
    notes = ("rows of different lengths: lengths derived, padded with zeros",) if is_ragged(data) else ()
    return NamedArrays(from_nested(data, name), name, NAME, notes=notes)


def _text(source: Path | BinaryIO, name: str) -> str:
    raw = source.read_bytes() if isinstance(source, Path) else source.read()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError(f"{name}: not UTF-8 text") from None


def write(arrays: dict[str, Array], target: BinaryIO) -> None:
    """Writes an object of nested lists; names keep their dots."""
    image: dict[str, Any] = {key: array.tolist() for key, array in arrays.items()}
    target.write((json.dumps(image) + "\n").encode())
