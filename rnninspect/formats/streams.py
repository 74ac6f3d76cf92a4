"""Bytes that can be read once: pipes, devices and stdin. They may never end, and nobody may ever begin to write."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rnninspect.core.wording import argument
from rnninspect.errors import UnreadableError
from rnninspect.formats.limits import limits, shown

BLOCK = 1 << 20
PAUSE = 0.02  # seconds between two looks for a writer


def is_stream(path: str) -> bool:
    """Whether it is a pipe or a device, which has no size and can be read once."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


@contextmanager
def opened(path: str) -> Iterator[Readable]:
    """A pipe or a device, open to read; UnreadableError for a pipe that nobody writes into."""
    try:
        begun = b""
        if stat.S_ISFIFO(os.stat(path).st_mode) and hasattr(os, "O_NONBLOCK"):
            pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # else opening it waits for a writer, for ever
            with open(pipe, "rb", buffering=0) as file:
                begun = _once_written(pipe, path)
                os.set_blocking(pipe, True)
                yield _Begun(file, begun)
            return
        with open(path, "rb", buffering=0) as file:
            yield file
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read ({error.strerror})") from None


def _once_written(pipe: int, path: str) -> bytes:
    """The first bytes of a pipe, or none where somebody has it open to write and has not begun."""
    deadline = time.monotonic() + limits().seconds
    while time.monotonic() < deadline:
        try:
            if block := os.read(pipe, BLOCK):
                return block
        except BlockingIOError:
            return b""
        time.sleep(PAUSE)
    longer = argument("allow", f"seconds={10 * limits().seconds}")
    raise UnreadableError(
        f"{path}: nobody has written into this pipe for {limits().seconds} s; to wait longer: {longer}"
    )


class Readable(Protocol):
    """What bytes are read from, in pieces of any size."""

    def read(self, count: int, /) -> bytes | None: ...


class _Begun:
    """A stream of which the first bytes were read already."""

    def __init__(self, file: Readable, begun: bytes) -> None:
        self.file, self.begun = file, begun

    def read(self, count: int, /) -> bytes | None:
        if not self.begun:
            return self.file.read(count)
        block, self.begun = self.begun[:count], self.begun[count:]
        return block


def first_bytes(stream: Readable, count: int) -> bytes:
    """The first bytes of a stream, fewer where it ends; a pipe gives them in pieces."""
    head = b""
    while len(head) < count and (block := stream.read(count - len(head))):
        head += block
    return head


def rest_of(stream: Readable, head: bytes, name: str) -> bytes:
    """All of a stream whose head was read; UnreadableError where it goes on beyond the limit."""
    blocks, size, most = [head], len(head), limits().bytes
    while block := stream.read(BLOCK):
        blocks.append(block)
        size += len(block)
        if size > most:
            raise UnreadableError(
                f"{name}: it goes on beyond {shown(most)}; if it is right, raise the limit with "
                f"{argument('allow', f'bytes={2 * most >> 30 or 1}G')}"
            )
    return b"".join(blocks)
