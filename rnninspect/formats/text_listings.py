"""Labels that name several arrays: of a tuple, each of its parts; of code above its output, what each print was of.

(h_n, c_n): (tensor(…), tensor(…))      print(out)⏎print(h)⏎⏎tensor(…)⏎tensor(…)
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rnninspect.core.regex import regex
from rnninspect.formats.text_labels import EXPRESSION, METHODS, NEAR, as_name, is_no_data, last_line, without_marks
from rnninspect.formats.text_nodes import Literal

Listing = list["str | Listing"]
Paths = list[tuple[tuple[str, ...], Literal]]

_PRINT = regex(r"\s*p?print\s*\((.*)\)\s*;?\s*(?:#.*)?")
_KEYWORD = regex(r"\s*\w+\s*=(?!=).*")
_IN_BRACKETS = regex(r".*\S\s*([(\[][^()\[\]]*[)\]])")  # state (h, c)
_H_OR_C = regex(r"(?:\w+[._])?(?:h|c|hidden|cell)(?:_?[nt])?(?:_state)?")
_QUOTED = regex(r"[bfru]?(['\"])(.{0,60}?)\1")


def listing_before(text: str, start: int, floor: int) -> Listing:
    """The names of a tuple's parts, nested as the label before it writes them; empty where it is no such label.

    >>> listing_before("out, (h, c): (…)", 13, 0), listing_before("state (h_n, c_n) = (…)", 19, 0)
    (['out', ['h', 'c']], ['h_n', 'c_n'])
    >>> listing_before("the final state: (…)", 17, 0)
    []
    """
    line = without_marks(last_line(text, start, floor))
    printed = _PRINT.fullmatch(line)
    if printed is not None:
        quoted = _QUOTED.match(printed[1].strip())
        line = without_marks(quoted[2]) if quoted else printed[1].strip()
        if not quoted and line[:1] not in "([":
            return []  # two arrays, side by side
    behind = _IN_BRACKETS.fullmatch(line)
    if behind is not None and "," not in line[: behind.start(1)]:
        named = listed(behind[1])
        return named if all(isinstance(one, str) and _H_OR_C.fullmatch(one) for one in named) else []
    return listed(line)


def named_by(listing: Listing, paths: Paths, of_a_call: bool) -> list[tuple[str, Literal]]:
    """The arrays of a tuple under the names of its label; empty where the two do not go together.

    `of_a_call`: it is known for what a call returned, outputs and state: then both h and c must be named.
    """
    parts = {path[:1] for path, _ in paths}
    if not listing or len(parts) != len(listing):
        return []
    names = [(_name_at(listing, path), literal) for path, literal in paths]
    every = {name for name, _ in names}
    if "" in every or len(every) < len(names):
        return []
    cells = sum(_H_OR_C.fullmatch(name) is not None for name in every)
    return names if not of_a_call or cells > 1 else []


def _name_at(listing: Listing, path: tuple[str, ...]) -> str:
    node: str | Listing = listing
    for depth, place in enumerate(path):
        if isinstance(node, str):
            return ".".join((as_name(node), *path[depth:]))
        if not place.isdecimal() or int(place) >= len(node):
            return ""
        node = node[int(place)]
    return as_name(node) if isinstance(node, str) else ""


def listed(line: str) -> Listing:
    """`h, c` or `(h, c)` or `out, (h, c)` as names; empty where a part is no expression, or it is one alone."""
    line = line.strip()
    if line[:1] in ("(", "[") and _closes(line) == len(line) - 1:
        line = line[1:-1]
    names: Listing = []
    for part in _parts(line):
        bare = METHODS.sub("", part)
        nested = listed(part) if part[:1] in ("(", "[") and part != line else []
        if not nested and not EXPRESSION.fullmatch(bare):
            return []
        names.append(nested or bare)
    return names if len(names) > 1 else []


def _closes(line: str) -> int:
    """Where the bracket that the line begins with is closed."""
    depth = 0
    for at, sign in enumerate(line):
        depth += (sign in "([") - (sign in ")]")
        if not depth:
            return at
    return -1


def _parts(line: str) -> Iterator[str]:
    """What stands between the commas that are in no bracket."""
    depth, begin = 0, 0
    for at, sign in enumerate(line):
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and not depth:
            yield line[begin:at].strip()
            begin = at + 1
    if line[begin:].strip():
        yield line[begin:].strip()


def prints_above(text: str, start: int, floor: int) -> list[str]:
    """What the prints of the code above an array were of, in their order, where the array has no label on its line."""
    if "print" not in text[max(floor, start - NEAR) : start] or not _PRINT.fullmatch(last_line(text, start, floor)):
        return []
    printed: list[str] = []
    for line in re.split(r"[\n\r]", text[floor:start]):
        call = _PRINT.fullmatch(line) if len(line) <= NEAR else None
        arguments = [part for part in _parts(call[1]) if not _KEYWORD.fullmatch(part)] if call else []
        bare = [METHODS.sub("", part) for part in arguments]
        printed += [part for part in bare if EXPRESSION.fullmatch(part) or listed(part)]
    return printed


def in_turn(prints: list[str], of_numbers: list[bool]) -> list[str]:
    """The labels of the values that follow the code of these prints; empty ones where they do not go together.

    `of_numbers`: of each value, whether it is an array of decimals, and so no shape.
    """
    for printed in (prints, [one for one in prints if not is_no_data(one)]):
        pairs = list(zip(printed, of_numbers, strict=False))
        if len(printed) == len(of_numbers) and not any(is_no_data(one) and decimals for one, decimals in pairs):
            return printed
    return [""] * len(of_numbers)
