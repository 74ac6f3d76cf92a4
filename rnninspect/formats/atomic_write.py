"""A file is written whole or not at all, here or behind a URL; what is none (a pipe) is given all of it at the end."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from rnninspect.errors import UnreadableError
from rnninspect.formats import storage


def write_whole(target: str, write: Callable[[BinaryIO], object]) -> None:
    """Lets `write` fill a file beside `target`, which then takes its place; UnreadableError where that cannot be.

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
    from tempfile import NamedTemporaryFile  # with all that it imports: most commands write no file

    if target.is_dir():
        raise IsADirectoryError(None, "it is a folder; name a file")
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(None, "it is read-only")
    with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name[:80]}.", delete=False) as file:
        part = Path(file.name)
        try:
            write(cast(BinaryIO, file.file))  # the file itself: some libraries refuse its wrapper
            file.close()
            part.chmod(_mode(target))
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _mode(target: Path) -> int:
    """The permissions of the file that is there, else those of any new file."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
