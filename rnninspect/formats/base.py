"""What every format gives: named arrays and the facts the file states about itself. No format knows a framework."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any, BinaryIO

from rnninspect.core.feed import Feed
from rnninspect.core.frozen import frozen
from rnninspect.core.precision import Precision
from rnninspect.core.trace import Array
from rnninspect.errors import MissingExtraError, UnreadableError, UserError
from rnninspect.formats.limits import check_size

ANONYMOUS = ""  # the name of the one array of a file that has no names (.npy, a nested list)


@frozen(eq=False)
class NamedArrays:
    """The content of one file.

    `arrays`: names to numeric or boolean arrays, in the file's order; memory-mapped where the format allows. Nested
    names are joined by dots, or by slashes where that is the format's own way (HDF5 groups, Flax trees); list entries
    go by their index. bfloat16 arrives as float32 (exactly) and is named in `dtypes`.
    `attributes`: plain values that the file states (an ONNX node's attributes, a Keras config), by the same naming.
    `notes`: what was done on the way in that a user should know ("lengths derived from the ragged rows").
    `marks`: what a text has around its arrays beside names and numbers (`tensor(`, `grad_fn=`), each once.
    `feeds`: what each recurrent layer reads, where the file says, by the layer's name.
    `precisions`: how the numbers of each array were rounded, where the format knows (print-outs).
    `left_out`: what the file holds beside arrays of numbers, each with what it is (`comment (text)`).
    `row_steps`: `[B]`, how many steps each row is given with, where the file lists rows of different lengths.
    `elided`: by name, the axes of which a print-out shows the first and last entries alone, and how many come first.
    """

    arrays: Mapping[str, Array]
    source: str
    format: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    dtypes: Mapping[str, str] = field(default_factory=dict)
    precisions: Mapping[str, Precision] = field(default_factory=dict)
    elided: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    feeds: Mapping[str, Feed] = field(default_factory=dict)
    marks: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    row_steps: Array | None = None


def need(package: str, what: str, extra: str) -> Any:
    """The package, imported now; MissingExtraError names the extra where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingExtraError(what, extra) from None


def whole(source: Path | BinaryIO, name: str) -> bytes:
    """All bytes of a file that cannot be mapped; UnreadableError where they are more than may be in memory."""
    if not isinstance(source, Path):
        return source.read()
    check_size(name, "", source.stat().st_size)
    return source.read_bytes()


def only_once(name: str) -> Callable[[list[tuple[Any, Any]]], dict[Any, Any]]:
    """What makes the pairs of an object (JSON, msgpack) in the file `name` a dict; UnreadableError where a key is there
    twice, since nothing says which value is meant."""

    def checked(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        items = dict(pairs)
        if len(items) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            refuse_duplicates(name, [str(key) for key, count in counts.items() if count > 1])
        return items

    return checked


def refuse_duplicates(name: str, names: list[str]) -> None:
    """Raise UnreadableError where there are such names; each is that of two arrays."""
    if names:
        listed = ", ".join(repr(twice) for twice in sorted(names)[:4]) + (", …" if len(names) > 4 else "")
        raise UnreadableError(
            f"{name}: {listed} is in it twice (a duplicate), and nothing says which is meant; rename one"
        )


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Around a library's parsing of bytes, and that alone: whatever it raises there means that the bytes are bad.

    Libraries raise a dozen types for damaged files (zlib.error, KeyError, OverflowError, …), and no list is complete.
    """
    try:
        yield
    except UserError:
        raise
    except (BlockingIOError, PermissionError):
        raise UnreadableError(f"{name}: it cannot be read: no permission, or another program is writing it") from None
    except MemoryError:
        raise UnreadableError(f"{name}: it is larger than this machine's memory, or damaged") from None
    except Exception:
        raise UnreadableError(f"{name}: it is damaged or truncated; save it again") from None
