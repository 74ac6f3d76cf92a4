"""Where a mapped array lies in its file, in words that another process understands: it opens the same bytes itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rnninspect.core.tiles import address, extent
from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats import storage


@dataclass(frozen=True)
class Described:
    """A view of a file's bytes: `offset` is where its first element begins; `strides` in bytes, of any sign.

    `file`: a path, or the URL that it was copied from. `stamp`: what tells the file from its own later self.
    """

    file: str
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    stamp: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that its elements take."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def rows(self, rows: slice) -> Described:
        """The part `[start:stop]` along the first axis."""
        start, stop, _ = rows.indices(self.shape[0])
        return replace(self, offset=self.offset + start * self.strides[0], shape=(stop - start, *self.shape[1:]))

    def opened(self) -> Array:
        """The array `[…]`, mapped from its file; of a remote one the bytes of this view alone are fetched.

        Raises UnreadableError where this process does not see that file, or not as it was when it was described.
        """
        if storage.stamp(self.file) != self.stamp:
            raise UnreadableError(
                f"{self.file}: a worker sees no such file, or another one (by its size and time of change); name a "
                "file that all workers share, or a URL"
            )
        low, high = extent(self.offset, self.shape, self.strides, self.dtype.itemsize)
        if storage.is_remote(self.file):
            held = storage.fetched(self.file, low, high)
        else:
            held = np.memmap(self.file, np.uint8, mode="r", offset=low, shape=(high - low,))
        return np.ndarray(self.shape, self.dtype, held, self.offset - low, self.strides)


def described(array: Array) -> Described | None:
    """Where the bytes of an array `[…]` lie, or None where no other process could read them as well as this one.

    That is so for an array that is not mapped from a file as it is, for what lies in `memory://`, and for a remote one
    whose rows lie in pieces all over the file (time-major), which would be fetched anew for each of its parts.
    """
    root = storage.map_of(array)
    if root is None or root.mode != "r" or root.filename is None or not array.size:
        return None
    file = str(root.filename)
    if storage.is_remote(file) and (file.startswith("memory://") or not _has_rows_together(array)):
        return None
    offset = int(root.offset) + address(array) - address(root)
    view = Described(file, offset, array.dtype, array.shape, array.strides, storage.stamp(file))
    return view if view.stamp else None


def _has_rows_together(array: Array) -> bool:
    low, high = extent(0, array.shape[1:], array.strides[1:], array.itemsize)
    return len(array) == 1 or high - low <= abs(array.strides[0])
