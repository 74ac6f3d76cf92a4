"""Tensors as torch printed them until 0.3: matrices under `(0 ,.,.) =`, a factor above them, the size below.

    (0 ,.,.) =
    1.00000e-02 *
      4.1374 -2.5901
    [torch.FloatTensor of size 1x1x2]

Wide matrices come in `Columns 0 to 7` and the next ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from rnninspect.core.regex import regex
from rnninspect.core.trace import Array
from rnninspect.formats.text_nodes import Broken, Literal
from rnninspect.formats.text_numbers import precision_of

_HEADER = regex(r"\(\s*\d+\s*,(?:\s*\d+\s*,)*\s*\.\s*,\s*\.\s*\)\s*=")
_SIZE = regex(r"\[torch\.(?:cuda\.|sparse\.)?\w*Tensor of size ([\dx]+)[^\]\n]*\]")
_ANCHOR = regex(f"{_HEADER.pattern}|{_SIZE.pattern}")
_COLUMNS = regex(r"Columns \d+ (?:to|and) \d+|Column \d+")
_FACTOR = regex(r"1(?:\.0*)?e([-+]?\d+)\s*\*")
_NUMBER = r"[-+]?(?:\d++(?:\.\d*+)?|\.\d++|nan|inf)(?:e[-+]?\d++)?"
_NUMBERS = regex(rf"{_NUMBER}(?:\s++{_NUMBER})*+")


@dataclass(eq=False)
class _Matrix:
    """The lines of one matrix: a list of rows (words) for every block of columns."""

    columns: list[list[list[str]]] = field(default_factory=lambda: [[]])
    exponent: int = 0


def blocks(text: str) -> Iterator[Literal | Broken]:
    """Every tensor printed so, in the order of the text."""
    floor = 0
    for anchor in _ANCHOR.finditer(text):
        if anchor.start() < floor:
            continue
        start = anchor.start() if anchor[0].startswith("(") else _first_line(text, floor, anchor.start())
        matrices, size, end = _lines(text, start)
        if any(rows for matrix in matrices.values() for rows in matrix.columns):
            yield _literal(matrices, size, text, start, end)
        floor = max(end, anchor.end())


def _first_line(text: str, floor: int, stop: int) -> int:
    """Where the lines of numbers above a size begin."""
    start = text.rfind("\n", floor, stop) + 1 or floor
    while start > floor:
        before = text.rfind("\n", floor, start - 1) + 1 or floor
        line = text[before : start - 1].strip()
        if line and not (_NUMBERS.fullmatch(line) or _FACTOR.fullmatch(line) or _COLUMNS.fullmatch(line)):
            break
        start = before
    return start


def _lines(text: str, start: int) -> tuple[dict[str, _Matrix], tuple[int, ...] | None, int]:
    """The matrices by their header, the size that is stated below them, and where they end."""
    matrices: dict[str, _Matrix] = {}
    header, at, end = "", start, start
    while at < len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        line = text[at:stop].strip()
        if size := _SIZE.match(line):
            return matrices, tuple(int(n) for n in size[1].split("x") if n), stop
        if _HEADER.fullmatch(line):
            header = re.sub(r"\s", "", line)
        elif _COLUMNS.fullmatch(line):
            matrix = matrices.setdefault(header, _Matrix())
            matrix.columns += [[]] if matrix.columns[-1] else []
        elif factor := _FACTOR.fullmatch(line):
            matrices.setdefault(header, _Matrix()).exponent = int(factor[1])
        elif _NUMBERS.fullmatch(line):
            matrices.setdefault(header, _Matrix()).columns[-1].append(line.split())
        elif line:
            break
        end = stop if line else end
        at = stop + 1
    return matrices, None, end


def _literal(
    matrices: dict[str, _Matrix], size: tuple[int, ...] | None, text: str, start: int, end: int
) -> Literal | Broken:
    parts: list[Array] = []
    for matrix in matrices.values():
        rows = [[word for row in across for word in row] for across in zip(*matrix.columns, strict=False)]
        odd = next((row for row in rows if len(row) != len(rows[0])), None)
        if odd is not None:
            why = f"a row has {len(odd)} numbers, the others {len(rows[0])}"
            return Broken(start, _place(text, odd, start, end), why, len(rows))
        scale = f"e{matrix.exponent}" if matrix.exponent else ""
        parts.append(np.array([[float(word + ("" if "e" in word else scale)) for word in row] for row in rows]))
    whole = parts[0] if "" in matrices else np.stack(parts) if len({p.shape for p in parts}) == 1 else None
    if whole is None or (size is not None and whole.size != int(np.prod(size))):
        size_text = "x".join(map(str, size or ()))
        return Broken(start, end - 1, f"the numbers above it are not those of size {size_text}", len(parts))
    numbers = "\n".join(" ".join(row) for m in matrices.values() for rows in m.columns for row in rows)
    precision = precision_of(numbers, -min(m.exponent for m in matrices.values()))
    return Literal(whole.reshape(size) if size else whole, start, end, wrapped=True, precision=precision)


def _place(text: str, row: list[str], start: int, end: int) -> int:
    line = re.compile(rf"^[ ]*{re.escape(' '.join(row))}[ ]*$", re.M).search(text, start, end)
    return line.start() if line else start
