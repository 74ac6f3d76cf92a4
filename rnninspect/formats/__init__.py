"""Bytes <-> named arrays. A new file with a NAME is a new format; no format knows a framework."""

from __future__ import annotations

import importlib
import io
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from rnninspect.core.frozen import frozen
from rnninspect.core.modules_in import modules_in
from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError, UnknownNameError, UnreadableError
from rnninspect.formats import storage, streams
from rnninspect.formats.base import ANONYMOUS, NamedArrays
from rnninspect.formats.witness import witness

HEAD = 4096  # bytes that tell a format
SPELLED = 1 << 16  # entries of text that are read as numbers at most: lengths are no more
NUMERIC = "fiub"  # kinds of dtype: floats, whole numbers, true and false


@frozen
class Format:
    """One format: its suffixes, the extra that it needs, and the module that reads and perhaps writes it."""

    name: str
    suffixes: tuple[str, ...]
    extra: str | None
    summary: str
    module: ModuleType

    @property
    def last(self) -> bool:
        """Whether it reads what no other format claims."""
        return bool(getattr(self.module, "LAST", False))

    @property
    def writes(self) -> bool:
        return hasattr(self.module, "write")


@cache
def formats() -> tuple[Format, ...]:
    """Every format of this folder, by name."""
    return tuple(sorted((f for f in map(_format, _files()) if f is not None), key=lambda f: f.name))


@cache
def _files() -> tuple[str, ...]:
    """The names of this folder's modules; listed once, not for every dump of many."""
    return tuple(modules_in(__path__))


@cache
def _format(file: str) -> Format | None:
    """The format that a file of this folder holds, if it does."""
    module = importlib.import_module(f"{__name__}.{file}")
    if not hasattr(module, "NAME"):
        return None
    return Format(module.NAME, module.SUFFIXES, module.EXTRA, module.SUMMARY, module)


def read_arrays(
    source: str | os.PathLike[str], *, stdin: streams.Readable | None = None, feed: Mapping[str, Array] | None = None
) -> NamedArrays:
    """The arrays of a file, of `FILE#member`, or of `-` (stdin). Content decides the format, then the suffix.

    A file is also whatever fsspec opens: `s3://…`, `gs://…`, `memory://…`. It is copied into a temporary file.
    `feed`: what a model is given beside its file, by its inputs' names; only formats of models have a use for it.
    Raises UnreadableError (missing, empty, truncated, pickled, unknown), ShapeError (arrays that hold no numbers) and
    UnknownNameError (a member or a scheme that is not there).
    """
    path, member = _split(_name_of(source))
    if path == "-":
        read = _read_stream(stdin or sys.stdin.buffer, "stdin", "", feed)
    elif storage.is_remote(path):
        read = _read_remote(path, feed)
    elif streams.is_stream(path):
        with streams.opened(path) as stream:
            read = _read_stream(stream, path, os.path.basename(path), feed)
    else:
        file = Path(path)
        witness(path)
        read = _read_as(_format_for(_head(file), path, file.name), file, path, feed)
    read = _without_text(read, member)
    bad = [f"{n or 'the array'} has dtype {a.dtype}" for n, a in read.arrays.items() if a.dtype.kind not in NUMERIC]
    if bad:
        raise ShapeError(f"{path}: {', '.join(bad)}; only numbers can be read")
    return read if member is None else _member(read, member)


def _without_text(read: NamedArrays, member: str | None) -> NamedArrays:
    """The arrays less those of text, which are left out and named, unless there are no numbers or one is asked for.

    Text that spells numbers (`"9"`, from a table or a request) is read as these.
    """
    read = _with_spelled_numbers(read)
    text = [name for name, array in read.arrays.items() if array.dtype.kind in "US" and name != member]
    if not text or not any(array.dtype.kind in NUMERIC for array in read.arrays.values()):
        return read
    from rnninspect.formats.tree import left_out, note_left_out, shown

    kept = {name: array for name, array in read.arrays.items() if name not in text}
    others = [left_out(name, "text") for name in text]
    notes = (*read.notes, note_left_out(others))
    return replace(read, arrays=kept, notes=notes, left_out=(*read.left_out, *map(shown, others)))


