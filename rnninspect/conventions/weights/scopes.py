"""Variables in a file to scopes: one cell's variables each, by the framework's short names of the parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, Direction
from rnninspect.errors import ShapeError

_WORDS: dict[str, Direction] = {
    "fw": "forward",
    "forward": "forward",
    "l": "forward",
    "bw": "backward",
    "backward": "backward",
    "reverse": "backward",
    "r": "backward",
}
_NAMED = regex(r"(?:^|[/._])(fw|bw|forward|backward)(?=[/._]|$)")
_LOOKS_LIKE_A_WEIGHT = regex(r".*(weight|bias|kernel|diag).*|[WRBPbw]|w_.*")


@frozen(eq=False)
class Scope:
    """One cell's variables, by the framework's short name of each part.

    `name`: the file's name for it (`encoder.lstm`); `paths`: each part's whole name, for messages; `layer`,
    `direction`: as the names say, or None; `surplus`: names in the same scope that are no part of a cell.
    """

    name: str
    arrays: Mapping[str, Array]
    paths: Mapping[str, str]
    layer: int | None = None
    direction: Direction | None = None
    surplus: tuple[str, ...] = ()

    def need(self, part: str, shape: tuple[int | None, ...], why: str) -> Array:
        """The array `[…]` of that part; ShapeError unless its shape is `shape` (None: any size), with `why`."""
        array = np.asarray(self.arrays[part])
        if len(array.shape) != len(shape) or any(s not in (None, n) for n, s in zip(array.shape, shape, strict=True)):
            wanted = ", ".join("any" if s is None else str(s) for s in shape)
            raise ShapeError(f"{self.paths[part]} is {array.shape}, expected ({wanted}): {why}")
        return array

    def path_of(self, part: str) -> str:
        """The whole name that this part has, or would have beside the others."""
        if part in self.paths:
            return self.paths[part]
        other, path = next(iter(self.paths.items()))
        stem, held, tail = path.rpartition(other)
        return f"{stem}{part}{tail}" if held else f"{self.name}/{part}"

    def shown(self, part: str) -> str:
        """The part's whole name and shape, for messages."""
        return f"{self.paths[part]} {self.arrays[part].shape}"


@frozen
class Parts:
    """The parts that a cell must have and those that it may have."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


@frozen(eq=False)
class _Group:
    arrays: dict[str, Array] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)


def find_scopes(
    arrays: Mapping[str, Array],
    variable: re.Pattern[str],
    separator: str,
    normalise_name: Callable[[str], str] = str,
) -> tuple[Scope, ...]:
    """The cells among the arrays, in the file's order. Names are matched with `/` and `.` alike, once respelt.

    `variable` matches a whole name and holds the group `part`, and may hold `layer` and `direction`.
    """
    groups: dict[tuple[str, int | None, Direction | None], _Group] = {}
    unmatched: dict[str, str] = {}
    for path, array in arrays.items():
        name = normalise_name(re.sub(r"[/.]", separator, path))
        match = variable.fullmatch(name)
        if match is None:
            unmatched[name] = path
            continue
        named = match.groupdict()
        layer = int(named["layer"]) if named.get("layer") else None
        direction = _WORDS[named["direction"].strip("_")] if named.get("direction") else None
        before = name[: match.start("part")]
        group = groups.setdefault((before, layer, direction), _Group())
        group.arrays[match["part"]], group.paths[match["part"]] = array, path
    return tuple(
        Scope(
            before.rstrip("/._"),
            group.arrays,
            group.paths,
            layer,
            direction or _direction_in(before.rstrip("/._")),
            tuple(path for name, path in unmatched.items() if _stray(name, before, separator)),
        )
        for (before, layer, direction), group in groups.items()
    )


def _direction_in(name: str) -> Direction | None:
    direction_words = _NAMED.findall(name)
    return _WORDS[direction_words[-1]] if direction_words else None


def _stray(name: str, prefix: str, separator: str) -> bool:
    """Whether a name that is no variable lies in the scope all the same."""
    rest = name[len(prefix) :]
    if not name.startswith(prefix) or separator in rest:
        return False
    return bool(prefix) or _LOOKS_LIKE_A_WEIGHT.fullmatch(rest) is not None


def blocks(letters: Iterable[str], units: int, source: str) -> str:
    """Why a shape is expected: how many gate blocks of how many units, and which array says so.

    >>> blocks("ifgo", 5, "weight_hh_l0 (20, 5)")
    '4 gate blocks (i, f, g, o) of 5 units, as weight_hh_l0 (20, 5) says'
    """
    listed = list(letters)
    gates = f"{len(listed)} gate blocks ({', '.join(listed)}) of " if len(listed) > 1 else ""
    return f"{gates}{units} units, as {source} says"
