"""Nested containers of arrays <-> names: what pickles, msgpack trees and HDF5 groups have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Number
from typing import Any

import numpy as np

from rnninspect.core.feed import Feed
from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError, UnreadableError
from rnninspect.formats.base import ANONYMOUS, NamedArrays
from rnninspect.formats.bfloat16 import note_widened

SHOWN = 12  # names in a message
LONG = 60  # letters of a name of what is left out
NUMBERS = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)))
NUMBERS += ("float16", "float32", "float64")  # numpy's names of what every format here can hold


@dataclass(frozen=True)
class LeftOut:
    """A leaf that a format does not read, and what it is in words."""

    what: str


def leaves(tree: Any, separator: str, name: str = ANONYMOUS) -> Iterator[tuple[str, Any]]:
    """Every leaf with its name: keys, fields of named tuples and places in lists, joined by the separator.

    A list of numbers is one leaf.

    >>> list(leaves({"a": (1, {"b": 2}), "lengths": [3, 1]}, "."))
    [('a.0', 1), ('a.1.b', 2), ('lengths', [3, 1])]
    """
    if isinstance(tree, Mapping):
        items: Iterable[tuple[Any, Any]] = tree.items()
    elif isinstance(tree, (list, tuple)) and not (tree and all(isinstance(item, Number) for item in tree)):
        items = zip(getattr(tree, "_fields", range(len(tree))), tree, strict=True)
    else:
        yield name, tree
        return
    for key, value in items:
        yield from leaves(value, separator, f"{name}{separator}{key}" if name else str(key))


def gather(
    named_values: Iterable[tuple[str, Any]],
    source: str,
    format: str,
    *,
    dtypes: Mapping[str, str] | None = None,
    attributes: Mapping[str, Any] | None = None,
    notes: tuple[str, ...] = (),
    feeds: Mapping[str, Feed] | None = None,
) -> NamedArrays:
    """The leaves that are arrays or numbers; the others are left out, and a note says which (None is not worth one).

    `dtypes`: names of arrays that the file holds in another dtype. Raises UnreadableError where nothing is left, or
    where two leaves have one name.
    """
    arrays: dict[str, Array] = {}
    others: list[str] = []
    for name, value in named_values:
        if name in arrays:
            raise UnreadableError(f"{source}: two arrays are called {shown(name)}; rename one")
        if isinstance(value, (np.ndarray, np.generic, Number, list, tuple)):
            arrays[name] = value if isinstance(value, np.ndarray) else np.asarray(value)  # a memmap stays one
        elif value is not None:
            what = value.what if isinstance(value, LeftOut) else type(value).__name__
            others.append(left_out(name, what))
    left = note_left_out(others)
    if not arrays:
        raise UnreadableError(f"{source}: it holds no arrays{'; ' + left if left else ''}")
    notes_of_reading = tuple(note for note in (note_widened(dtypes or {}), left, *notes) if note)
    read = NamedArrays(arrays, source, format, attributes or {}, notes_of_reading, dtypes or {}, feeds=feeds or {})
    return replace(read, left_out=tuple(map(shown, others)))


def left_out(name: str, what: str) -> str:
    """A name of what is no array of numbers, cut where it is long, and what it is instead."""
    return f"{name[:LONG] + '…' if len(name) > LONG else name or 'the whole'} ({what})"


def note_left_out(others: Sequence[str]) -> str:
    """A note on what is no array of numbers; empty where all are."""
    return f"not read, because they are not arrays of numbers: {shorten(others)}" if others else ""


def shown(name: object) -> str:
    """A name from a file as one line of printable text.

    >>> shown("a\\nb")
    'a\\\\nb'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))


def shorten(names: Iterable[object]) -> str:
    """At most SHOWN names, printable, and how many more there are."""
    listed = [shown(name) for name in names]
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def nest(arrays: Mapping[str, Array], format: str) -> dict[str, Any]:
    """Names with slashes as nested mappings.

    Raises UnreadableError for a name that would not come back: an empty part, or an array that is a group too.

    >>> nest({"cell/kernel": 1, "cell/bias": 2, "carry.h": 3}, "msgpack")
    {'cell': {'kernel': 1, 'bias': 2}, 'carry.h': 3}
    """
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        *groups, last = name.split("/")
        if not all(groups) or not last or {".", ".."} & {*groups, last}:
            raise UnreadableError(f"{format} cannot hold an array called {name!r}: rename it, or write .npz")
        level = tree
        for group in groups:
            level = level.setdefault(group, {})
            if not isinstance(level, dict):
                break
        if not isinstance(level, dict) or last in level:
            raise UnreadableError(f"{format} cannot hold {name!r} beside an array that its name goes through")
        level[last] = array
    return tree


def check_dtypes(arrays: Mapping[str, Array], format: str) -> None:
    """Raise ShapeError that names every array whose dtype is none of NUMBERS."""
    bad = [
        f"{name or 'the array'} ({array.dtype})" for name, array in arrays.items() if array.dtype.name not in NUMBERS
    ]
    if bad:
        raise ShapeError(f"{format} cannot hold {shorten(bad)}: convert to float32 or int64, or write .npz")


def little(array: Array) -> Array:
    """The array `[…]` in C order and little-endian, as files hold it; 0-d stays 0-d."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