def _with_spelled_numbers(read: NamedArrays) -> NamedArrays:
    """The arrays, those of text whose every entry spells a number as numbers, which is noted."""
    text = {name: a for name, a in read.arrays.items() if a.dtype.kind in "US" and 0 < a.size <= SPELLED}
    if not text:
        return read
    from rnninspect.formats.text_numbers import spelled_numbers

    numbers = {name: spelled for name, a in text.items() if (spelled := spelled_numbers(a)) is not None}
    notes = tuple(f"{name or 'the array'} is text that spells numbers, and read as these" for name in numbers)
    return replace(read, arrays={**read.arrays, **numbers}, notes=(*read.notes, *notes))


def _name_of(source: Any) -> str:
    """A path as text; UnreadableError for what names no file."""
    if not isinstance(source, (str, bytes, os.PathLike)):
        raise UnreadableError(f"a file's path is needed, not {type(source).__name__}")
    name = os.fsdecode(source)
    if "\0" in name:
        raise UnreadableError(f"{name!r}: no file has such a name")
    return name


def _split(source: str) -> tuple[str, str | None]:
    """`FILE#member` in two, unless a file of that whole name exists."""
    if "#" not in source or (storage.is_there(source) if storage.is_remote(source) else os.path.exists(source)):
        return source, None
    path, _, member = source.rpartition("#")
    return path, member


def _read_as(chosen: Format, source: Path | BinaryIO, name: str, feed: Mapping[str, Array] | None) -> NamedArrays:
    takes_feed = bool(feed) and getattr(chosen.module, "TAKES_FEED", False)
    read: NamedArrays = chosen.module.read(source, name, feed) if takes_feed else chosen.module.read(source, name)
    return read


def _read_remote(url: str, feed: Mapping[str, Array] | None) -> NamedArrays:
    """The arrays behind a URL, whose maps go by it though they are of a copy."""
    with storage.local_copy(url) as file:
        read = _read_as(_format_for(_head(file), url, url.rpartition("/")[2].partition("?")[0]), file, url, feed)
    storage.name_maps(read.arrays, url)
    return read


