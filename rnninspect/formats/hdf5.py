"""`.h5`, `.hdf5`: datasets in groups, Keras' `.weights.h5` and whole models among them; plain ones memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from rnninspect.core.feed import Feed
from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats.base import NamedArrays, guarded, need
from rnninspect.formats.bfloat16 import widened
from rnninspect.formats.keras_config import model_attributes
from rnninspect.formats.keras_feeds import model_feeds
from rnninspect.formats.limits import check_size
from rnninspect.formats.supervised import Ahead, supervised
from rnninspect.formats.tree import LeftOut, check_dtypes, gather, nest, shown

NAME = "hdf5"
SUFFIXES = (".h5", ".hdf5")
EXTRA: str | None = "hdf5"
SUMMARY = "datasets in groups, joined by slashes, and attributes; Keras .weights.h5 and legacy .h5 models"

ELSEWHERE = "lies in another file (external), and other files are never opened; copy its numbers into this one"
MAGIC = b"\x89HDF\r\n\x1a\n"


def sniff(head: bytes) -> bool:
    """HDF5's magic bytes, at the start or behind a user block of a power of two."""
    return any(head.startswith(MAGIC, at) for at in (0, 512, 1024, 2048))


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """Every numeric dataset by its path, and the file's own attributes that are arrays; others are left out and noted.

    A legacy Keras model states its layers (`model_config`), and its optimizer's state is left out. Raises
    UnreadableError for a damaged file, and for one of which a part lies in another file: that is never opened.
    """
    return read_as(source, name, NAME)


def read_as(source: Path | BinaryIO, name: str, format: str, described: Described | None = None) -> NamedArrays:
    """`read`, for a format that holds HDF5 and has what describes the layers beside it."""
    need("h5py", name, "hdf5")  # by this process: what forks have imported is lost with them
    described = described or Described()
    dtypes: dict[str, str] = {}
    named_values: list[tuple[str, Any]] = []
    for item in supervised(partial(_items, source, name), name):
        if isinstance(item, Described):
            described = item
            continue
        key, value, narrow = item
        if narrow:
            dtypes[key] = "bfloat16"
        if isinstance(value, _Place):
            assert isinstance(source, Path)
            with guarded(f"{name}: {key}"):
                value = np.memmap(source, value.dtype, mode="r", offset=value.offset, shape=value.shape)
        named_values.append((key, value))
    return gather(named_values, name, format, dtypes=dtypes, attributes=described.attributes, feeds=described.feeds)


@dataclass(frozen=True)
class Described:
    """What a Keras config says of the layers: their settings, and what the recurrent ones read."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    feeds: Mapping[str, Feed] = field(default_factory=dict)


def described_by(config: str | bytes, *, version: str, by_name: bool) -> Described:
    """What `model_attributes` and `model_feeds` give."""
    attributes = model_attributes(config, version=version, by_name=by_name)
    return Described(attributes, model_feeds(config, by_name=by_name))


@dataclass(frozen=True)
class _Place:
    """Where a dataset lies in its file as it is, so that it can be mapped."""

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def _items(source: Path | BinaryIO, name: str) -> Iterator[Any]:
    """What a legacy model states, then every dataset as (path, array or LeftOut or _Place, whether it is bfloat16)."""
    import h5py

    with _opened(source) as held, h5py.File(held, "r") as file:
        paths = _paths(file, name)
        config, version = file.attrs.get("model_config"), file.attrs.get("keras_version")
        if config is not None:
            yield described_by(config, version=_text(version), by_name=True)
        else:
            yield from _attributes(file, paths)
        total = 0
        for key in _as_layers_are(file, paths):
            if key.startswith("optimizer_weights/"):
                continue
            dataset = file[key]
            _refuse_elsewhere(dataset, f"{name}: {key}")
            value, narrow = _value(dataset, isinstance(source, Path))
            if value is _Unread:
                total += dataset.nbytes
                check_size(name, key, dataset.nbytes, dataset.id.get_storage_size())
                check_size(name, "", total)
                yield Ahead(dataset.nbytes)
                value = widened(dataset[()].view(np.uint16)) if narrow else dataset[()]
            yield key, value, narrow


def _attributes(file: Any, paths: list[str]) -> Iterator[tuple[str, Array, bool]]:
    """The arrays of numbers that the file itself has as attributes, lengths say, as datasets of that name."""
    for key, value in file.attrs.items():
        if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "fiub":
            yield (f"{key} (attribute)" if key in paths else key), value, False


def _opened(source: Path | BinaryIO) -> AbstractContextManager[Path | BinaryIO]:
    """What HDF5 can open: it asks for a file's real path, and an unlinked file has none, but can be read."""
    if isinstance(source, Path) and not source.resolve().exists():
        return source.open("rb")
    return nullcontext(source)


