"""Files that change while they are read: told by their size and time, before and after."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from rnninspect.errors import UnreadableError

_witnessed: ContextVar[list[tuple[str, os.stat_result]] | None] = ContextVar("witnessed", default=None)


def witness(file: str) -> None:
    """Remember how a file of this machine is as it is opened, for `unchanged`."""
    seen = _witnessed.get()
    if seen is not None:
        with suppress(OSError):
            seen.append((file, os.stat(file)))


def shortened() -> str | None:
    """The file that was opened within `unchanged` and has become shorter since, if there is one."""
    for file, before in _witnessed.get() or ():
        with suppress(OSError):
            if os.stat(file).st_size < before.st_size:
                return file
    return None


@contextmanager
def unchanged() -> Iterator[None]:
    """Raise UnreadableError at the block's end where a file that was opened within it was changed meanwhile: what was
    read of it is neither the old file nor the new one. A new file of the same name, put in its place, changes nothing.
    """
    seen: list[tuple[str, os.stat_result]] = []
    token = _witnessed.set(seen)
    try:
        yield
    finally:
        _witnessed.reset(token)
    for file, before in seen:
        with suppress(OSError):
            now = os.stat(file)
            size_and_time = (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
            if os.path.samestat(now, before) and not size_and_time:
                raise UnreadableError(f"{file}: it was changed while it was read; compare it when it is written whole")
