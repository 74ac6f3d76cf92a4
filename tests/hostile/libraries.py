"""What a format's own library makes of a file, and where this package makes something else of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnninspect.formats.base import NamedArrays

Array = np.ndarray[Any, Any]


def difference(reader: str, path: Path, read: NamedArrays) -> str | None:
    """What the library of `reader` reads otherwise than `read`, or why it refuses the file; None where they agree.

    Dtypes, shapes and every bit are compared, and no array may lack on either side; of text, which is left out beside
    numbers, that is said by `read`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = LIBRARIES[reader](path)
    except Exception as error:
        return f"the library refuses it: {type(error).__name__}: {error}"[:200]
    marked = read.dtypes if reader == "hdf5" else {}  # bfloat16 by a mark that HDF5 itself does not know
    ours = {name: _image(array) for name, array in read.arrays.items() if name not in marked}
    text = {name for name, (kind, *_) in theirs.items() if kind.startswith(("bytes", "str"))}
    unsaid = {name for name in text if not any(name in one for one in read.left_out)}
    other = unsaid | {name for name in {*ours, *theirs} - text if ours.get(name) != theirs.get(name)}
    return None if not other else f"{sorted(other)[:3]} are other arrays in {reader}'s library"


def _image(array: Array) -> tuple[Any, ...]:
    """What tells two arrays apart; of an empty one its shape and dtype."""
    return array.dtype.newbyteorder("=").name, array.shape, array.astype(array.dtype.newbyteorder("=")).tobytes()


def _npy(path: Path) -> Mapping[str, Any]:
    return {"": _image(np.load(path, allow_pickle=False))}


def _npz(path: Path) -> Mapping[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        members = archive.zip.namelist()
        return {m.removesuffix(".npy"): _image(archive[m]) for m in members if m.endswith(".npy")}


def _safetensors(path: Path) -> Mapping[str, Any]:
    import safetensors

    return {name: _tensor(fields) for name, fields in safetensors.deserialize(path.read_bytes())}


def _tensor(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    raw, shape, dtype = bytes(fields["data"]), tuple(fields["shape"]), fields["dtype"]
    if dtype == "BF16":  # the upper half of a float32
        halves = np.frombuffer(raw, "<u2")
        return "float32", shape, (halves.astype("<u4") << 16).tobytes()
    kind = {"BOOL": "bool"}.get(dtype) or np.dtype(f"{dtype[0].lower()}{int(dtype[1:]) // 8}").name
    return kind, shape, raw


def _hdf5(path: Path) -> Mapping[str, Any]:
    import h5py

    with h5py.File(path, "r") as file:
        return {name: _image(dataset[()]) for name, dataset in _numeric(file)}


def _numeric(file: Any) -> Iterator[tuple[str, Any]]:
    """Every dataset of numbers that this package takes: not an optimizer's, nor any without a shape."""
    import h5py

    datasets: list[tuple[str, Any]] = []
    file.visititems(lambda name, item: datasets.append((name, item)) if isinstance(item, h5py.Dataset) else None)
    for name, dataset in datasets:
        if name.startswith("optimizer_weights/") or dataset.shape is None:
            continue
        if dataset.dtype.kind in "fiub" and not _is_marked(dataset):
            yield name, dataset


def _is_marked(dataset: Any) -> bool:
    return dataset.attrs.get("dtype") in ("bfloat16", b"bfloat16")


LIBRARIES: Mapping[str, Callable[[Path], Mapping[str, Any]]] = {
    "npy": _npy,
    "npz": _npz,
    "safetensors": _safetensors,
    "hdf5": _hdf5,
}
