"""`.ipynb`: a notebook, read as the transcript of its cells: what each printed or showed, behind its code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from rnninspect.errors import UnreadableError
from rnninspect.formats.base import NamedArrays, whole
from rnninspect.formats.json_ import shallow
from rnninspect.formats.text import from_text

NAME = "ipynb"
SUFFIXES = (".ipynb",)
EXTRA: str | None = None
SUMMARY = "notebooks: what their cells printed or showed"


def sniff(head: bytes) -> bool:
    """A JSON object with the cells of a notebook (nbformat, version 4)."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" and b'"cells"' in head and b'"cell_type"' in head


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """The arrays that its cells show; UnreadableError where it is no notebook, or none of its cells shows one."""
    try:
        with shallow(name):
            notebook = json.loads(whole(source, name))
    except ValueError as error:
        raise UnreadableError(f"{name}: no notebook, or truncated ({error})") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    shown = list(_transcript(cells)) if isinstance(cells, list) else []
    if not shown:
        raise UnreadableError(
            f"{name}: no cell of this notebook has printed or shown anything: run it, or save the arrays with np.savez"
        )
    return replace(from_text("\n".join(shown), name), format=NAME)


def _transcript(cells: list[Any]) -> Iterator[str]:
    """The code and the texts of every cell that shows one."""
    for cell in cells:
        outputs = cell.get("outputs") if isinstance(cell, dict) else None
        texts = [text for output in outputs if (text := _text_of(output))] if isinstance(outputs, list) else []
        if texts:
            yield from (f">>> {line}" for line in _joined(cell.get("source")).splitlines())
            yield from texts


def _text_of(output: Any) -> str:
    """What a cell printed, or the text of what it showed; nothing of pictures, warnings and errors."""
    if not isinstance(output, dict):
        return ""
    data = output.get("data")
    if output.get("output_type") == "stream":
        return _joined(output.get("text")) if output.get("name") != "stderr" else ""
    return _joined(data.get("text/plain")) if isinstance(data, dict) else ""


def _joined(text: Any) -> str:
    """A text of a notebook, which may be a list of its lines."""
    lines = text if isinstance(text, list) else [text]
    return "".join(line for line in lines if isinstance(line, str))
