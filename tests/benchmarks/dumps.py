"""Dumps of any size to time things on: random outputs up to each row's length, zeros behind, the right final states."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap


@dataclass(frozen=True)
class Dump:
    """The files of one dump, and how its outputs `[B, T, H]` (`[T, B, H]`) lie."""

    outputs: Path
    state: Path
    lengths: Path
    time_major: bool = False

    @property
    def arguments(self) -> list[str]:
        """What the command line needs to inspect it."""
        named = ["--outputs", self.outputs, "--state", self.state, "--lengths", self.lengths, "--convention", "tf1"]
        return [*map(str, named), *(["--time-major"] if self.time_major else [])]


def make(
    folder: Path, shape: tuple[int, int, int], dtype: str = "float32", time_major: bool = False, wrong: bool = False
) -> Dump:
    """Writes a dump of rows x steps x units, row by row. `wrong`: no state equals any step of its row.

    bfloat16 is written as safetensors, which numpy's own files cannot hold.
    """
    rows, steps, units = shape
    name = f"{rows}x{steps}x{units}-{dtype}{'-time' * time_major}{'-wrong' * wrong}"
    brief = dtype == "bfloat16"
    dump = Dump(*(folder / f"{name}-{part}.npy" for part in ("outputs", "state", "lengths")), time_major)
    if brief:
        dump = replace(dump, outputs=dump.outputs.with_suffix(".safetensors"))
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, steps + 1, rows)
    lengths[0] = steps
    stored = _opened(dump.outputs, (steps, rows, units) if time_major else shape, "uint16" if brief else dtype)
    outputs = stored.swapaxes(0, 1) if time_major else stored
    state = np.empty((rows, units), "float32" if brief else dtype)
    for b in range(rows):
        drawn = 2 * rng.random((lengths[b], units), dtype=np.float32) - 1
        if brief:  # the upper half of a float32
            drawn = (drawn.view(np.uint32) >> 16).astype(np.uint16)
        outputs[b, : lengths[b]] = drawn
        state[b] = (drawn[-1].astype(np.uint32) << 16).view(np.float32) if brief else outputs[b, lengths[b] - 1]
    stored.flush()
    np.save(dump.state, state * 1.5 if wrong else state)
    np.save(dump.lengths, lengths)
    return dump


def _opened(path: Path, shape: tuple[int, int, int], dtype: str) -> np.memmap[Any, Any]:
    """A new file, mapped: .npy, or a safetensors file of one tensor."""
    if path.suffix == ".npy":
        return open_memmap(path, "w+", np.dtype(dtype), shape)
    count = 2 * shape[0] * shape[1] * shape[2]
    header = json.dumps({"outputs": {"dtype": "BF16", "shape": shape, "data_offsets": [0, count]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return np.memmap(path, dtype, "r+", 8 + len(header), shape)
