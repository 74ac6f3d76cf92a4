"""Where bytes lie: in a file of this machine, or behind a URL (`s3://…`), which fsspec opens (extra `cluster`).

fsspec is imported when a URL is named, and not before. Its backends raise what their services say, in dozens of types;
here every one of them becomes a UserError of one line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rnninspect.core.regex import regex
from rnninspect.core.trace import Array
from rnninspect.errors import UnknownNameError, UnreadableError, UserError
from rnninspect.formats import streams
from rnninspect.formats.base import need, whole

SCHEME = regex(r"[A-Za-z][A-Za-z0-9+.-]+://")  # one letter is a drive
USUAL_SCHEMES = ("s3", "gs", "https", "http", "abfs", "hdfs", "sftp", "file", "memory")  # named first
HEAD = 4096  # bytes that tell whether a stream is text
BLOCK = 8 << 20  # bytes that are in memory at a time
OPEN_FILES = "/proc/self/fd"  # where a file that has no name can be opened again, by its number

# What services call that which changes with a file, the surest first.
VERSIONS: tuple[str, ...] = ("ETag", "etag", "md5Hash", "content_md5")
VERSIONS += ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


def is_remote(name: str) -> bool:
    """Whether it is a URL, `scheme://…`, and not the name of a file that is here (or of a member of one).

    >>> is_remote("s3://runs/a.npz#outputs"), is_remote("runs/a.npz"), is_remote("C://runs/a.npz")
    (True, False, False)
    """
    if "://" not in name or not SCHEME.match(name):
        return False
    return not (os.path.exists(name) or os.path.exists(name.rpartition("#")[0]))


def is_there(url: str) -> bool:
    """Whether a file of that whole name is there; behind http a `#` is never part of a file's name."""
    with _asked(url) as (system, path):
        return "://" not in path and _kind(system, path) == "file"


def names_several(url: str) -> bool:
    """Whether a URL stands for several files: a folder or a pattern. UserError where its service cannot be asked."""
    with _asked(url) as (system, path):
        kind = _kind(system, path)
        return kind == "directory" or (kind is None and _is_pattern(path))


def files_at(url: str, suffixes: tuple[str, ...], recursive: bool) -> list[str]:
    """The URLs of the files that a URL names, by name: itself, what a pattern matches, or what a folder holds with
    these suffixes (all below it too, where `recursive`). A pattern that matches nothing is a name like any other."""
    with _asked(url) as (system, path):
        kind = _kind(system, path)
        if kind == "directory":
            names = system.find(path, maxdepth=None if recursive else 1)
            return sorted(_as_named(url, system, path, name) for name in names if name.endswith(suffixes))
        if kind is None and _is_pattern(path):
            matched = system.glob(path, detail=True).items()
            files = [name for name, info in matched if info["type"] == "file"]
            return sorted(_as_named(url, system, path, name) for name in files) or [url]
    return [url]


def stamp(file: str) -> dict[str, Any]:
    """What tells a file from its own later self: its size in bytes, and its time of change in nanoseconds; of a URL
    what its service says of versions or times, as `version`. {} where it is not there, or where nothing tells."""
    if is_remote(file):
        return _remote_stamp(file)
    try:
        status = os.stat(file)
    except OSError:
        return {}
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _remote_stamp(url: str) -> dict[str, Any]:
    try:
        with _asked(url) as (system, path):
            info = system.info(path)
    except UserError:
        return {}
    version = next((str(info[name]) for name in VERSIONS if info.get(name) is not None), None)
    return {} if version is None else {"size": info.get("size"), "version": version}


def read_bytes(name: str) -> bytes:
    """All of a small text, here or behind a URL; UnreadableError or OSError where it cannot be read."""
    if is_remote(name):
        return b"".join(_blocks(name))
    if streams.is_stream(name):
        with streams.opened(name) as stream:
            head = streams.first_bytes(stream, HEAD)
            if b"\0" in head:
                raise UnreadableError(f"{name}: it is no text")
            return streams.rest_of(stream, head, name)
    return whole(Path(name), name)


@contextmanager
def local_copy(url: str) -> Iterator[Path]:
    """A file of this machine with the bytes behind a URL. It is gone afterwards, but what was mapped of it stays.

    It is written block by block, under TMPDIR; UnreadableError where there is no room, or nothing to read.
    """
    with _copied(url, _blocks(url)) as file:
        yield Path(OPEN_FILES, str(file.fileno())) if os.path.isdir(OPEN_FILES) else Path(file.name)


def fetched(url: str, start: int, stop: int) -> Array:
    """These bytes `[N]` of a file, mapped as uint8 from a temporary file that vanishes with them."""
    with _copied(url, _ranges(url, start, stop)) as file:
        return np.memmap(file.name if file.closed else file, np.uint8, mode="r")


