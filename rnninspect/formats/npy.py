"""`.npy`: one array without a name, memory-mapped."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats.base import ANONYMOUS, NamedArrays, guarded

NAME = "npy"
SUFFIXES = (".npy",)
EXTRA: str | None = None
SUMMARY = "one numpy array, memory-mapped"


def sniff(head: bytes) -> bool:
    """numpy's magic bytes (NEP 1)."""
    return head.startswith(b"\x93NUMPY")


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """The array; UnreadableError where it is truncated or holds Python objects."""
    with guarded(name):
        try:
            array = np.load(source, mmap_mode="r" if isinstance(source, Path) else None, allow_pickle=False)
        except ValueError as error:
            raise UnreadableError(f"{name}: {why(error)}") from None
    if not isinstance(array, np.ndarray):  # numpy goes by the content: a zip without members
        raise UnreadableError(f"{name}: it is no .npy file, but an archive")
    return NamedArrays({ANONYMOUS: array}, name, NAME)


def write(arrays: dict[str, Array], target: BinaryIO) -> None:
    """Writes a single array."""
    if len(arrays) != 1:
        raise UnreadableError(f".npy holds one array, not {len(arrays)}: write .npz instead")
    np.save(target, next(iter(arrays.values())), allow_pickle=False)


def why(error: Exception) -> str:
    """numpy's reasons in a user's words."""
    text = str(error).lower()
    if "pickle" in text or "object arrays" in text or "python objects" in text:
        return "it holds pickled Python objects, which are never loaded; save plain numeric arrays"
    return "it is damaged or truncated; save it again"
