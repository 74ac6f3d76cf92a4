"""Mutants of every format: refused in one line, or read as the format's own library reads them; and who finds them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect.errors import UnreadableError
from rnninspect.formats import formats, npy, read_arrays
from rnninspect.formats.base import NamedArrays
from tests.hostile.corpus import seeds
from tests.hostile.libraries import LIBRARIES, difference
from tests.hostile.mutator import Mutator
from tests.support.hostile import ARRAYS, OUTPUTS, npy_bytes, npz
from tests.support.places import ROOT

READERS = [each.name for each in formats()]
LONG = int(os.environ.get("RNNINSPECT_LONG", "10000"))
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="mutants are read in forks")


def run_fuzz(executions: int, seed: int, *readers: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.tools.fuzz", *readers, "--engine", "own-mutator"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, "--executions", str(executions), "--seed", str(seed)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@forks
def test_no_mutant_is_a_find() -> None:
    """Of a few hundred mutants of every format none raises anything but a UserError, ends its process or stalls it,
    and each that is read has the dtypes, shapes and bits that its own library gives (npy, npz, hdf5, safetensors)."""
    done = run_fuzz(300, 5, *READERS)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(READERS)
    for line in lines:
        read, refused = (int(line.partition(word)[0].split()[-1]) for word in (" read", " refused"))
        assert read >= 10, line
        assert refused >= 10, line
        assert read + refused == 300, line


@forks
@pytest.mark.long
@pytest.mark.parametrize("reader", READERS)
def test_no_mutant_of_thousands_is_a_find(reader: str) -> None:
    """The same of 10,000 mutants."""
    done = run_fuzz(LONG, 6, reader)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mutants_are_the_same_each_time() -> None:
    """A number and a seed name a mutant; other numbers and seeds other ones, and few are the files they began as."""
    files = seeds("npz")
    mutants = [Mutator(files, 1).mutant(number) for number in range(50)]
    assert mutants == [Mutator(files, 1).mutant(number) for number in range(50)]
    assert len({*mutants, *(Mutator(files, 2).mutant(number) for number in range(50))}) > 80
    assert len(set(mutants) - set(files)) > 40


@forks
@pytest.mark.parametrize(
    ("fault", "find", "executions"),
    [
        ("raise KeyError('x')", "KeyError in formats/", 2),
        ("os._exit(3)", "ended by 3", 2),
        ("os.kill(os.getpid(), 9)", "ended by -9", 2),
        ("exec('while True: pass')", "stalled", 2),
        ("return NamedArrays({'': np.zeros(3)}, name, 'npy')", "other arrays in npy's library", 30),
    ],
)
def test_the_fuzzer_finds_faults(
    fault: str, find: str, executions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader with a fault in it is caught, whatever the fault does to its process, and the mutant is kept."""
    from tests.tools import fuzz

    scope: dict[str, Any] = {"os": os, "NamedArrays": NamedArrays, "np": np}
    exec(f"def read(source, name):\n    {fault}", scope)
    monkeypatch.setattr(npy, "read", scope["read"])
    monkeypatch.setattr(fuzz, "PATIENCE", 1)
    target = fuzz.Target("npy", tmp_path / "mutant.npy", tmp_path / "kept")
    tally = fuzz.fuzz(target, executions, 0, "own-mutator", 1 << 46, 0.5)
    assert tally.executions == executions
    assert any(find in kind for kind in tally.finds), tally.finds
    assert list((tmp_path / "kept").iterdir())


@pytest.mark.parametrize("reader", sorted(LIBRARIES))
def test_libraries_differ_where_arrays_do(reader: str, tmp_path: Path) -> None:
    """The comparison with a library sees another value, dtype, shape and name, an array too few and one too many."""
    path = tmp_path / "x"
    path.write_bytes(seeds(reader)[0])
    named = {each.name: each.suffixes[0] for each in formats()}
    path = path.rename(tmp_path / f"x{named[reader]}")
    read = read_arrays(path)
    assert difference(reader, path, read) is None
    name, array = next(iter(read.arrays.items()))
    other = np.array(array)
    other.flat[0] = -other.flat[0]
    for changed in ({name: other}, {name: array.astype("i2")}, {name: array[None]}, {"renamed": array}, {}):
        rest = {key: value for key, value in read.arrays.items() if key != name}
        assert difference(reader, path, NamedArrays({**rest, **changed}, "x", reader)) is not None
    (tmp_path / "no").write_bytes(b"none")
    assert "refuses" in str(difference(reader, tmp_path / "no", read))


