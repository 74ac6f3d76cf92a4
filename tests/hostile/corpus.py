"""Small files of every format, right and awkward ones, from which fuzzing begins.

`python -m tests.hostile.corpus FOLDER` writes them, a folder a reader; the same bytes each time.
"""

from __future__ import annotations

import io
import json
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from rnninspect.formats import formats, write_arrays
from tests.support import hostile
from tests.support.places import DATA, PRINTED, SAMPLES

Arrays: TypeAlias = dict[str, np.ndarray[Any, Any]]

LARGEST = 40_000  # bytes of a seed: what is larger is mutated slowly
OUTPUTS = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
DUMP: Arrays = {"outputs": OUTPUTS, "h": OUTPUTS[[0, 1, 2], [2, 0, 1]], "lengths": np.array([3, 1, 2])}
ODD: Arrays = {
    "half": OUTPUTS.astype(np.float16),
    "turned": np.asfortranarray(OUTPUTS),
    "big": OUTPUTS.astype(">f8"),
    "flags": OUTPUTS > 0,
    "none": np.zeros((2, 0, 3), np.float32),
    "one": np.array(2.5),
}
FAR: Arrays = {"far": np.arange(20_000, dtype=np.int32).reshape(2, 100, 100)}  # so large that it is mapped


def seeds(reader: str) -> list[bytes]:
    """The files of one reader, by a format's name, in a fixed order; KeyError where no reader has that name."""
    chosen = {each.name: each for each in formats()}[reader]
    made = list(MADE[reader]()) if reader in MADE else []
    at_hand = [path for folder in (SAMPLES, DATA, PRINTED) for path in sorted(folder.rglob("*"))]
    kept = (path for path in at_hand if path.is_file() and path.stat().st_size < LARGEST)
    of_suffix = [path.read_bytes() for path in kept if path.suffix in chosen.suffixes and path.name != "index.json"]
    return list(dict.fromkeys(made + of_suffix[:24]))


def _npy() -> Iterator[bytes]:
    for array in (*ODD.values(), *FAR.values()):
        yield hostile.npy_bytes(array)
    file = io.BytesIO()
    np.lib.format.write_array(file, OUTPUTS, version=(2, 0))
    yield file.getvalue()


def _npz() -> Iterator[bytes]:
    for save, arrays in ((np.savez, DUMP), (np.savez, ODD | FAR), (np.savez_compressed, DUMP | ODD)):
        file = io.BytesIO()
        save(file, **arrays)
        yield file.getvalue()


def _written(suffix: str) -> Iterator[bytes]:
    """The dump as this package writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"x{suffix}")
        write_arrays(str(path), DUMP)
        yield path.read_bytes()


def _json() -> Iterator[bytes]:
    yield json.dumps({name: array.tolist() for name, array in DUMP.items()}).encode()
    for nested in ([[1.5, 2.0], [3.0]], [[[1, 2]], [[3, 4], [5, 6]]], {"a": {"b": [1, 2]}, "c": [None, 1]}):
        yield json.dumps(nested).encode()


def _ipynb() -> Iterator[bytes]:
    printed = f"outputs = {OUTPUTS}\nh = {DUMP['h']}\n"
    for output in (
        {"output_type": "stream", "name": "stdout", "text": printed.splitlines(keepends=True)},
        {"output_type": "execute_result", "data": {"text/plain": repr(OUTPUTS), "image/png": "iVBOR"}},
    ):
        cell = {"cell_type": "code", "source": ["print(outputs)\n", "outputs"], "outputs": [output]}
        yield json.dumps({"cells": [{"cell_type": "markdown", "source": "#"}, cell], "nbformat": 4}).encode()


def _ndjson() -> Iterator[bytes]:
    yield b"[[1, 2], [3, 4]]\n[[5, 6]]\n"
    yield b'{"inputs": [[1.5, 2]]}\n{"inputs": [[3, 4], [5, 6]]}\n'


def _safetensors() -> Iterator[bytes]:
    yield from _written(".safetensors")
    header = {
        "a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
        "b": {"dtype": "F64", "shape": [2], "data_offsets": [12, 28]},
        "__metadata__": {"format": "pt"},
    }
    text = json.dumps(header).encode()
    yield struct.pack("<Q", len(text)) + text + bytes(range(28))


def _hdf5() -> Iterator[bytes]:
    import h5py

    yield from _written(".h5")
    zipped, summed = {"chunks": True, "compression": "gzip", "shuffle": True}, {"chunks": True, "fletcher32": True}
    stored: tuple[tuple[dict[str, Any], Arrays], ...] = (
        ({}, DUMP | FAR), ({}, ODD), (zipped, DUMP), (zipped, ODD), (summed, ODD),
    )  # fmt: skip
    for options, arrays in stored:  # few arrays a file, which is read sooner and of which what holds them is more
        file = io.BytesIO()
        with h5py.File(file, "w", libver="latest" if options else "earliest") as opened:
            for name, array in arrays.items():
                plain = options if array.ndim and array.size else {}
                opened.create_dataset(f"group/{name}", data=array, **plain)
            opened["group"].attrs["layer_names"] = [b"x", b"y"]
            opened["soft"] = h5py.SoftLink(f"/group/{next(iter(arrays))}")
            opened["text"] = "words"
        yield file.getvalue()


def _keras() -> Iterator[bytes]:
    weights = next(_hdf5())
    config = {
        "class_name": "Sequential",
        "config": {"layers": [{"class_name": "LSTM", "config": {"name": "lstm", "units": 2, "activation": "tanh"}}]},
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in (("metadata.json", '{"keras_version": "3.5.0"}'), ("config.json", json.dumps(config))):
            archive.writestr(zipfile.ZipInfo(name), text)
        archive.writestr(zipfile.ZipInfo("model.weights.h5"), weights)
    yield file.getvalue()


def _torch() -> Iterator[bytes]:
    import torch

    tensors = {name: torch.tensor(array) for name, array in DUMP.items()}
    nested: list[Any] = [tensors, {"a": (tensors["outputs"].bfloat16(), [tensors["h"]])}, tensors["h"].expand(2, 3, 2)]
    for zipped in (True, False):
        for tree in nested:
            file = io.BytesIO()
            torch.save(tree, file, _use_new_zipfile_serialization=zipped)
            yield file.getvalue()


def _text() -> Iterator[bytes]:
    yield f"outputs = {OUTPUTS!r}\nh = {DUMP['h']!r}\nlengths: [3, 1, 2]\n".encode()
    yield f"tensor({OUTPUTS.tolist()}, grad_fn=<TransposeBackward0>)\n".encode()
    yield f"<pre>{np.array2string(OUTPUTS, threshold=5)}</pre>".encode()


MADE: dict[str, Callable[[], Iterator[bytes]]] = {
    "npy": _npy,
    "npz": _npz,
    "ipynb": _ipynb,
    "json": _json,
    "ndjson": _ndjson,
    "safetensors": _safetensors,
    "hdf5": _hdf5,
    "keras": _keras,
    "torch": _torch,
    "text": _text,
    "msgpack": lambda: _written(".msgpack"),
}


def main() -> None:
    folder = Path(sys.argv[1])
    for each in formats():
        (folder / each.name).mkdir(parents=True, exist_ok=True)
        for number, raw in enumerate(seeds(each.name)):
            path = folder / each.name / f"{number:02}{each.suffixes[0]}"
            path.write_bytes(raw)


if __name__ == "__main__":
    main()
