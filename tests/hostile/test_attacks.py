"""Attacks by hand that once went through: members in others' places, chunks in another order, truth among numbers."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect import compare, inspect
from rnninspect.errors import ShapeError, UnreadableError, UserError
from rnninspect.formats import read_arrays
from tests.support.commandline import rnninspect
from tests.support.hostile import OUTPUTS, msgpack_array, npy_bytes, npz
from tests.support.places import ROOT, SAMPLES

LARGE = np.arange(40_000, dtype=np.float32).reshape(2, 100, 200)  # beyond what is read rather than mapped


@pytest.mark.parametrize("large", [True, False])
def test_a_member_in_the_place_of_another(tmp_path: Path, large: bool) -> None:
    """A directory that leads to another member, its sum put right, gives that one under no other name."""
    array = LARGE if large else OUTPUTS
    path = npz(tmp_path / "x.npz", [("outputs", npy_bytes(array)), ("other", npy_bytes(-array))])
    with zipfile.ZipFile(path) as archive:
        first, second = archive.infolist()
        at = archive.start_dir
    raw = bytearray(path.read_bytes())
    raw[at + 16 : at + 20] = struct.pack("<L", second.CRC)
    raw[at + 42 : at + 46] = struct.pack("<L", second.header_offset)
    path.write_bytes(raw)
    assert first.file_size == second.file_size
    with pytest.raises(UnreadableError, match="damaged"):
        read_arrays(path)


@pytest.mark.parametrize("name", ["x", "ö", "a/b", "名", "x" * 300])
def test_members_of_any_name_are_mapped(tmp_path: Path, name: str) -> None:
    """A large member is read in its place whatever it is called, as numpy writes it and as zips of old have it."""
    np.savez(tmp_path / "x.npz", **{name: LARGE})
    assert np.array_equal(read_arrays(tmp_path / "x.npz").arrays[name], LARGE)
    if name == "ö":  # without the flag for UTF-8 the name is of code page 437
        raw = (tmp_path / "x.npz").read_bytes().replace("ö".encode(), b"oe")
        (tmp_path / "y.npz").write_bytes(raw)
        assert read_arrays(tmp_path / "y.npz").arrays


@pytest.mark.parametrize("order", ["012", "201", "10"])
def test_chunks_go_by_their_numbers(tmp_path: Path, order: str) -> None:
    """Flax puts chunks together by their keys, in whatever order the file has them."""
    msgpack = pytest.importorskip("msgpack")
    parts = np.split(OUTPUTS.ravel(), len(order))
    tree = {
        "__msgpack_chunked_array__": True,
        "shape": {str(i): OUTPUTS.shape[i] for i in (2, 0, 1)},
        "chunks": {key: msgpack_array(parts[int(key)]) for key in order},
    }
    (tmp_path / "x.msgpack").write_bytes(msgpack.packb({"outputs": tree}))
    assert np.array_equal(read_arrays(tmp_path / "x.msgpack").arrays["outputs"], OUTPUTS)
    tree["chunks"] = {"0": msgpack_array(parts[0]), "7": msgpack_array(parts[1])}
    (tmp_path / "x.msgpack").write_bytes(msgpack.packb({"outputs": tree}))
    with pytest.raises(UnreadableError, match="damaged"):
        read_arrays(tmp_path / "x.msgpack")


@pytest.mark.parametrize("array", [[[0.5, True]], [[True, True], [1, 0]], [[1.5], [False, 2.5]], [True, 1]])
def test_truth_among_numbers(tmp_path: Path, array: Any) -> None:
    """true is no 1 among numbers, in whatever row it stands; true and false alone are a mask."""
    (tmp_path / "x.json").write_text(json.dumps({"h": array}))
    with pytest.raises(ShapeError, match="h holds true or false among numbers"):
        read_arrays(tmp_path / "x.json")
    (tmp_path / "y.json").write_text(json.dumps({"mask": [[True, False], [True, True]]}))
    assert read_arrays(tmp_path / "y.json").arrays["mask"].dtype == bool


def deep_list() -> Any:
    return reduce(lambda inner, _: [inner], range(2000), 1.0)


def list_of_itself() -> Any:
    itself: list[Any] = []
    itself += [itself, itself]
    return itself


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("make", [deep_list, list_of_itself])
def test_what_is_no_array_is_refused(make: Callable[[], Any]) -> None:
    """Lists deeper than any array, and a list that holds itself are refused by name."""
    refused = "cannot be read as numbers|nested too deeply for arrays"
    with pytest.raises(ShapeError, match=refused):
        inspect(make(), OUTPUTS[:, 2])
    with pytest.raises(UserError, match=refused):
        inspect(OUTPUTS, make())


@pytest.mark.parametrize("bound", ["x", -1, float("nan"), None, [0.1]])
@pytest.mark.parametrize("name", ["rtol", "atol"])
def test_tolerances_are_numbers_from_0(name: str, bound: Any) -> None:
    """A tolerance that no number can be held against is refused, and not taken for one."""
    with pytest.raises(UserError, match=f"{name}=.*: give a number from 0 on"):
        inspect(OUTPUTS, OUTPUTS[:, 2], lengths=[3, 3], **{name: bound})
    assert inspect(OUTPUTS, OUTPUTS[:, 2], lengths=[3, 3], **{name: np.float32(0.1)}).ok


@pytest.mark.parametrize("path", [3, 2.5, ["a"], b"none\0", "a\0b"])
def test_what_names_no_file_is_refused(path: Any) -> None:
    """A path that is none is one line, and no error of Python's."""
    with pytest.raises(UserError, match=r"path is needed|no file has such a name"):
        compare(path)
    with pytest.raises(UserError, match="is what was printed"):
        inspect(text=5)


@pytest.mark.parametrize("shape", [(2, 2), (1, 2, 2), (4, 1), (1, 4)])
def test_lengths_are_one_a_row(shape: tuple[int, ...]) -> None:
    """A table of lengths is refused whatever number of them there are; a column or a line of them is not."""
    outputs = np.random.default_rng(0).normal(size=(4, 4, 3))
    lengths = np.array([4, 3, 1, 2])
    states = outputs[np.arange(4), lengths - 1]
    if 4 in shape:
        assert inspect(outputs, states, lengths=lengths.reshape(shape)).ok
        return
    for batch, rows in ((outputs, states), (outputs[:3], states[:3])):
        with pytest.raises(ShapeError, match="one length per row"):
            inspect(batch, rows, lengths=lengths.reshape(shape))


def test_lists_models_and_batches_are_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-o is no @list that names the dumps, and neither the model nor the batch of `check`."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(SAMPLES / "published.npz", "a.npz")
    shutil.copy(ROOT / "tests/data/field/w050.onnx", "m.onnx")
    Path("list").write_text("a.npz\n")
    Path("model.py").write_text("model = None\n")
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    for arguments in (
        "compare @list --format ndjson -o ./list",
        "check m.onnx a.npz --format json -o m.onnx",
        "check m.onnx a.npz --format json -o a.npz",
        "check model:model a.npz --format json -o model.py",
    ):
        done = rnninspect(*arguments.split())
        assert (done.code, done.err.count("\n")) == (2, 1), done
        assert "that file is an input and would be overwritten; name another file" in done.err
        assert {path.name: path.read_bytes() for path in Path().iterdir()} == before
