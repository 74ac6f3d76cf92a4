"""`.safetensors`: named tensors after a JSON header, memory-mapped; bfloat16 arrives as float32."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError, UnreadableError
from rnninspect.formats.base import NamedArrays, guarded, need, only_once
from rnninspect.formats.bfloat16 import BLOCK, IN_MEMORY, narrowed, widened, widened_on_disk
from rnninspect.formats.tree import check_dtypes, gather, little

NAME = "safetensors"
SUFFIXES = (".safetensors",)
EXTRA: str | None = "safetensors"
SUMMARY = "named tensors, memory-mapped; bfloat16 widened to float32"

LENGTH = struct.Struct("<Q")  # of the header, which comes next
DTYPES = {
    "BOOL": "bool",
    **{
        f"{kind}{8 * size}": f"<{kind.lower()}{size}"
        for kind in "UIF"
        for size in (1, 2, 4, 8)
        if (kind, size) != ("F", 1)
    },
    "BF16": "<u2",
    "C64": "<c8",
}


@dataclass(frozen=True)
class _Tensor:
    """Where a tensor lies: `start` counts from the beginning of the file, in bytes."""

    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def count(self) -> int:
        return math.prod(self.shape)


def sniff(head: bytes) -> bool:
    """A header's length that is not absurd, and a header that is an object."""
    return len(head) > LENGTH.size and head[LENGTH.size : LENGTH.size + 1] == b"{" and _length(head) < 10**8


def _length(head: bytes) -> int:
    return int(LENGTH.unpack_from(head)[0])


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """Every tensor by its name; the file's metadata are its attributes. UnreadableError where the header is bad.

    bfloat16 beyond IN_MEMORY is widened into a temporary file, block by block.
    """
    library = need("safetensors", name, "safetensors")
    raw = b"" if isinstance(source, Path) else source.read()
    with guarded(name):
        if isinstance(source, Path):
            with library.safe_open(str(source), framework="numpy"), source.open("rb") as file:  # it checks the header
                size = _length(file.read(LENGTH.size))
                header = json.loads(file.read(size), object_pairs_hook=only_once(name))
        else:
            library.deserialize(raw)
            size = _length(raw)
            header = json.loads(raw[LENGTH.size : LENGTH.size + size], object_pairs_hook=only_once(name))
        metadata = header.pop("__metadata__", None) or {}
        tensors = {
            key: _Tensor(item["dtype"], tuple(item["shape"]), LENGTH.size + size + item["data_offsets"][0])
            for key, item in header.items()
        }
    strange = [f"{key} ({tensor.dtype})" for key, tensor in tensors.items() if tensor.dtype not in DTYPES]
    if strange:
        raise ShapeError(f"{name}: {', '.join(strange)}: numpy has no such dtype; save it as float32 or bfloat16")
    ordered = sorted(tensors.items(), key=lambda item: item[1].start)
    named_arrays = ((key, _array(source, raw, tensor, f"{name}: {key}")) for key, tensor in ordered)
    dtypes = {key: "bfloat16" for key, tensor in ordered if tensor.dtype == "BF16"}
    return gather(named_arrays, name, NAME, dtypes=dtypes, attributes=metadata)


def _array(source: Path | BinaryIO, raw: bytes, tensor: _Tensor, name: str) -> Array:
    dtype = np.dtype(DTYPES[tensor.dtype])
    if not tensor.count:
        with guarded(name):  # one axis may still be longer than numpy allows
            return np.zeros(tensor.shape, np.float32 if tensor.dtype == "BF16" else dtype)
    if not isinstance(source, Path):
        held = np.frombuffer(raw, dtype, tensor.count, tensor.start).reshape(tensor.shape)
    elif tensor.dtype == "BF16" and 4 * tensor.count > IN_MEMORY:
        return widened_on_disk(_blocks(source, tensor), tensor.shape, name)
    else:
        held = np.memmap(source, dtype, mode="r", offset=tensor.start, shape=tensor.shape)
    return widened(held) if tensor.dtype == "BF16" else held


def _blocks(path: Path, tensor: _Tensor) -> Iterator[Array]:
    """The bits of a tensor, read and not mapped: mapped pages would count as this process's memory."""
    with path.open("rb") as file:
        file.seek(tensor.start)
        for done in range(0, tensor.count, BLOCK):
            yield np.fromfile(file, np.dtype("<u2"), min(BLOCK, tensor.count - done))


def write_like(arrays: dict[str, Array], target: BinaryIO, source: Path) -> None:
    """Write every array beside the metadata of `source`, a file that was read, in its dtype there: bfloat16 too, which
    the library writes of no numpy array. UserError as `write`."""
    before = _header(source)
    metadata = before.pop("__metadata__", None)
    if not any(item["dtype"] == "BF16" for item in before.values()):
        write(arrays, target, metadata)
        return
    check_dtypes(arrays, ".safetensors")
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    held = {name: little(array) for name, array in arrays.items()}
    narrow = {name for name, a in held.items() if a.dtype == "<f4" and before.get(name, {}).get("dtype") == "BF16"}
    held |= {name: narrowed(held[name]) for name in narrow}
    data, end = [], 0
    for name, array in sorted(held.items(), key=lambda item: -item[1].itemsize):  # so that every tensor is aligned
        letters = "BF16" if name in narrow else next(k for k, v in DTYPES.items() if np.dtype(v) == array.dtype)
        header[name] = {"dtype": letters, "shape": array.shape, "data_offsets": [end, end + array.nbytes]}
        data.append(array.tobytes())
        end += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % LENGTH.size)
    target.write(LENGTH.pack(len(text)) + text + b"".join(data))


def _header(path: Path) -> dict[str, Any]:
    """What the header of a file says of each tensor, and its metadata."""
    with path.open("rb") as file:
        return dict(json.loads(file.read(_length(file.read(LENGTH.size)))))


def write(arrays: dict[str, Array], target: BinaryIO, metadata: dict[str, str] | None = None) -> None:
    """Write every array; UserError where a name or a dtype cannot be held."""
    library: Any = need("safetensors.numpy", "writing .safetensors", "safetensors")
    check_dtypes(arrays, ".safetensors")
    if "__metadata__" in arrays:
        raise UnreadableError(".safetensors cannot hold an array called __metadata__: rename it")
    target.write(library.save({name: little(array) for name, array in arrays.items()}, metadata))
