"""A format of its own: a magic word, then a zip of .npy members. It is written to a real file or not at all."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.formats.base import NamedArrays, guarded
from rnninspect.formats.tree import check_dtypes

NAME = "madeup"
SUFFIXES = (".madeup",)
EXTRA: str | None = None
SUMMARY = "a made-up format, to show that one file is enough"

MAGIC = b"MADEUP\n"


def sniff(head: bytes) -> bool:
    """The magic word."""
    return head.startswith(MAGIC)


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """Every member by its name."""
    with guarded(name):
        raw = source.read_bytes() if isinstance(source, Path) else source.read()
        with zipfile.ZipFile(io.BytesIO(raw[len(MAGIC) :])) as archive:
            members = {n: np.load(io.BytesIO(archive.read(n)), allow_pickle=False) for n in archive.namelist()}
    return NamedArrays(members, name, NAME)


def write(arrays: dict[str, Array], target: BinaryIO) -> None:
    """Refuses what is no file of the operating system's, as some libraries do."""
    check_dtypes(arrays, ".madeup")
    if not isinstance(target, io.BufferedIOBase) or not os.fstat(target.fileno()):
        raise TypeError("a real file is needed")
    target.write(b"\0" * len(MAGIC))
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array)
            archive.writestr(zipfile.ZipInfo(name), member.getvalue())
    target.write(held.getvalue())
    target.seek(0)
    target.write(MAGIC)
    target.seek(0, os.SEEK_END)
