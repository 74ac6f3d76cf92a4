"""`.msgpack`: Flax parameter trees as `flax.serialization` writes them (extension types 1, 2 and 3, chunked arrays)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats.base import NamedArrays, guarded, need, only_once, whole
from rnninspect.formats.bfloat16 import widened
from rnninspect.formats.tree import check_dtypes, gather, leaves, little, nest

NAME = "msgpack"
SUFFIXES = (".msgpack",)
EXTRA: str | None = "msgpack"
SUMMARY = "Flax parameter trees (flax.serialization), names joined by slashes"

# flax/serialization.py: _MsgpackExtType, MAX_CHUNK_SIZE, _chunk
NDARRAY, COMPLEX, SCALAR = 1, 2, 3
CHUNKED = "__msgpack_chunked_array__"
CHUNK_BYTES = 1 << 30


def sniff(head: bytes) -> bool:
    """A map of one entry or more whose first key is text (msgpack has no magic bytes)."""
    at = 1 if 0x81 <= head[0] <= 0x8F else {0xDE: 3, 0xDF: 5}.get(head[0], 0)
    return bool(at) and len(head) > at and (0xA0 <= head[at] <= 0xBF or head[at] in (0xD9, 0xDA, 0xDB))


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """Every array of the tree by its path; bfloat16 arrives as float32, exactly, in memory."""
    library = need("msgpack", name, "msgpack")
    with guarded(name):
        raw = whole(source, name)
        tree = library.unpackb(raw, ext_hook=_extension, raw=False, object_pairs_hook=only_once(name))
        named_values = list(leaves(_joined(tree), "/"))
    dtypes = {key: "bfloat16" for key, value in named_values if isinstance(value, _Bits)}
    arrays = ((key, widened(value.bits) if isinstance(value, _Bits) else value) for key, value in named_values)
    return gather(arrays, name, NAME, dtypes=dtypes)


class _Bits:
    """A bfloat16 array that is not widened yet."""

    def __init__(self, bits: Array) -> None:
        self.bits = bits


def _extension(code: int, data: bytes) -> Any:
    """An array, a complex number, or the bytes of a type that Flax does not have."""
    import msgpack

    if code in (NDARRAY, SCALAR):
        shape, dtype, held = msgpack.unpackb(data, raw=True)
        if dtype == b"bfloat16":
            return _Bits(_shaped(np.frombuffer(held, np.dtype("<u2")), shape))
        return _shaped(np.frombuffer(held, np.dtype(dtype.decode()).newbyteorder("<")), shape)
    if code == COMPLEX:
        return complex(*msgpack.unpackb(data))
    return data


def _shaped(numbers: Array, shape: list[int]) -> Array:
    """Numbers in the shape that is stated; ValueError where an axis is negative, which numpy would work out itself."""
    if any(not isinstance(n, int) or n < 0 for n in shape):
        raise ValueError(shape)
    return numbers.reshape(shape)


def _joined(tree: Any) -> Any:
    """The tree with its chunked arrays put together."""
    if not isinstance(tree, Mapping):
        return tree
    if CHUNKED not in tree:
        return {key: _joined(value) for key, value in tree.items()}
    chunks, shape = ([tree[key][str(i)] for i in range(len(tree[key]))] for key in ("chunks", "shape"))
    if all(isinstance(chunk, _Bits) for chunk in chunks):
        return _Bits(_shaped(np.concatenate([chunk.bits for chunk in chunks]), shape))
    return _shaped(np.concatenate(chunks), shape)


def write(arrays: dict[str, Array], target: BinaryIO) -> None:
    """Write the tree that `flax.serialization.msgpack_restore` reads; slashes in names make its levels.

    Raises UnreadableError where an array is too large for the format, or the library is missing.
    """
    library = need("msgpack", "writing .msgpack", "msgpack")
    check_dtypes(arrays, ".msgpack")
    large = [name for name, array in arrays.items() if array.nbytes > CHUNK_BYTES]
    if large:
        raise UnreadableError(
            f".msgpack: {large[0]} is larger than {CHUNK_BYTES >> 30} GiB; write .safetensors instead"
        )
    target.write(library.packb(nest(arrays, ".msgpack"), default=_packed, strict_types=True))


def _packed(array: Any) -> Any:
    import msgpack

    held = little(array)
    return msgpack.ExtType(NDARRAY, msgpack.packb((held.shape, held.dtype.name, held.tobytes()), use_bin_type=True))
