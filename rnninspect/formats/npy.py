"""`.npy`: one array without a name, memory-mapped."""

from __future__ import annotations

import io
import math
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats.base import ANONYMOUS, NamedArrays, guarded
from rnninspect.formats.limits import shown

NAME = "npy"
SUFFIXES = (".npy",)
EXTRA: str | None = None
SUMMARY = "one numpy array, memory-mapped"

AGAIN = "save it again"
PICKLED = (
    "it holds pickled Python objects, which are never loaded; save plain numeric arrays. Of a dict that you "
    "trust: np.savez('arrays.npz', **np.load('FILE.npy', allow_pickle=True).item())"
)

# Version 3 differs in the encoding of field names alone, and what has fields is no array of numbers.
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    **dict.fromkeys(((2, 0), (3, 0)), np.lib.format.read_array_header_2_0),
}


def sniff(head: bytes) -> bool:
    """numpy's magic bytes (NEP 1)."""
    return head.startswith(b"\x93NUMPY")


class PickledError(UnreadableError):
    """The array holds Python objects, which are never loaded."""


@frozen
class Header:
    """What an array says of itself: `start` is where its numbers begin, in bytes from where the header does."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def size(self) -> int:
        """Bytes that its numbers take, of any size: a hostile shape overflows no integer."""
        return math.prod(self.shape) * self.dtype.itemsize

    def filled(self, data: Array) -> Array:
        """Its numbers `data` `[n]` in its shape."""
        return data.reshape(self.shape, order="F" if self.fortran else "C")


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """The array; UnreadableError where it is truncated, or holds Python objects."""
    if not isinstance(source, Path):
        raw = source.read()
        return NamedArrays({ANONYMOUS: from_bytes(raw, len(raw), name)}, name, NAME)
    with guarded(name), source.open("rb") as file:
        header = read_header(file, source.stat().st_size, name)
        if not header.size:  # of such an array one axis may still be longer than numpy allows
            return NamedArrays({ANONYMOUS: np.zeros(header.shape, header.dtype)}, name, NAME)
    return NamedArrays({ANONYMOUS: mapped(source, header, 0, name)}, name, NAME)


def read_header(file: BinaryIO, length: int, name: str) -> Header:
    """The header of an array that takes `length` bytes with it; UnreadableError where its numbers do not."""
    at = file.tell()
    try:
        version = np.lib.format.read_magic(file)
        size = file.read(2 if version == (1, 0) else 4)
        shape, fortran, dtype = _described(version, size + file.read(int.from_bytes(size, "little")))
    except KeyError:
        raise UnreadableError(f"{name}: numpy does not know its version of .npy, or it is damaged; {AGAIN}") from None
    except ValueError as error:
        raise UnreadableError(f"{name}: {why(error)}") from None
    if dtype.hasobject:
        raise PickledError(f"{name}: {PICKLED}")
    if dtype.subdtype is not None:
        raise UnreadableError(f"{name}: its dtype is arrays of their own ({dtype}), not numbers; {AGAIN}")
    if any(isinstance(n, bool) or n < 0 for n in shape):
        raise UnreadableError(f"{name}: its shape is {shape}, and no axis can be negative; {AGAIN}")
    header = Header(tuple(shape), fortran, dtype, file.tell() - at)
    if header.start + header.size > length:
        raise UnreadableError(
            f"{name}: it is damaged or truncated: its header names {shown(header.size)} of numbers {list(shape)}, and "
            f"{shown(max(0, length - header.start))} are there; {AGAIN}"
        )
    return header


@lru_cache
def _described(version: tuple[int, int], header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype as a header says: numpy reads it as Python's source, and many arrays have the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on headers of Python 2
        return HEADERS[version](io.BytesIO(header))


def from_bytes(raw: bytes, length: int, name: str) -> Array:
    """An array `[…]` from the bytes of a whole `.npy`."""
    with guarded(name):
        header = read_header(io.BytesIO(raw), length, name)
        count = math.prod(header.shape)
        return header.filled(np.frombuffer(raw, header.dtype, count, header.start))


def mapped(path: Path, header: Header, start: int, name: str) -> Array:
    """The array `[…]` whose header begins at byte `start` of a file, mapped from there."""
    order: Literal["C", "F"] = "F" if header.fortran else "C"
    with guarded(name):
        return np.memmap(path, header.dtype, mode="r", offset=start + header.start, shape=header.shape, order=order)


def write(arrays: dict[str, Array], target: BinaryIO) -> None:
    """Write a single array; UnreadableError on more."""
    if len(arrays) != 1:
        raise UnreadableError(f".npy holds one array, not {len(arrays)}: write .npz instead")
    np.save(target, next(iter(arrays.values())), allow_pickle=False)


def why(error: Exception) -> str:
    """numpy's reasons in a user's words."""
    text = str(error).lower()
    if "pickle" in text or "object arrays" in text or "python objects" in text:
        return PICKLED
    return f"it is damaged or truncated; {AGAIN}"
