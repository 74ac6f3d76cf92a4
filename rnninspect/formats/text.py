"""Whatever was printed or pasted: arrays out of terminals, notebooks, mails, pages and code, by a grammar.

Their names are the labels before them; how precisely each was printed goes along. Text is read where no other format
claims the bytes.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

from rnninspect.core.precision import EXACT, Precision
from rnninspect.core.regex import regex
from rnninspect.errors import UnreadableError
from rnninspect.formats.base import NamedArrays, whole
from rnninspect.formats.text_blocks import blocks
from rnninspect.formats.text_clean import clean, decoded, is_text, with_brackets
from rnninspect.formats.text_commas import NOTE, with_decimal_points
from rnninspect.formats.text_grammar import values
from rnninspect.formats.text_names import LabelledArray, named
from rnninspect.formats.text_nodes import Broken, Literal
from rnninspect.formats.text_numbers import is_of_half, precision_of
from rnninspect.formats.tree import shorten

NAME = "text"
SUFFIXES = (".txt", ".log", ".out", ".md", ".html", ".htm", ".eml")
EXTRA: str | None = None
SUMMARY = "what was printed or pasted: numpy, torch, TensorFlow, JAX, pages, mails, transcripts"
MOST_ALIKE = 16  # arrays of one name among which the same one is looked for
_MARK = regex(
    r"\btensor\((?=\s*\[)|\bgrad_fn=|\bVariable containing:|\btf\.Tensor\b|\bTensor\((?=shape=)"
    r"|\b(?:Device)?Array\((?=\s*\[)|<NDArray\b"
)
LAST = True  # what another format claims is that format's

PRINT_ALL = (
    "print all of it: np.set_printoptions(threshold=sys.maxsize), torch.set_printoptions(profile='full'), "
    "jnp.set_printoptions(threshold=sys.maxsize)"
)


def sniff(head: bytes) -> bool:
    """Text of any kind; whether arrays are in it shows when it is read."""
    return is_text(head)


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """The arrays of a text; UnreadableError where there are none, or where brackets and rows do not add up."""
    return from_text(decoded(whole(source, name), name), name)


def from_text(text: str, name: str) -> NamedArrays:
    """The arrays of a text, named by their labels, in its order.

    Raises UnreadableError, with the line, where there are none, where brackets are not balanced, or where rows have
    different lengths.
    """
    plain = with_brackets(clean(text))
    pointed = with_decimal_points(plain)
    read = _Reading(pointed, name).arrays()
    return read if pointed == plain else replace(read, notes=(*read.notes, NOTE))


@dataclass(frozen=True, eq=False)
class _Reading:
    """One text that is being read."""

    text: str
    source: str

    def arrays(self) -> NamedArrays:
        tensors = list(blocks(self.text))
        nodes = sorted([*tensors, *values(_blanked(self.text, tensors))], key=lambda node: node.start)
        left: list[str] = []
        for node in nodes:
            if isinstance(node, Broken):
                self._check(node, left)
        arrays: dict[str, LabelledArray] = {}
        twice: list[str] = []
        counts: dict[str, int] = {}
        for one in named(nodes, self.text, self._line, left):
            self._enter(one, arrays, counts, twice)
        if not arrays:
            raise UnreadableError(
                f"{self.source}: found no arrays, read as text ({self._length()}); paste "
                "all that print(outputs) and print(state) show, with its brackets"
                + (f"; left out: {shorten(left)}" if left else "")
            )
        halves = _halves(arrays)
        elided = {name: one.literal.gaps for name, one in arrays.items() if one.literal.gaps}
        return NamedArrays(
            {
                name: one.literal.values.astype(np.float16) if name in halves else one.literal.values
                for name, one in arrays.items()
            },
            self.source,
            NAME,
            notes=tuple(self._notes(arrays, twice, left)),
            precisions={
                name: EXACT if name in halves else self._precision(one.literal) for name, one in arrays.items()
            },
            elided=elided,
            marks=tuple(dict.fromkeys(_MARK.findall(self.text))),
        )

    def _line(self, at: int) -> int:
        return bisect_left(self._line_ends, at) + 1

    def _length(self) -> str:
        """How many lines the text has; what ends in a line end has no line behind it."""
        count = self.text.count("\n") + (not self.text.endswith("\n") and bool(self.text))
        return f"{count} line{'s' if count != 1 else ''}"

    @cached_property
    def _line_ends(self) -> list[int]:
        return [match.start() for match in re.finditer("\n", self.text)]

    def _check(self, broken: Broken, left: list[str]) -> None:
        """Raise on numbers in brackets that were meant as an array; a mere mention in prose is left out."""
        lines = self._line(broken.at) - self._line(broken.start)
        if broken.rows > 1 or lines:
            raise UnreadableError(
                f"{self.source}: line {self._line(broken.at)}: {broken.why}, in the array that begins in line "
                f"{self._line(broken.start)}; paste it again, whole"
            )
        left.append(f"what begins like an array in line {self._line(broken.start)} ({broken.why})")

    def _precision(self, literal: Literal) -> Precision:
        if literal.precision is not None or literal.values.dtype.kind != "f":
            return literal.precision or Precision()
        return precision_of(self.text[literal.start : literal.end])

    def _enter(
        self, one: LabelledArray, arrays: dict[str, LabelledArray], counts: dict[str, int], twice: list[str]
    ) -> None:
        """Add an array, unless the same one is there; another of one name gets a number behind it."""
        count = counts.get(one.name, 0) + 1
        alike = [_numbered(one.name, n) for n in range(1, min(count, MOST_ALIKE))]
        same = next((name for name in alike if self._same(arrays[name].literal, one.literal)), None)
        if same is not None:
            twice.append(same)
            return
        counts[one.name] = count
        arrays[_numbered(one.name, count)] = one

    def _same(self, a: Literal, b: Literal) -> bool:
        if a.values.shape != b.values.shape or a.gaps != b.gaps:
            return False
        if np.array_equal(a.values, b.values, equal_nan=a.values.dtype.kind == b.values.dtype.kind == "f"):
            return True
        places = [p.decimals for p in (self._precision(a), self._precision(b)) if p.decimals is not None]
        return bool(places) and bool(np.allclose(a.values, b.values, rtol=0, atol=1.05 * 10.0 ** -min(places)))

    def _notes(self, arrays: dict[str, LabelledArray], twice: list[str], left: list[str]) -> list[str]:
        """What was read, with its label, its line and how it was printed; what is elided; what was left out."""
        again = f"; the same again, and read once: {shorten(dict.fromkeys(twice))}" if twice else ""
        notes = [f"read {shorten([self._described(name, one) for name, one in arrays.items()])}{again}"]
        for name, one in arrays.items():
            if one.literal.gaps:
                axes = ", ".join(map(str, sorted(one.literal.gaps)))
                notes.append(
                    f"{name or 'the array'} is elided (`...`) along axis {axes}: what is there is compared, the rest "
                    f"is missing; {PRINT_ALL}"
                )
        return notes + ([f"left out: {shorten(left)}"] if left else [])

    def _described(self, name: str, one: LabelledArray) -> str:
        literal = one.literal
        label = f"{one.label!r} of " if one.label and one.label != name else ""
        places = "" if literal.values.dtype.kind != "f" else f", {self._precision(literal)}"
        shape = list(literal.values.shape)
        return f"{name or 'the array'} {shape} ({label}line {self._line(literal.start)}{places})"


def _halves(arrays: dict[str, LabelledArray]) -> set[str]:
    """The names of arrays that numpy printed of float16; none where one may be such or may have been rounded."""
    of_half = {name: is_of_half(one.literal.values) for name, one in arrays.items()}
    return set() if None in of_half.values() else {name for name, half in of_half.items() if half}


def _numbered(name: str, count: int) -> str:
    return name if count == 1 else f"{name}_{count}"


def _blanked(text: str, taken: list[Literal | Broken]) -> str:
    """The text with these stretches as blanks, so that every place stays what it was."""
    parts: list[str] = []
    at = 0
    for node in taken:
        end = node.end if isinstance(node, Literal) else node.at
        parts += [text[at : node.start], re.sub(r"[^\n\r]", " ", text[node.start : end])]
        at = max(at, end)
    return "".join([*parts, text[at:]]) if parts else text