def _head(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UnreadableError(f"{path}: it is a folder; name a file")
        with path.open("rb") as file:
            return file.read(HEAD)
    except FileNotFoundError:
        raise UnreadableError(f"{path}: no such file") from None
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read ({error.strerror})") from None


def _read_stream(stream: streams.Readable, name: str, suffixed: str, feed: Mapping[str, Array] | None) -> NamedArrays:
    """The arrays of what can be read once: the format is told by its first bytes, before the rest is waited for."""
    head = streams.first_bytes(stream, HEAD)
    chosen = _format_for(head, name, suffixed)
    return _read_as(chosen, io.BytesIO(streams.rest_of(stream, head, name)), name, feed)


def _format_for(head: bytes, name: str, suffixed: str) -> Format:
    """The format of a file that begins so; UnreadableError where it is empty or none is."""
    if not head:
        raise UnreadableError(f"{name}: it is empty")
    chosen = _called_as_its_suffix(head, suffixed) or _chosen(head, suffixed)
    if chosen is None:
        names = ", ".join(f.name for f in formats())
        raise UnreadableError(f"{name}: not in a known format ({names})")
    return chosen


def _called_as_its_suffix(head: bytes, suffixed: str) -> Format | None:
    """The format whose file here is called as the suffix, where the bytes are its own: no other need be imported."""
    suffix = os.path.splitext(suffixed)[1]
    files = [name for name in _files() if f".{name.rstrip('_')}" == suffix]
    called_so = _format(files[0]) if files else None
    is_its_own = called_so is not None and suffix in called_so.suffixes and called_so.module.sniff(head)
    return called_so if is_its_own else None


def _chosen(head: bytes, suffixed: str) -> Format | None:
    """The format whose bytes and suffix these are, else whose bytes, else whose suffix; the last ones after all."""
    usual = [f for f in formats() if not f.last]
    fits = [f for f in usual if f.module.sniff(head)]
    named = [f for f in usual if suffixed.endswith(f.suffixes)]
    rest = (f for f in formats() if f.last and f.module.sniff(head))
    return next((f for f in [*(f for f in named if f in fits), *fits, *named, *rest]), None)


def _member(read: NamedArrays, member: str) -> NamedArrays:
    """One array, or the group of arrays whose names begin with `member.` or `member/`, without that prefix."""
    if member in read.arrays:
        return replace(read, arrays={member: read.arrays[member]}, source=f"{read.source}#{member}")
    group = {n[len(member) + 1 :]: a for n, a in read.arrays.items() if n.startswith((f"{member}.", f"{member}/"))}
    if not group:
        raise UnknownNameError(f"member of {read.source}", member, [n for n in read.arrays if n != ANONYMOUS])
    return replace(read, arrays=group, source=f"{read.source}#{member}")


def member_of(called: str, arrays: Iterable[str]) -> str | None:
    """The member of that name, or of the name that such a label gets (`last output`); None where there is none.

    >>> member_of("Last output:", ["outputs", "last_output"])
    'last_output'
    """
    if called in arrays or os.sep in called:
        return called if called in arrays else None
    from rnninspect.formats.text_labels import as_name

    name = as_name(called)
    return name if name and name in arrays else None


def write_arrays(target: str, arrays: Mapping[str, Array], *, stdout: BinaryIO | None = None) -> None:
    """Write arrays in the format of the suffix (.npz by default; `-` is .npz on stdout), whole or not at all.

    Every format's `write(arrays, file)` is handed a real binary file, open for writing and reading, wherever it goes.
    """
    from rnninspect.formats.atomic_write import write_whole

    if target == "-":
        stream = stdout or sys.stdout.buffer
        with storage.temporary() as file:
            _writer(".npz").module.write(dict(arrays), file)
            file.seek(0)
            shutil.copyfileobj(file, stream)
        stream.flush()
        return
    writer = _writer(Path(target).suffix or ".npz")
    write_whole(target, lambda file: writer.module.write(dict(arrays), file))


def write_arrays_like(target: str, arrays: Mapping[str, Array], read: NamedArrays) -> None:
    """`write_arrays`, in the containers and dtypes of the file that was read, where it and the target are of one format
    that keeps such."""
    from rnninspect.formats.atomic_write import write_whole

    kept = [f.module for f in formats() if read.format == f.module.NAME and hasattr(f.module, "write_like")]
    source = Path(read.source)
    if target == "-" or not kept or not target.endswith(kept[0].SUFFIXES) or not source.is_file():
        write_arrays(target, arrays)
    else:
        write_whole(target, lambda file: kept[0].write_like(dict(arrays), file, source))


def write_layer(target: str, arrays: Mapping[str, Array], framework: str, options: Mapping[str, Any]) -> None:
    """Write a layer's weights: as a whole model, where the suffix is of a format that holds such, else the arrays.

    `framework`: whose names the arrays have; `options`: what its users state beside them. Raises UserError where the
    format holds another framework's layers.
    """
    from rnninspect.formats.atomic_write import write_whole

    models = [f.module for f in formats() if hasattr(f.module, "write_layer") and target.endswith(f.suffixes)]
    if not models:
        write_arrays(target, arrays)
    elif framework != models[0].LAYERS_OF:
        held = models[0].LAYERS_OF
        raise UnreadableError(
            f"{target}: such a file holds {held}'s layers, not {framework}'s: write .npz, or move them to {held}"
        )
    else:
        write_whole(target, lambda file: models[0].write_layer(arrays, options, file))


def _writer(suffix: str) -> Format:
    writers = [f for f in formats() if f.writes]
    for writer in writers:
        if suffix in writer.suffixes:
            return writer
    raise UnknownNameError("format to write", suffix, [s for f in writers for s in f.suffixes])