@contextmanager
def writing(url: str) -> Iterator[BinaryIO]:
    """A file to fill; what it holds appears behind the URL when all went well, whole, or not at all.

    OSError where TMPDIR has no room for it; UserError where the service refuses it.
    """
    with _asked(url, "written"):
        pass  # a scheme that cannot be written to is said before the work and not after
    with temporary() as file:
        yield file
        file.seek(0)
        with _asked(url, "written") as (system, path), system.transaction, system.open(path, "wb") as target:
            while block := file.read(BLOCK):
                target.write(block)


@contextmanager
def temporary() -> Iterator[BinaryIO]:
    """A file without a name to fill and read again: a real one (`io.BufferedRandom`), for libraries that ask."""
    from tempfile import TemporaryFile  # with all that it imports: most commands write no file

    with TemporaryFile() as file:
        yield getattr(file, "file", file)  # Windows wraps it in an object that is no file


def map_of(array: Array) -> np.memmap[Any, Any] | None:
    """The map that an array `[…]` is a view of, or None: numpy's own, which knows its `filename` and `offset`."""
    root: Any = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    return root if isinstance(root, np.memmap) else None


def name_maps(arrays: Mapping[str, Array], url: str) -> None:
    """Let the maps of a copy go by the URL that it was copied from."""
    for array in arrays.values():
        mapped = map_of(array)
        if mapped is not None and mapped.filename is not None:  # else widened: no longer the file's own bytes
            mapped.filename = url


@contextmanager
def _copied(url: str, blocks: Iterable[bytes]) -> Iterator[Any]:
    from tempfile import NamedTemporaryFile, TemporaryFile

    with ExitStack() as stack:
        try:
            unnamed = os.path.isdir(OPEN_FILES)
            make: Any = TemporaryFile if unnamed else partial(NamedTemporaryFile, delete=False)
            file: Any = stack.enter_context(make())
            if not unnamed:
                stack.callback(_removed, file.name)
            for block in blocks:
                file.write(block)
            file.flush()
            if not unnamed:
                file.close()  # it is opened again by its name, which Windows allows of a closed file alone
        except OSError as error:  # a block that cannot be read is a UserError already
            raise UnreadableError(
                f"{url}: it is copied into a temporary file, and that cannot be written ({error.strerror or error}); "
                "point TMPDIR to a folder with room"
            ) from None
        yield file


def _removed(name: str) -> None:
    with suppress(OSError):
        os.unlink(name)


def _blocks(url: str) -> Iterator[bytes]:
    with _asked(url) as (system, path), system.open(path, "rb") as file:
        while block := file.read(BLOCK):
            yield block


def _ranges(url: str, start: int, stop: int) -> Iterator[bytes]:
    with _asked(url) as (system, path):
        for at in range(start, stop, BLOCK):
            end = min(at + BLOCK, stop)
            block = system.cat_file(path, start=at, end=end)
            if len(block) != end - at:
                raise UnreadableError(f"{url}: it ends early; it was changed or cut while it was read")
            yield block


@contextmanager
def _asked(url: str, done: str = "read") -> Iterator[tuple[Any, str]]:
    """The file system of a URL, and the path within it; whatever that raises meanwhile is a UserError of one line."""
    try:
        yield _system(url)
    except (UserError, MemoryError):
        raise
    except Exception as error:
        raise UnreadableError(f"{url}: {_why(error, done)}") from None


def _system(url: str) -> tuple[Any, str]:
    fsspec = need("fsspec", url, "cluster")
    scheme = url.partition("://")[0]
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise UserError(f"{url}: {scheme}:// needs a package that is not installed ({_first_line(error)})") from None
    except ValueError:
        schemes = fsspec.available_protocols()
        if scheme in schemes:
            raise
        schemes.sort(key=lambda name: name not in USUAL_SCHEMES)
        raise UnknownNameError(f"scheme in {url}:", scheme, schemes) from None
    system.invalidate_cache()  # what it saw on earlier visits may have changed since
    return system, path


def _why(error: Exception, done: str) -> str:
    if isinstance(error, FileNotFoundError) and done == "read":
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder; name a file"
    if isinstance(error, PermissionError):
        return f"it cannot be {done}: access is refused ({_first_line(error)}); check the credentials for it"
    return f"it cannot be {done} ({_first_line(error)})"


def _first_line(error: Exception) -> str:
    """The first line of what an error says, after its type where its words alone may say nothing."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return text if isinstance(error, (ImportError, OSError)) else f"{type(error).__name__}: {text}"


def _kind(system: Any, path: str) -> str | None:
    """`file`, `directory`, or None where nothing of that name is there."""
    try:
        return str(system.info(path)["type"])
    except FileNotFoundError:
        return None


def _is_pattern(path: str) -> bool:
    """Whether it has a pattern's signs; in an address of the web, which keeps its scheme, `?` begins a query."""
    return any(sign in path for sign in ("*" if "://" in path else "*?["))


def _as_named(url: str, system: Any, path: str, name: str) -> str:
    """A file found below `path`, which is what the user's URL stands for, as the user would have named it."""
    stem = url.rstrip("/")
    head = stem.removesuffix(path.rstrip("/"))
    return head + name if head != stem else str(system.unstrip_protocol(name))
