"""Dumps as a list of samples, one object a row, and lengths in an HDF5 file's attributes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import rnninspect
from rnninspect.errors import ShapeError

LENGTHS = [4, 2, 3]


def arrays(wrong: bool) -> tuple[np.ndarray, np.ndarray]:
    """Outputs `[B, T, H]` of a run over the padding, and the last real steps, or the last column."""
    outputs = np.random.default_rng(0).uniform(-1, 1, (3, 4, 5))
    return outputs, outputs[:, -1] if wrong else outputs[np.arange(3), np.array(LENGTHS) - 1]


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
@pytest.mark.parametrize("cut", [False, True])
def test_a_list_of_samples_is_read_as_a_batch(tmp_path: Path, suffix: str, wrong: bool, cut: bool) -> None:
    """Proves that rows with names are put together, whole or cut to their lengths, and judged as their arrays are."""
    outputs, state = arrays(wrong)
    rows = [
        {"id": f"row {b}", "output": o[: n if cut else None].tolist(), "h": h.tolist(), "length": n}
        for b, (o, h, n) in enumerate(zip(outputs, state, LENGTHS, strict=True))
    ]
    path = tmp_path / f"dump.{suffix}"
    path.write_text(json.dumps(rows) if suffix == "json" else "\n".join(map(json.dumps, rows)))
    report = rnninspect.compare(path)
    assert report.verdict == ("findings" if wrong else "clean")
    assert report.lengths == LENGTHS


def test_samples_need_the_same_names(tmp_path: Path) -> None:
    """Proves that a row which lacks a name is named in one line."""
    path = tmp_path / "dump.json"
    path.write_text('[{"output": [[1.0]], "h": [1.0]}, {"output": [[1.0]]}]')
    with pytest.raises(ShapeError, match=r"\[1\] has no 'h', which other rows have"):
        rnninspect.compare(path)


def test_attributes_of_an_hdf5_file_are_arrays_too(tmp_path: Path) -> None:
    """Proves that lengths which are stored as an attribute are used."""
    h5py = pytest.importorskip("h5py")
    for wrong in (False, True):
        with h5py.File(tmp_path / "dump.h5", "w") as file:
            file["output"], file["h"] = arrays(wrong)
            file.attrs["lengths"], file.attrs["epoch"] = LENGTHS, 3
        report = rnninspect.compare(tmp_path / "dump.h5")
        assert (report.verdict, report.lengths) == ("findings" if wrong else "clean", LENGTHS)
