"""A file is written whole or not at all, here or behind a URL; what is none (a pipe) is given all of it at the end."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from rnninspect.errors import UnreadableError
from rnninspect.formats import storage

PART = ".part"  # what the name of a file ends in that is being written


def write_whole(target: str, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a file beside `target`, which then takes its place; UnreadableError where that cannot be.

    `write` is handed a real binary file (`io.BufferedRandom`) whatever the target is: it may seek and ask for `fileno`.
    A link stays a link: the file that it leads to is replaced. A closed pipe stays a BrokenPipeError.
    """
    try:
        if storage.is_remote(target):
            with storage.writing(target) as file:
                write(file)
        elif _is_special(target):
            with open(target, "wb") as special, storage.temporary() as file:
                write(file)  # which may seek, and a pipe cannot
                file.seek(0)
                shutil.copyfileobj(file, special)
        else:
            _replace(Path(os.path.realpath(target)), write)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnreadableError(f"cannot write {target}: {error.strerror or error}") from None


def _is_special(target: str) -> bool:
    """Whether it is a device or a pipe, which must not be replaced, or a name for a stream that is open already."""
    if os.path.abspath(target).startswith(("/dev/std", "/dev/fd/", "/proc/")):
        return True
    try:
        mode = os.stat(target).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _replace(target: Path, write: Callable[[BinaryIO], object]) -> None:
    if target.is_dir():
        raise IsADirectoryError(None, "it is a folder; name a file")
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(None, "it is read-only")
    _sweep(target)
    file, part = _new_part(target)
    try:
        with file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the name with nothing behind it
        part.chmod(_mode(target))
        part.replace(target)
    except BaseException:
        with suppress(OSError):  # the reason of the failure must not be lost
            file.close()  # first: Windows removes no open file
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _prefix(target: Path) -> str:
    return f".{target.name[:80]}."


def _new_part(target: Path) -> tuple[BinaryIO, Path]:
    """A new file beside the target, and its name. It is locked for as long as this process lives."""
    from tempfile import mkstemp  # with all that it imports: most commands write no file

    while True:
        descriptor, name = mkstemp(dir=target.parent, prefix=_prefix(target), suffix=PART)
        file = cast(BinaryIO, os.fdopen(descriptor, "w+b"))
        with suppress(OSError):  # of a file system without locks: nothing is swept there
            _lock(file)
        if os.path.exists(name):  # else another run has swept it away before it was locked
            return file, Path(name)
        file.close()


def _sweep(target: Path) -> None:
    """Remove what killed runs left beside the target: parts that nobody holds locked."""
    with suppress(OSError):
        for name in os.listdir(target.parent):
            if name.startswith(_prefix(target)) and name.endswith(PART):
                _remove_unlocked(target.parent / name)


def _remove_unlocked(part: Path) -> None:
    with suppress(OSError), part.open("r+b") as file:
        _lock(file, wait=False)
        part.unlink()  # under the lock, so that its owner sees that it is gone; Windows removes no open file


def _lock(file: BinaryIO, wait: bool = True) -> None:
    """Lock a file until it is closed, or its process ends in whatever way; OSError where that cannot be."""
    try:
        import fcntl
    except ImportError:  # Windows, where an open file cannot be removed anyway
        return
    fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _mode(target: Path) -> int:
    """The permissions of the file that is there, else those of any new file."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
