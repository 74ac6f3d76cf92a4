"""`.npz`: named arrays in a zip; members that are stored uncompressed are memory-mapped where they lie."""

from __future__ import annotations

import math
import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats.base import NamedArrays, guarded
from rnninspect.formats.npy import why

NAME = "npz"
SUFFIXES = (".npz",)
EXTRA: str | None = None
SUMMARY = "named numpy arrays; uncompressed members memory-mapped"

SMALL = 1 << 16  # bytes up to which a map costs more than it saves
LOCAL_HEADER = 30  # bytes before a member's name (APPNOTE 4.3.7)


def sniff(head: bytes) -> bool:
    """A zip whose first member is an .npy file."""
    return first_member(head).endswith(".npy")


def first_member(head: bytes) -> str:
    """The name of a zip's first member; empty where the bytes are no zip."""
    if not head.startswith(b"PK\x03\x04") or len(head) < LOCAL_HEADER:
        return ""
    length = struct.unpack("<H", head[26:28])[0]
    return head[LOCAL_HEADER : LOCAL_HEADER + length].decode(errors="replace")


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """Every member by its name without `.npy`; UnreadableError names the member that cannot be read."""
    arrays: dict[str, Array] = {}
    with guarded(name), zipfile.ZipFile(source) as archive:
        for info in archive.infolist():
            if info.filename.endswith(".npy"):
                arrays[info.filename.removesuffix(".npy")] = _member(source, archive, info, name)
    if not arrays:
        raise UnreadableError(f"{name}: it holds no arrays")
    return NamedArrays(arrays, name, NAME)


def _member(source: Path | BinaryIO, archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Array:
    try:
        if isinstance(source, Path) and info.compress_type == zipfile.ZIP_STORED:
            mapped = _mapped(source, info)
            if mapped is not None:
                return mapped
        with archive.open(info) as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except ValueError as error:
        raise UnreadableError(f"{name}: {info.filename.removesuffix('.npy')}: {why(error)}") from None


def _mapped(path: Path, info: zipfile.ZipInfo) -> Array | None:
    """The array as a memory map of the archive itself, a small one read from there, or None where neither can be."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(LOCAL_HEADER)
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        file.seek(info.header_offset + LOCAL_HEADER + name_length + extra_length)
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
        offset = file.tell()
        count = math.prod(shape)
        size = count * dtype.itemsize
        if dtype.hasobject or not size or offset + size > path.stat().st_size:
            return None
        if size <= SMALL:
            return np.fromfile(file, dtype, count).reshape(shape, order="F" if fortran else "C")
    mapped: Array = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C")
    return mapped


def write(arrays: dict[str, Array], target: BinaryIO) -> None:
    """Writes every array, uncompressed, so that readers can map them."""
    np.savez(target, **arrays)  # type: ignore[arg-type]