@pytest.mark.parametrize("version", [b"\x02\x01", b"\x01\x01", b"\x20\x00", b"\x00\x01", b"\x04\x00"])
def test_npy_of_no_version(version: bytes, tmp_path: Path) -> None:
    """A version that numpy does not have is refused, as numpy does, here and in a zip."""
    raw = npy_bytes(OUTPUTS)
    (tmp_path / "x.npy").write_bytes(raw[:6] + version + raw[8:])
    npz(tmp_path / "x.npz", [("h", raw[:6] + version + raw[8:])])
    for name in ("x.npy", "x.npz"):
        with pytest.raises(UnreadableError, match=r"numpy does not know its version of \.npy"):
            read_arrays(tmp_path / name)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_of_every_version(version: tuple[int, int], tmp_path: Path) -> None:
    """Each version that numpy writes is read."""
    file = io.BytesIO()
    np.lib.format.write_array(file, OUTPUTS, version=version)
    (tmp_path / "x.npy").write_bytes(file.getvalue())
    assert np.array_equal(read_arrays(tmp_path / "x.npy").arrays[""], OUTPUTS)


@pytest.mark.parametrize("dtype", ["4f4", "(2,2)f4", "1f8"])
@pytest.mark.parametrize("shape", ["(3, 4, 0)", "(2, 3, 1)"])
def test_npy_whose_elements_are_arrays(dtype: str, shape: str, tmp_path: Path) -> None:
    """An array of arrays is refused, of which numpy makes another shape, or nothing."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    raw = b"\x93NUMPY\x01\x00v\x00" + header + bytes(500)
    (tmp_path / "x.npy").write_bytes(raw)
    if np.dtype(dtype).subdtype is None:
        pytest.skip("numpy takes it for a plain number")
    with pytest.raises(UnreadableError, match="its dtype is arrays of their own"):
        read_arrays(tmp_path / "x.npy")


def test_npz_behind_other_bytes(tmp_path: Path) -> None:
    """A zip that something stands before is no .npz for numpy, and none here; a zip of nothing is said to be that."""
    whole = npz(tmp_path / "x.npz", [(name, npy_bytes(array)) for name, array in ARRAYS.items()])
    whole.write_bytes(b"#!/bin/sh\n" + whole.read_bytes())
    with pytest.raises(UnreadableError, match="does not begin as a zip"):
        read_arrays(whole)
    with zipfile.ZipFile(tmp_path / "none.npz", "w"):
        pass
    with pytest.raises(UnreadableError, match="it holds no arrays"):
        read_arrays(tmp_path / "none.npz")


def test_text_beside_numbers_is_no_other_array(tmp_path: Path) -> None:
    """A member of text is left out and named; the comparison with numpy's reading asks for no more, and for no less."""
    path = tmp_path / "x.npz"
    np.savez(path, outputs=OUTPUTS, comment=np.array([b"abcd"]))
    read = read_arrays(path)
    assert difference("npz", path, read) is None
    assert difference("npz", path, replace(read, left_out=())) == "['comment'] are other arrays in npz's library"


@pytest.mark.parametrize("axis", [2**62, 2**64, 10**30])
@pytest.mark.parametrize("form", ["npy", "npz", "safetensors"])
def test_an_empty_array_with_an_endless_axis_is_refused(form: str, axis: int, tmp_path: Path) -> None:
    """No numbers, but an axis longer than any array can have: one line, not numpy's own error."""
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': (0, {axis}), }}"
    header = text.encode().ljust(117) + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    path = tmp_path / f"x.{form}"
    if form == "npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", array)
    elif form == "safetensors":
        told = f'{{"x": {{"dtype": "F64", "shape": [0, {axis}], "data_offsets": [0, 0]}}}}'.encode()
        path.write_bytes(len(told).to_bytes(8, "little") + told)
    else:
        path.write_bytes(array)
    with pytest.raises(UnreadableError, match=r"x\."):
        read_arrays(path)
