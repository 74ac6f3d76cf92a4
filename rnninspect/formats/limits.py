"""What a file may cost before anything of it is used: bytes in memory, how far it unpacks, and seconds.

A file that names a size larger than these, or unpacks to it, is refused by its own claims, before memory is taken.
Arrays that are mapped where they lie take no memory, and have no limit. Who trusts a file raises a limit by its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, replace

from rnninspect.core.frozen import frozen
from rnninspect.core.wording import argument
from rnninspect.errors import UnreadableError, UserError

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
FREE = 64 << 20  # bytes that may unpack from however few


@frozen
class Limits:
    """`bytes`: what one file may take in memory, mapped arrays aside. `ratio`: of its unpacked to its packed bytes,
    beyond FREE. `seconds`: without a sign of life, of an HDF5 file that is read, and of a pipe that nobody has opened
    to write. `checked`: the size up to which a mapped member's CRC is checked."""

    bytes: int = 2 << 30
    ratio: int = 200
    seconds: int = 5
    checked: int = 256 << 20


_current: ContextVar[Limits | None] = ContextVar("limits", default=None)


def limits() -> Limits:
    """Those that hold now."""
    return _current.get() or Limits()


@contextmanager
def limited(**changed: int) -> Iterator[None]:
    """Let other limits hold within the block.

    >>> with limited(bytes=1 << 20):
    ...     limits().bytes
    1048576
    """
    token = _current.set(replace(limits(), **changed))
    try:
        yield
    finally:
        _current.reset(token)


def parsed(texts: tuple[str, ...]) -> Mapping[str, int]:
    """Limits by name, from texts as they are typed; UserError on what is none.

    >>> parsed(("bytes=8G", "seconds=60"))
    {'bytes': 8589934592, 'seconds': 60}
    """
    names = [field.name for field in fields(Limits)]
    changed: dict[str, int] = {}
    for text in texts:
        match = re.fullmatch(rf"({'|'.join(names)})=(\d{{1,15}})([KMGT]?)", text)
        if match is None:
            raise UserError(f"{argument('allow', text)}: give one of {', '.join(names)} with a number, as in bytes=8G")
        changed[match[1]] = int(match[2]) * UNITS[match[3]]
    return changed


def check_size(name: str, what: str, size: int, packed: int | None = None) -> None:
    """Raise UnreadableError where `size` bytes are more than may be read into memory, or than so few may unpack to.

    Args: `name` of the file; `what` of it is meant, or ""; `size`: as the file states it, of any size; `packed`: the
    bytes that it takes in the file, where it is packed.
    """
    now = limits()
    whose = f"{name}: {what}" if what else name
    if size > now.bytes:
        raise UnreadableError(
            f"{whose}: {shown(size)} are more than may be read into memory ({shown(now.bytes)}); if it is right, raise "
            f"the limit with {argument('allow', f'bytes={_raised(size)}')}"
        )
    if packed is not None and size > FREE and size > packed * now.ratio:
        ratio = size // max(1, packed)
        raise UnreadableError(
            f"{whose}: {shown(packed)} unpack to {shown(size)}, {ratio} times as much (limit: {now.ratio}); if it is "
            f"right, raise the limit with {argument('allow', f'ratio={ratio + 1}')}"
        )


def shown(size: int) -> str:
    """So many bytes, for people.

    >>> shown(4096), shown(5 << 30)
    ('4.0 KiB', '5.0 GiB')
    """
    for unit in ("GiB", "MiB", "KiB"):
        scale = UNITS[unit[0]]
        if size >= scale:
            return f"{size / scale:.1f} {unit}" if size < scale << 20 else f"{size // scale:.2e} {unit}"
    return f"{size} bytes"


def _raised(size: int) -> str:
    return f"{-(-size // (1 << 30))}G"
