"""A grammar of printed arrays, by which plain text becomes a tree of literals; nothing is ever evaluated.

    value    = array | wrapped | tuple | list | mapping | record | plain
    array    = "[" (number | array | "...") { [","] (number | array | "...") } "]"
    wrapped  = WRAPPER "(" { [name "="] value "," } ")" | "<tf." word ":" … "numpy=" value … ">" | array "<NDArray …>"
    tuple    = "(" value { "," value } ")"         list    = "[" value { "," value } "]"
    mapping  = "{" key ":" value { "," … } "}"     record  = name "(" { [name "="] value "," } ")"
    plain    = a number, a word, a quoted text, "<…>"

Printed arrays are islands in prose, logs and code: what does not follow the grammar is left where it breaks off, what
was whole until there stays, and reading goes on behind it. No character is read twice, so the time is linear in the
text whatever it holds: one pattern for tokens and a stack. Of parsing libraries, lark and pyparsing want a grammar of
the whole text and take a minute for a log of 50 MB; parsimonious and parsy recurse, which a million brackets end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from rnninspect.core.regex import regex
from rnninspect.formats.text_nodes import Broken, Group, Literal, Node, Plain
from rnninspect.formats.text_numbers import Row, as_array, read_row

DEEPEST = 32  # brackets within brackets; numpy itself has no more axes
LONGEST = 60  # characters of a name before a bracket

WRAPPERS = frozenset(
    [
        "array",
        "asarray",
        "ascontiguousarray",
        "ndarray",
        "matrix",
        "tensor",
        "Tensor",
        "as_tensor",
        "FloatTensor",
        "DoubleTensor",
        "HalfTensor",
        "LongTensor",
        "IntTensor",
        "BoolTensor",
        "ByteTensor",
        "from_numpy",
        "Array",
        "DeviceArray",
        "ConcreteArray",
        "constant",
        "convert_to_tensor",
        "to_tensor",
        "Variable",
        "variable",
        "Parameter",
        "Var",
        "EagerTensor",
    ]
)
_NOT_VALUES = frozenset(["shape", "size", "dtype", "device", "place", "ctx", "order"])  # what stands beside numbers

_START = regex(
    r"\[(?=[\s]*(?:[-+]?\.?\d|[-+]?nan\b|[-+]?inf\b|True\b|False\b|\[|\(|<|\{|\.\.\.|['\"]|[A-Za-z_][\w.]*\())"
    r"(?:(?<==\[)|(?<== \[)|(?!\s*+\d*+\s*+\]))"  # `[1]` is a place or a reference, unless it is assigned
    r"|\((?=[\s]*(?:[\[({<]|['\"][\w ./]*['\"],|[A-Za-z_][\w.]*\s*[=(]))"
    r"|\{(?=\s*(?:['\"]|[A-Za-z_]\w*\s*:\s*[\[(\w]))"
    r"|<(?=tf\.\w+[: ])"
)
_ROW = regex(r"([^\[\](){}<>]*)\]")
_NAME_BEFORE = regex(r"[A-Za-z_][\w.]*\Z")
_STRAY = regex(r"\s*\]")
_DEEP = regex(rf"(?:[\[({{]\s*+){{{DEEPEST + 1},}}+")
_TOKEN = regex(
    r"(?P<space>\s+|\#[^\n]*)"
    r"|(?P<ellipsis>\.\.\.)"
    r"|(?P<key>[A-Za-z_]\w*\s*=(?!=))"
    r"|(?P<plain>[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?(?![\w])|[buf]?'[^'\n]{0,200}'|[buf]?\"[^\"\n]{0,200}\"|\?)"
    r"|(?P<tensor><(?=tf\.\w+[: ]))"
    r"|(?P<tag><[^<>\n]{0,200}>)"
    r"|(?P<word>[A-Za-z_][\w.]*(?::\d+)?)"
    r"|(?P<open>[\[({])"
    r"|(?P<close>[\])}>])"
    r"|(?P<comma>,)"
    r"|(?P<colon>:)"
    r"|(?P<operator>[-+*/@%|&~^])"
)
_PARTNER = {"]": "[", ")": "(", "}": "{", ">": "<"}


@dataclass(eq=False)
class _Frame:
    """An open bracket."""

    bracket: str
    name: str
    start: int
    items: list[tuple[str | None, Node]] = field(default_factory=list)
    key: str | None = None
    ready: bool = True  # a value may follow: nothing, a comma or a key came last
    gap: int | None = None
    computed: bool = False
    broken: bool = False


def values(text: str, start: int = 0) -> Iterator[Literal | Group | Broken]:
    """Every array and container of arrays in the text, in its order; and what seems one and is none."""
    at = start
    while opening := _START.search(text, at):
        deep = _DEEP.match(text, opening.start())
        if deep is not None:
            yield Broken(opening.start(), opening.start(), f"brackets nest deeper than {DEEPEST}", 0)
            at = deep.end()
            continue
        reader = _Reader(text)
        at = reader.read(opening.start())
        yield from reader.nodes
        stray = _STRAY.match(text, at)
        last = reader.nodes[-1] if reader.nodes else None
        if stray is not None and isinstance(last, Literal) and (last.values.ndim > 1 or last.values.dtype.kind == "f"):
            yield Broken(last.start, stray.end() - 1, "a ] closes no bracket", 2)


class _Reader:
    """Reads one value from its opening bracket on."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.stack: list[_Frame] = []
        self.nodes: list[Literal | Group | Broken] = []

    def read(self, start: int) -> int:
        """The place behind the value; or where the grammar is left, what was whole until there being found."""
        at = self._open(start)
        while self.stack:
            token = _TOKEN.match(self.text, at)
            if token is None:
                why = "its bracket is never closed" if at >= len(self.text) else f"{self._word(at)} is not a number"
                return self._abandon(at, why)
            kind, at = token.lastgroup, token.end()
            if kind == "space":
                continue
            if kind in ("open", "tensor"):
                if not self._may_follow() or len(self.stack) >= DEEPEST:
                    return self._abandon(token.start(), f"{token[0]} is out of place")
                at = self._open(token.start())
            elif kind == "close":
                if not self._close(token[0], at):
                    return self._abandon(token.start(), f"{token[0]} closes no bracket of its own kind")
            elif not self._take(str(kind), token):
                return self._abandon(token.start(), f"{token[0]} is not a number")
        return at

    def _word(self, at: int) -> str:
        return repr(self.text[at : at + 12].split(maxsplit=1)[0]) if self.text[at : at + 12].strip() else "this"

    def _open(self, at: int) -> int:
        """Open a bracket; a row of numbers is read whole."""
        sign = self.text[at]
        if sign == "[":
            row = _ROW.match(self.text, at + 1)
            numbers = read_row(row[1]) if row else None
            if row and isinstance(numbers, Row) and (numbers.values or numbers.gap is not None):
                gaps = {} if numbers.gap is None else {0: numbers.gap}
                self._add(Literal(as_array(numbers.values), at, row.end(), gaps))
                return row.end()
            if row and isinstance(numbers, str) and self.stack and _rows(self.stack[-1]):
                return self._abandon(row.start(), f"{numbers!r} is not a number")
        if sign == "<":
            head = re.compile(r"<[\w.]+:?(?: '[^'\n]*')?").match(self.text, at)
            assert head is not None
            self.stack.append(_Frame(sign, "tensor", at))
            return head.end()
        name = ""
        if sign == "(":
            frame = self.stack[-1] if self.stack else None
            named = at > 0 and (self.text[at - 1].isalnum() or self.text[at - 1] == "_")
            before = _NAME_BEFORE.search(self.text, max(0, at - LONGEST), at) if named else None
            name = before[0] if before else ""
            if frame is not None and frame.items and name and isinstance(frame.items[-1][1], Plain):
                frame.key, frame.ready = frame.items.pop()[0], True  # the word was the name of this call
        self.stack.append(_Frame(sign, name, at - len(name)))
        return at + 1

    def _may_follow(self) -> bool:
        frame = self.stack[-1]
        return frame.ready or frame.bracket in "[<" or (bool(frame.items) and isinstance(frame.items[-1][1], Plain))

    def _take(self, kind: str, token: re.Match[str]) -> bool:
        """A token within the bracket that is open; whether it may stand there."""
        frame = self.stack[-1]
        if kind == "comma":
            frame.ready, frame.key = True, None
        elif kind == "ellipsis":
            frame.gap, frame.broken = len(frame.items), frame.broken or frame.gap is not None
        elif kind == "key":
            frame.key, frame.ready = token[0].rstrip("= \n"), True
            return frame.bracket in "(<"
        elif kind == "colon":
            if frame.bracket == "{":
                if not frame.items or not isinstance(frame.items[-1][1], Plain):
                    return False
                frame.key = frame.items.pop()[1].text.strip("'\"")  # type: ignore[union-attr]
            frame.ready = True
        elif kind == "operator":
            if frame.computed and frame.ready:
                return False
            frame.computed = frame.ready = True
        elif kind == "tag":
            if frame.items and isinstance(last := frame.items[-1][1], Literal) and not frame.ready:
                frame.items[-1] = (frame.items[-1][0], _wrapped(last, last.start, token.end(), {}))
            frame.ready = False
        else:
            if not frame.ready and not (frame.bracket == "<" or (frame.bracket == "[" and kind == "plain")):
                return False
            if frame.bracket == "[" and _rows(frame) and kind == "word":
                return False
            self._add(Plain(token[0]))
        return True

    def _add(self, node: Node) -> None:
        if not self.stack:
            if not isinstance(node, Plain):
                self.nodes.append(node)
            return
        frame = self.stack[-1]
        frame.items.append((frame.key, node))
        frame.key, frame.ready = None, False

    def _close(self, sign: str, end: int) -> bool:
        """Close the bracket with what it holds; whether it is one of that kind."""
        if self.stack[-1].bracket != _PARTNER[sign]:
            return False
        frame = self.stack.pop()
        self._add(self._made(frame, end))
        return True

    def _made(self, frame: _Frame, end: int) -> Node:
        literals = [node for _, node in frame.items if isinstance(node, Literal)]
        if frame.computed:
            return Plain("computed")
        if frame.bracket == "[" and literals and len(literals) == len(frame.items) and not literals[0].wrapped:
            return self._stacked(frame, literals, end)
        if frame.bracket == "[" and any(not node.wrapped for node in literals):
            self.nodes.append(Broken(frame.start, frame.start, "single numbers are mixed with its rows", len(literals)))
            return Plain("broken")
        if frame.bracket == "<" or frame.name.rpartition(".")[2] in WRAPPERS:
            numbers = [(key, n) for key, n in frame.items if isinstance(n, Literal) and key not in _NOT_VALUES]
            if numbers:
                keywords = {k: n.text for k, n in frame.items if k and isinstance(n, Plain)}
                return _wrapped(numbers[0][1], frame.start, end, keywords)
        if not any(isinstance(node, (Literal, Group)) for _, node in frame.items):
            return Plain(self.text[frame.start : min(end, frame.start + 40)])
        return Group(frame.bracket, frame.name, tuple(frame.items), frame.start, end)

    def _stacked(self, frame: _Frame, rows: list[Literal], end: int) -> Node:
        """The array of these rows; where their lengths differ, it is broken at the first that differs from most."""
        shapes = [row.values.shape for row in rows]
        usual = max(dict.fromkeys(shapes), key=shapes.count) if len(set(shapes)) > 1 else shapes[0]
        odd = next((row for row in rows if row.values.shape != usual or row.gaps != rows[0].gaps), None)
        if odd is not None or frame.broken or any(row.wrapped for row in rows):
            here = odd or rows[0]
            why = f"a part has the shape {here.values.shape}, the others {usual}"
            if len(usual) == len(here.values.shape) == 1:
                why = f"a row has {here.values.shape[0]} numbers, the others {usual[0]}"
            self.nodes.append(Broken(frame.start, here.start, why, len(rows)))
            return Plain("broken")
        gaps = {axis + 1: count for axis, count in rows[0].gaps.items()}
        if frame.gap is not None:
            gaps[0] = frame.gap
        return Literal(np.stack([row.values for row in rows]), frame.start, end, gaps)

    def _abandon(self, at: int, why: str) -> int:
        """Give up all open brackets: arrays that were whole stay, and numbers that were not are broken."""
        arrays = [frame for frame in self.stack if frame.bracket == "[" and _rows(frame)]
        nested = [a for a, b in pairwise(self.stack) if a.bracket == b.bracket == "["]
        first = min((frame.start for frame in arrays + (nested if arrays else [])), default=None)
        if first is not None:
            self.nodes.append(Broken(first, at, why, sum(map(_rows, arrays))))
        elif held := [f for f in self.stack if any(isinstance(node, (Literal, Group)) for _, node in f.items)]:
            why = f"its {held[0].bracket} is not closed; the arrays in it that were whole are read"
            self.nodes.append(Broken(held[0].start, held[0].start, why, 0))
        for frame in (f for f in self.stack if f not in arrays):
            for key, node in frame.items:
                if isinstance(node, (Literal, Group)):
                    kept = Group("…", frame.name, ((key, node),), node.start, node.end) if key else node
                    self.nodes.append(kept)
        self.stack = []
        return at


def _rows(frame: _Frame) -> int:
    """How many bare arrays an open bracket holds so far."""
    return sum(isinstance(node, Literal) and not node.wrapped for _, node in frame.items[:8])


def _wrapped(literal: Literal, start: int, end: int, keywords: dict[str, str]) -> Literal:
    return Literal(literal.values, start, end, literal.gaps, True, {**literal.keywords, **keywords})
