"""Dumps of any size to time things on: random outputs up to each row's length, zeros behind, the right final states."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    """Writes a dump of rows x steps x units, row by row. `wrong`: no state equals any step of its row."""
    rows, steps, units = shape
    name = f"{rows}x{steps}x{units}-{dtype}{'-time' * time_major}{'-wrong' * wrong}"
    dump = Dump(*(folder / f"{name}-{part}.npy" for part in ("outputs", "state", "lengths")), time_major)
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, steps + 1, rows)
    lengths[0] = steps
    stored = open_memmap(dump.outputs, "w+", np.dtype(dtype), (steps, rows, units) if time_major else shape)
    outputs = stored.swapaxes(0, 1) if time_major else stored
    state = np.empty((rows, units), dtype)
    for b in range(rows):
        outputs[b, : lengths[b]] = 2 * rng.random((lengths[b], units), dtype=np.float32) - 1
        state[b] = outputs[b, lengths[b] - 1]
    stored.flush()
    np.save(dump.state, state * 1.5 if wrong else state)
    np.save(dump.lengths, lengths)
    return dump
