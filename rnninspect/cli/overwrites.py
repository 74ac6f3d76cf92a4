"""What a command writes must be none of the files that it reads, and no two results one file: nothing is lost so."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from rnninspect.core.wording import argument
from rnninspect.errors import UserError

# The options that may name a file to read, and those that name one to write, by their Python names.
READ: tuple[str, ...] = ("outputs", "state", "cell_state", "inputs", "lengths", "mask")
READ += ("against", "previous", "weights", "initial_state")
WRITTEN = ("save", "output")


def refuse_overwriting(sources: Iterable[str | None], options: Mapping[str, Any]) -> None:
    """Raise UserError where a file to write is one that is read, or another one that is written.

    Args: `sources`: the files that the command names as its arguments; `options`: by their Python names. Streams and
    devices can be read and written at once.
    """
    read = [name for name in [*sources, *(options.get(option) for option in READ)] if isinstance(name, str)]
    written: dict[str, str] = {}
    for option in WRITTEN:
        target = options.get(option)
        if not isinstance(target, str) or target == "-" or (os.path.exists(target) and not os.path.isfile(target)):
            continue
        if any(_is_same(target, name) for name in read):
            raise UserError(
                f"{argument(option)} {target}: that file is an input and would be overwritten; name another file"
            )
        for other, taken in written.items():
            if _is_same(target, taken):
                raise UserError(f"{argument(option)} {target}: {argument(other)} writes that file; name another file")
        written[option] = target


def _is_same(target: str, name: str) -> bool:
    """Whether both are one file, by whatever names; of FILE#member the file counts, and of @LIST the list."""
    files = {name, name.rpartition("#")[0] or name, name.removeprefix("@")}
    return any(_real(target) == _real(file) or _is_linked(target, file) for file in files)


def _real(file: str) -> str:
    return file if "://" in file else os.path.realpath(file)


def _is_linked(target: str, file: str) -> bool:
    try:
        return os.path.samefile(target, file)
    except OSError:
        return False
