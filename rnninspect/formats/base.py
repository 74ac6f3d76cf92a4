"""What every format gives: named arrays and the facts the file states about itself. No format knows a framework."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rnninspect.core.precision import Precision
from rnninspect.core.trace import Array
from rnninspect.errors import MissingExtraError, UnreadableError, UserError

ANONYMOUS = ""  # the name of the one array of a file that has no names (.npy, a nested list)


@dataclass(frozen=True, eq=False)
class NamedArrays:
    """The content of one file.

    `arrays`: names to numeric or boolean arrays, in the file's order; memory-mapped where the format allows. Nested
    names are joined by dots, or by slashes where that is the format's own way (HDF5 groups, Flax trees); list entries
    go by their index. bfloat16 arrives as float32 (exactly) and is named in `dtypes`.
    `attributes`: plain values that the file states (an ONNX node's attributes, a Keras config), by the same naming.
    `notes`: what was done on the way in that a user should know ("lengths derived from the ragged rows").
    `precisions`: how the numbers of each array were rounded, where the format knows (print-outs).
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


def need(package: str, what: str, extra: str) -> Any:
    """The package, imported now; MissingExtraError names the extra where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingExtraError(what, extra) from None


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