def _paths(file: Any, name: str) -> list[str]:
    """The path of every dataset; UnreadableError where a link leads into another file, which is not followed."""
    import h5py

    paths: list[str] = []

    def away(key: bytes, info: Any) -> bytes | None:  # what is not None ends the visit; HDF5 lets no exception through
        return None if info.type in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT) else key

    elsewhere = file.id.links.visit(away, info=True)
    if elsewhere is not None:
        raise UnreadableError(f"{name}: {shown(elsewhere.decode(errors='replace'))} {ELSEWHERE}")
    file.visititems(lambda key, item: paths.append(key) if isinstance(item, h5py.Dataset) else None)
    return paths


def _refuse_elsewhere(dataset: Any, whose: str) -> None:
    """Raise UnreadableError for a dataset whose numbers lie in other files (external storage, virtual datasets)."""
    if dataset.external or dataset.is_virtual:
        raise UnreadableError(f"{whose} {ELSEWHERE}")


def _as_layers_are(file: Any, paths: list[str]) -> list[str]:
    """The paths in the order of a legacy Keras model's `layer_names`: HDF5 itself sorts groups by name."""
    prefix = "model_weights/" if "model_weights" in file else ""
    layers = [_text(name) for name in file[prefix or "/"].attrs.get("layer_names", ())]
    rank = {layer: i for i, layer in enumerate(layers)}
    return sorted(paths, key=lambda path: rank.get(path.removeprefix(prefix).split("/")[0], len(rank)))


class _Unread:
    """Stands for the numbers of a dataset that are to be read."""


def _value(dataset: Any, can_be_mapped: bool) -> tuple[Any, bool]:
    """What a dataset is: None, LeftOut, _Place, or _Unread; and whether Keras marked it as bfloat16."""
    if dataset.shape is None:
        return None, False
    mark = dataset.attrs.get("dtype")
    if isinstance(mark, (str, bytes)) and _text(mark) == "bfloat16" and dataset.dtype.str[1:] in ("V2", "u2"):
        return _Unread, True
    if dataset.dtype.kind not in "fiubc":
        return LeftOut("text" if dataset.dtype.kind in "SO" else str(dataset.dtype)), False
    offset = dataset.id.get_offset()
    if not can_be_mapped or offset is None or dataset.dtype.kind in "bc" or not dataset.size or not _is_plain(dataset):
        return _Unread, False
    return _Place(offset, np.dtype(dataset.dtype.str), dataset.shape), False


def _is_plain(dataset: Any) -> bool:
    """Whether the file's type is numpy's own, bit for bit: not 12 bits of 16, nor a float of other fields."""
    import h5py

    return bool(h5py.h5t.py_create(dataset.dtype).equal(dataset.id.get_type()))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


def write(arrays: dict[str, Array], target: BinaryIO) -> None:
    """Write every array; slashes in names make groups. UserError where a name or a dtype cannot be held.

    Beside variables of Keras' layers (`lstm/cell/vars/0`) the file gets an empty group `vars`: Keras 3.5 opens that of
    the model itself (keras/src/saving/saving_lib.py, `H5Entry`).
    """
    h5py = need("h5py", "writing .h5", "hdf5")
    check_dtypes(arrays, ".h5")
    nest(arrays, ".h5")
    bad = [name for name in arrays if "\0" in name or name.encode(errors="replace").decode() != name]
    if bad:
        raise UnreadableError(f".h5 cannot hold an array called {bad[0]!r}: rename it, or write .npz")
    with h5py.File(target, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        if "vars" not in file and any(PurePosixPath(name).parent.name == "vars" for name in arrays):
            file.create_group("vars")
