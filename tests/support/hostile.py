"""Files that lie about themselves, one function a kind; each writes its file and gives its path."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

OUTPUTS = np.arange(1.0, 25.0, dtype=np.float32).reshape(2, 3, 4)
ARRAYS = {"outputs": OUTPUTS, "h": OUTPUTS[:, 2]}


def npy_bytes(array: np.ndarray[Any, Any], shape: tuple[int, ...] | None = None) -> bytes:
    """An array as `.npy`, its header stating `shape`."""
    file = io.BytesIO()
    fields = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape if shape is None else shape}
    np.lib.format.write_array_header_1_0(file, fields)
    return file.getvalue() + array.tobytes()


def npz(path: Path, members: list[tuple[str, bytes]], packed: bool = False) -> Path:
    """A zip of these members, names as often as they come."""
    import warnings

    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", kind) as archive:
        warnings.simplefilter("ignore")
        for name, raw in members:
            archive.writestr(f"{name}.npy", raw)
    return path


def npz_with(path: Path, name: str, raw: bytes, **options: Any) -> Path:
    """A dump of which one member is these bytes."""
    members = {key: npy_bytes(array) for key, array in ARRAYS.items()} | {name: raw}
    return npz(path, list(members.items()), **options)


def flipped(path: Path, needle: bytes) -> Path:
    """The file with one bit of `needle`, which is in it, turned over."""
    raw = bytearray(path.read_bytes())
    raw[raw.index(needle)] ^= 1
    path.write_bytes(raw)
    return path


def bomb(size: int) -> bytes:
    """`.npy` of so many zeros of one byte, whose header says so."""
    return npy_bytes(np.zeros(0, np.uint8), (1, size, 1)) + bytes(size)


def safetensors(path: Path, header: str, data: bytes) -> Path:
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + data)
    return path


def doubled_json(path: Path) -> Path:
    values = {name: array.tolist() for name, array in ARRAYS.items()}
    path.write_text(json.dumps(values)[:-1] + ', "h": [[1, 2, 3, 4], [1, 2, 3, 4]]}')
    return path


def msgpack_array(array: np.ndarray[Any, Any], shape: tuple[int, ...] | None = None) -> Any:
    import msgpack

    header_shape = array.shape if shape is None else shape
    return msgpack.ExtType(1, msgpack.packb((header_shape, array.dtype.name, array.tobytes()), use_bin_type=True))


def doubled_msgpack(path: Path) -> Path:
    import msgpack

    packer = msgpack.Packer()
    pairs = [
        ("h", msgpack_array(OUTPUTS[:, 2])),
        ("outputs", msgpack_array(OUTPUTS)),
        ("h", msgpack_array(OUTPUTS[:, 1])),
    ]
    path.write_bytes(packer.pack_map_pairs(pairs))
    return path


def msgpack_of(path: Path, tree: Mapping[str, Any]) -> Path:
    import msgpack

    path.write_bytes(msgpack.packb(tree))
    return path


def crc_kept(path: Path, needle: bytes, other: bytes) -> Path:
    """The zip with `needle` exchanged for `other` of the same length, and the member's CRC put right."""
    raw = path.read_bytes()
    changed = raw.replace(needle, other)
    with zipfile.ZipFile(io.BytesIO(raw)) as old:
        for info in old.infolist():
            start = info.header_offset + 30 + len(info.filename)
            crc = zlib.crc32(changed[start : start + info.file_size])
            changed = changed.replace(struct.pack("<L", info.CRC), struct.pack("<L", crc))
    path.write_bytes(changed)
    return path
