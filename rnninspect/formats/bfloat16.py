"""bfloat16, which numpy lacks: the upper half of a float32, so that widening is exact."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError

IN_MEMORY = 64 << 20  # bytes of float32; what is larger is widened into a temporary file
BLOCK = 1 << 17  # numbers read at a time: few enough to stay in memory that was used before


def widened(bits: Array) -> Array:
    """bfloat16 `[…]` given as uint16, as float32 of the same shape.

    >>> widened(np.array([0x3F80, 0xC000], dtype=np.uint16))
    array([ 1., -2.], dtype=float32)
    """
    wide: Array = (np.asarray(bits).astype(np.uint32) << np.uint32(16)).view(np.float32)
    return wide


def narrowed(wide: Array) -> Array:
    """float32 `[…]` as the uint16 of the nearest bfloat16, the even one of two that are equally near.

    >>> narrowed(np.array([1, -2, np.nan], dtype=np.float32)).tolist()
    [16256, 49152, 32704]
    """
    bits = np.ascontiguousarray(wide, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    quiet = (bits >> np.uint32(16)) | np.uint32(0x40)  # rounding would make an infinity of some
    return np.where(np.isnan(wide), quiet, rounded).astype(np.uint16)


def widened_on_disk(blocks: Iterable[Array], shape: tuple[int, ...], name: str) -> Array:
    """Blocks of uint16, of at most BLOCK numbers, as one float32 array `[…]`.

    It is mapped from a temporary file that vanishes with it, and takes 4 bytes a number where TMPDIR points to;
    UnreadableError where there is no such room.
    """
    room = np.zeros(BLOCK, dtype=np.float32)
    upper = room.view(np.uint16)[int(sys.byteorder == "little") :: 2]  # of every number; the lower halves stay 0
    try:
        from tempfile import TemporaryFile  # most starts read no bfloat16

        with TemporaryFile() as file:
            for block in blocks:
                upper[: block.size] = block
                file.write(room[: block.size].data)
            file.flush()
            return np.memmap(file, np.float32, mode="r", shape=shape)
    except OSError as error:
        size = math.prod(shape) * 4 >> 20
        raise UnreadableError(
            f"{name}: bfloat16 is widened to float32 in a temporary file of {size} MiB, and that cannot be written "
            f"({error.strerror}); point TMPDIR to a folder with room"
        ) from None


def note_widened(dtypes: Mapping[str, str]) -> str:
    """What to say about arrays that the file holds in a dtype that numpy lacks; empty where there are none."""
    if not dtypes:
        return ""
    names, more = list(dtypes)[:4], len(dtypes) - 4
    shown = ", ".join(name or "the array" for name in names) + (f" and {more} more" if more > 0 else "")
    return f"{' and '.join(sorted(set(dtypes.values())))} read as float32, exactly: {shown}"
