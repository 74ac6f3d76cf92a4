"""`.npz`: named arrays in a zip; members that are stored uncompressed are memory-mapped where they lie."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats.base import NamedArrays, guarded, refuse_duplicates
from rnninspect.formats.limits import check_size, limits
from rnninspect.formats.npy import PickledError, from_bytes, mapped, read_header

NAME = "npz"
SUFFIXES = (".npz",)
EXTRA: str | None = None
SUMMARY = "named numpy arrays; uncompressed members memory-mapped"

SMALL = 1 << 16  # bytes up to which a map costs more than it saves
LOCAL_HEADER = 30  # bytes before a member's name (APPNOTE 4.3.7)
LOCAL = b"PK\x03\x04"  # what a member begins with
ENCRYPTED, UTF_8 = 1, 0x800  # flags of a member (APPNOTE 4.4.4)
BLOCK = 1 << 20
BAD_CRC = "its bytes are not those that were saved (bad CRC-32): it is damaged; save it again"


def sniff(head: bytes) -> bool:
    """A zip whose first member is an .npy file."""
    return first_member(head).endswith(".npy")


def first_member(head: bytes) -> str:
    """The name of a zip's first member; empty where the bytes are no zip."""
    if not head.startswith(LOCAL) or len(head) < LOCAL_HEADER:
        return ""
    length = struct.unpack("<H", head[26:28])[0]
    return head[LOCAL_HEADER : LOCAL_HEADER + length].decode(errors="replace")


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """Every member by its name without `.npy`; UnreadableError names the member that cannot be read. Beside arrays of
    numbers those of Python objects are left out, and named.

    A member's CRC is checked, but for that of a stored one larger than `limits().checked`, of which nothing is read
    here: where it lies, and how long it is, are.
    """
    arrays: dict[str, Array] = {}
    pickled: dict[str, PickledError] = {}
    if not _begins_as_zip(source):  # zipfile would look for one behind other bytes, which numpy does not
        raise UnreadableError(f"{name}: it does not begin as a zip, and is damaged; save it again")
    with guarded(name), zipfile.ZipFile(source) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        check_members(archive, members, name)
        for info in members:
            member = info.filename.removesuffix(".npy")
            try:
                arrays[member] = _member(source, archive, info, name)
            except PickledError as error:
                pickled[member] = error
    if pickled and not any(array.ndim > 2 for array in arrays.values()):  # none that could be outputs
        raise next(iter(pickled.values()))
    if not arrays:
        raise UnreadableError(f"{name}: it holds no arrays")
    read = NamedArrays(arrays, name, NAME)
    return _without_pickled(read, list(pickled)) if pickled else read


def _without_pickled(read: NamedArrays, members: list[str]) -> NamedArrays:
    """The arrays, and what was left out beside them, with how to save it so that it is read."""
    from rnninspect.formats.tree import left_out, note_left_out, shown

    others = [
        left_out(member, "Python objects, which are never loaded; convert numbers with np.asarray(…, float)")
        for member in members
    ]
    return replace(read, notes=(*read.notes, note_left_out(others)), left_out=tuple(map(shown, others)))


def _begins_as_zip(source: Path | BinaryIO) -> bool:
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _begins_as_zip(file)
    begins = source.read(4)
    source.seek(0)
    return begins in (LOCAL, b"PK\x05\x06")  # the latter holds nothing, which is said below


def check_members(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], name: str) -> None:
    """Raise UnreadableError where two members have one name, or one unpacks to more than the limits allow."""
    counts = Counter(info.filename for info in members)
    refuse_duplicates(name, [member.removesuffix(".npy") for member, count in counts.items() if count > 1])
    packed = [info for info in members if info.compress_type != zipfile.ZIP_STORED]
    for info in packed:
        check_size(name, info.filename.removesuffix(".npy"), info.file_size, info.compress_size)
    check_size(name, "its compressed members", sum(info.file_size for info in packed))


def _member(source: Path | BinaryIO, archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Array:
    called = f"{name}: {info.filename.removesuffix('.npy')}"
    with guarded(called):
        stored = info.compress_type == zipfile.ZIP_STORED
        if stored and isinstance(source, Path) and info.file_size > SMALL:
            return _mapped(source, info, called)
        if stored and archive.fp is not None:
            return from_bytes(_stored(archive.fp, info, called), info.file_size, called)
        try:
            return from_bytes(archive.read(info), info.file_size, called)
        except zipfile.BadZipFile as error:
            if "CRC" not in str(error):
                raise
            raise UnreadableError(f"{called}: {BAD_CRC}") from None


def _mapped(path: Path, info: zipfile.ZipInfo, called: str) -> Array:
    """A stored member as a memory map of the archive itself."""
    with path.open("rb") as file:
        start = stored_at(file, info, called)
        file.seek(start)
        of_array = read_header(file, info.file_size, called)
        if info.file_size <= limits().checked and _crc(file, start, info.file_size) != info.CRC:
            raise UnreadableError(f"{called}: {BAD_CRC}")
    return mapped(path, of_array, start, called) if of_array.size else np.zeros(of_array.shape, of_array.dtype)


def _stored(file: IO[bytes], info: zipfile.ZipInfo, called: str) -> bytes:
    """A stored member's bytes, at a third of what `zipfile` takes for a small one."""
    file.seek(stored_at(file, info, called))
    raw = file.read(info.file_size)
    if zlib.crc32(raw) != info.CRC:
        raise UnreadableError(f"{called}: {BAD_CRC}")
    return raw


def stored_at(file: IO[bytes], info: zipfile.ZipInfo, called: str) -> int:
    """Where the bytes of a member that is not packed begin; UnreadableError where they are not all there, or where
    another member is in its place."""
    file.seek(info.header_offset)
    header = file.read(LOCAL_HEADER)
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    if not header.startswith(LOCAL) or file.read(name_length) != _raw_name(info):
        raise UnreadableError(f"{called}: its place in the zip is another member's: it is damaged; save it again")
    start = info.header_offset + LOCAL_HEADER + int(name_length) + int(extra_length)
    end = start + info.file_size
    if info.compress_size != info.file_size or info.flag_bits & ENCRYPTED or end > file.seek(0, os.SEEK_END):
        raise UnreadableError(f"{called}: it is damaged or truncated; save it again")
    return start


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    """A member's name as it stands in the file (APPNOTE 4.4.4, bit 11)."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & UTF_8 else "cp437")


def _crc(file: BinaryIO, start: int, size: int) -> int:
    """The CRC-32 of a stretch of a file, a block at a time."""
    block, crc = memoryview(bytearray(min(size, BLOCK))), 0
    file.seek(start)
    while size and (count := file.readinto(block[: min(size, BLOCK)])):  # type: ignore[attr-defined]
        crc = zlib.crc32(block[:count], crc)
        size -= count
    return crc


def write(arrays: dict[str, Array], target: BinaryIO) -> None:
    """Write every array, uncompressed, so that readers can map them.

    As `np.savez` does, which takes no array of the name `file` and, before numpy 2, leaves a full disk's archive open.
    """
    with zipfile.ZipFile(target, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
