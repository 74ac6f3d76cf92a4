"""`.h5`, `.hdf5`: datasets in groups, Keras' `.weights.h5` and whole models among them; plain ones memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats.base import NamedArrays, guarded, need
from rnninspect.formats.bfloat16 import widened
from rnninspect.formats.keras_config import model_attributes
from rnninspect.formats.tree import LeftOut, check_dtypes, gather, nest

NAME = "hdf5"
SUFFIXES = (".h5", ".hdf5")
EXTRA: str | None = "hdf5"
SUMMARY = "datasets in groups, joined by slashes; Keras .weights.h5 and legacy .h5 models"

MAGIC = b"\x89HDF\r\n\x1a\n"


def sniff(head: bytes) -> bool:
    """HDF5's magic bytes, at the start or behind a user block of a power of two."""
    return any(head.startswith(MAGIC, at) for at in (0, 512, 1024, 2048))


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """Every numeric dataset by its path; the others are left out with a note.

    A legacy Keras model states its layers (`model_config`), and its optimizer's state is left out.
    """
    h5py = need("h5py", name, "hdf5")
    with guarded(name), _opened(source) as held, h5py.File(held, "r") as file:
        dtypes: dict[str, str] = {}
        named_values = list(datasets(file, source if isinstance(source, Path) else None, dtypes))
        config = file.attrs.get("model_config")
        version = file.attrs.get("keras_version")
        attributes = {} if config is None else model_attributes(config, version=_text(version), by_name=True)
    return gather(named_values, name, NAME, dtypes=dtypes, attributes=attributes)


def _opened(source: Path | BinaryIO) -> AbstractContextManager[Path | BinaryIO]:
    """What HDF5 can open: it asks for a file's real path, and an unlinked file has none, but can be read."""
    if isinstance(source, Path) and not source.resolve().exists():
        return source.open("rb")
    return nullcontext(source)


def datasets(file: Any, path: Path | None, dtypes: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Every dataset as (path within the file, array or LeftOut).

    `path`: the file on disk, where contiguous datasets can be mapped; `dtypes` gets those that are bfloat16.
    """
    import h5py

    paths: list[str] = []
    file.visititems(lambda key, item: paths.append(key) if isinstance(item, h5py.Dataset) else None)
    for key in _as_layers_are(file, paths):
        if not key.startswith("optimizer_weights/"):
            yield key, _array(file[key], key, path, dtypes)


def _as_layers_are(file: Any, paths: list[str]) -> list[str]:
    """The paths in the order of a legacy Keras model's `layer_names`: HDF5 itself sorts groups by name."""
    prefix = "model_weights/" if "model_weights" in file else ""
    layers = [_text(name) for name in file[prefix or "/"].attrs.get("layer_names", ())]
    rank = {layer: i for i, layer in enumerate(layers)}
    return sorted(paths, key=lambda path: rank.get(path.removeprefix(prefix).split("/")[0], len(rank)))


def _array(dataset: Any, key: str, path: Path | None, dtypes: dict[str, str]) -> Any:
    if dataset.attrs.get("dtype") == "bfloat16" and dataset.dtype.itemsize == 2:  # Keras' own mark
        dtypes[key] = "bfloat16"
        return widened(dataset[()].view(np.uint16))
    if dataset.external or dataset.is_virtual:
        return LeftOut("kept in another file")  # whichever path that file names: it is not opened
    if dataset.shape is None:
        return None
    if dataset.dtype.kind not in "fiubc":
        return LeftOut("text" if dataset.dtype.kind in "SO" else str(dataset.dtype))
    offset = dataset.id.get_offset()
    if path is None or offset is None or dataset.dtype.kind in "bc" or not dataset.size:
        return dataset[()]
    return np.memmap(path, dataset.dtype, mode="r", offset=offset, shape=dataset.shape)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


def write(arrays: dict[str, Array], target: BinaryIO) -> None:
    """Writes every array; slashes in names make groups. UserError where a name or a dtype cannot be held."""
    h5py = need("h5py", "writing .h5", "hdf5")
    check_dtypes(arrays, ".h5")
    nest(arrays, ".h5")
    bad = [name for name in arrays if "\0" in name or name.encode(errors="replace").decode() != name]
    if bad:
        raise UnreadableError(f".h5 cannot hold an array called {bad[0]!r}: rename it, or write .npz")
    with h5py.File(target, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
