"""Every format: what it wrote comes back, what it cannot hold is refused, and no bytes whatever give a traceback."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rnninspect.core.trace import Array
from rnninspect.errors import MissingExtraError, ShapeError, UnknownNameError, UnreadableError, UserError
from rnninspect.formats import formats, read_arrays, write_arrays
from tests.support.places import GOLDEN, RECORDED, ROOT

FLAT = ("npy", "json")  # formats that hold one array, or no dtypes: of all others much more is asked
BINARY = tuple(f.suffixes[0] for f in formats() if f.writes and f.name not in FLAT)
OTHERS = tuple(suffix for suffix in BINARY if suffix != ".npz")  # by libraries of their own, numpy's apart
BFLOAT16 = (".safetensors", ".h5", ".pt", ".msgpack")  # what can hold it
TREES = (".h5", ".msgpack")  # slashes in names make levels there
NUMBERS = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
NUMBERS += ["float16", "float32", "float64"]


def same(a: Array, b: Array) -> bool:
    """Shape, dtype (but for the order of its bytes) and every value, bit for bit."""
    plain = b.astype(b.dtype.newbyteorder("="))
    mine = a.astype(a.dtype.newbyteorder("="))
    return (mine.shape, mine.dtype, mine.tobytes()) == (plain.shape, plain.dtype, plain.tobytes())


def both_ways(path: Path) -> list[dict[str, Array]]:
    """The arrays of a file, and of the same bytes through a pipe."""
    piped = read_arrays("-", stdin=io.BytesIO(path.read_bytes()))
    return [dict(read_arrays(path).arrays), dict(piped.arrays)]


@pytest.mark.parametrize("suffix", BINARY)
@pytest.mark.parametrize("dtype", NUMBERS)
def test_every_dtype_comes_back(suffix: str, dtype: str, tmp_path: Path) -> None:
    """Values, shapes and dtypes survive: 0-d, empty, Fortran order, strides, big-endian, extremes."""
    kind = np.dtype(dtype)
    whole = np.arange(24).reshape(2, 3, 4).astype(kind)
    arrays = {
        "plain": whole,
        "scalar": np.array(1, kind),
        "empty": np.zeros((0, 4), kind),
        "fortran": np.asfortranarray(whole),
        "strided": whole[:, ::-2, 1:],
        "broadcast": np.broadcast_to(np.array(1, kind), (2, 3)),
        "big": whole.astype(kind.newbyteorder(">")),
        "carry.h": whole[0],
        "one": whole[:1, :1, :1],
    }
    if kind.kind == "f":
        arrays["special"] = np.array([np.nan, np.inf, -np.inf, -0.0, np.finfo(kind).tiny, np.finfo(kind).max], kind)
    if kind.kind in "iu":
        arrays["extremes"] = np.array([np.iinfo(kind).min, np.iinfo(kind).max], kind)
    path = tmp_path / f"x{suffix}"
    write_arrays(str(path), arrays)
    for loaded in both_ways(path):
        assert set(loaded) == set(arrays)
        assert [name for name in arrays if not same(loaded[name], arrays[name])] == []


ASKED: list[BinaryIO] = []  # the files that a format's `write` was handed


def asking(arrays: dict[str, Array], file: BinaryIO) -> None:
    """Writes as a strict library does: only to a real file, in which it seeks, and by its number."""
    assert isinstance(file, io.BufferedIOBase)
    assert file.readable()
    assert file.seekable()
    ASKED.append(file)
    file.write(b"....")
    file.seek(0)
    file.flush()
    np.arange(3, dtype=np.int8).tofile(file)  # by its number
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("name", "content")


@pytest.mark.parametrize("target", ["file", "link", "pipe", "stdout", "remote"])
def test_a_format_writes_to_a_real_file(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the target is, `write` gets a binary file that libraries take for one, and all of it arrives."""
    monkeypatch.setattr("rnninspect.formats.npz.write", asking)
    ASKED.clear()
    path = tmp_path / "x.npz"
    got = b""
    if target == "stdout":
        stdout = io.BytesIO()
        write_arrays("-", {"a": np.ones(2)}, stdout=stdout)
        got = stdout.getvalue()
    elif target == "remote":
        fsspec = pytest.importorskip("fsspec")
        write_arrays("memory://real.npz", {"a": np.ones(2)})
        got = fsspec.filesystem("memory").cat("/real.npz")
    elif target == "pipe":
        os.mkfifo(path)
        with ThreadPoolExecutor(1) as pool:
            reader = pool.submit(path.read_bytes)
            write_arrays(str(path), {"a": np.ones(2)})
            got = reader.result()
    else:
        written = path
        if target == "link":
            (tmp_path / "link.npz").symlink_to(path)
            path.touch()
            written = tmp_path / "link.npz"
        write_arrays(str(written), {"a": np.ones(2)})
        got = path.read_bytes()
    assert len(ASKED) == 1
    assert ASKED[0].closed
    assert got.startswith(b"\0\1\2")
    assert zipfile.ZipFile(io.BytesIO(got)).read("name") == b"content"


def refusal(act: Callable[[], Any]) -> str | None:
    """What a user is told where that cannot be done; any other exception is a bug and passes."""
    try:
        act()
    except UserError as error:
        return str(error)
    return None


def consume(source: str, stdin: BinaryIO) -> None:
    """Reads and touches every number: a map of a damaged file must not reach beyond its end."""
    for array in read_arrays(source, stdin=stdin).arrays.values():
        assert array.dtype.kind in "fiub"
        np.asarray(array).tobytes()


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)


@given(
    arrays=st.dictionaries(
        NAMES
        | st.sampled_from(["a.b", "a/b", "é", "\x1b[31m", "..", "a b", "data", "/", "x#y", "__metadata__", "cell"]),
        hnp.arrays(st.sampled_from(["float32", "int64", "bool"]), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)),
        min_size=1,
        max_size=4,
    ),
    suffix=st.sampled_from(OTHERS),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_comes_back_or_is_refused(arrays: dict[str, Array], suffix: str, tmp_path: Path) -> None:
    """Hostile names survive, or one line says which cannot be held and nothing is left behind; never another name."""
    path = tmp_path / f"x{suffix}"
    for old in tmp_path.iterdir():
        old.unlink()
    refused = refusal(lambda: write_arrays(str(path), arrays))
    if refused is not None:
        assert suffix in TREES or "__metadata__" in arrays
        assert list(tmp_path.iterdir()) == []
        return
    loaded = read_arrays(path).arrays
    assert set(loaded) == set(arrays)
    assert all(same(loaded[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize("suffix", BINARY)
def test_members_and_groups_are_picked(suffix: str, tmp_path: Path) -> None:
    """`FILE#name` is one array, `FILE#group` the arrays beneath it, and an unknown name lists the known ones."""
    path = tmp_path / f"x{suffix}"
    write_arrays(str(path), {"outputs": np.ones((2, 3)), "cell/kernel": np.zeros(4), "carry.h": np.ones(2)})
    assert list(read_arrays(f"{path}#outputs").arrays) == ["outputs"]
    assert list(read_arrays(f"{path}#cell").arrays) == ["kernel"]
    assert list(read_arrays(f"{path}#carry").arrays) == ["h"]
    with pytest.raises(UnknownNameError, match="outputs"):
        read_arrays(f"{path}#output")


@pytest.mark.parametrize("suffix", OTHERS)
@pytest.mark.parametrize("bad", [np.array(["a"]), np.array([1j]), np.zeros(2, [("a", "f4")]), np.zeros(2, "M8[s]")])
def test_what_a_format_cannot_hold_is_refused(suffix: str, bad: Array, tmp_path: Path) -> None:
    """Text, complex numbers, records and dates: one line with the name and the dtype, nothing half-written."""
    with pytest.raises(ShapeError, match=r"cannot hold stray \("):
        write_arrays(str(tmp_path / f"x{suffix}"), {"good": np.ones(2), "stray": bad})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", TREES)
@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a//b",), ("/a",), ("a/",), ("a/../b",)])
def test_names_that_would_change_are_refused(suffix: str, names: tuple[str, ...], tmp_path: Path) -> None:
    """An array that is a group too, or an empty level, would come back under another name or not at all."""
    with pytest.raises(UnreadableError, match="cannot hold"):
        write_arrays(str(tmp_path / f"x{suffix}"), {name: np.ones(2) for name in names})


SAMPLES = {
    ".npz": GOLDEN / "torch-lstm-float64.npz",
    ".safetensors": GOLDEN / "torch-bigru-file-safetensors.safetensors",
    ".pt": GOLDEN / "torch-lstm-file-pt.pt",
    ".onnx": GOLDEN / "onnx-file-bigru.onnx",
    ".weights.h5": GOLDEN / "keras-lstm-file-h5.weights.h5",
    ".h5": RECORDED / "keras-file-bilstm.h5",
    ".keras": RECORDED / "keras-file-gru.keras",
    ".msgpack": None,
    ".npy": None,
    ".json": None,
}
SAMPLES |= {f.suffixes[0]: None for f in formats() if f.writes and not set(f.suffixes) & set(SAMPLES)}


def test_every_format_has_its_sample() -> None:
    """No format that is read is left out of the tests below; ndjson is the lines of json, text and notebooks have their
    own."""
    assert {f.name for f in formats() if not set(f.suffixes) & set(SAMPLES)} <= {"ndjson", "text", "ipynb"}
    assert {s for f in formats() if f.extra for s in f.suffixes} & set(SAMPLES) - {".weights.h5"} <= {*EXTRAS, ".hdf5"}


def sample(suffix: str, folder: Path) -> bytes:
    """The bytes of a real file of that kind."""
    path = SAMPLES[suffix]
    if path is None:
        path = folder / f"made{suffix}"
        arrays = {"params/cell/ii/kernel": np.ones((3, 4), np.float32), "params/b": np.arange(5)}
        write_arrays(str(path), arrays if suffix != ".npy" else {"": np.arange(60.0).reshape(3, 4, 5)})
    return path.read_bytes()


def damaged(raw: bytes, draw: random.Random) -> bytes:
    """The bytes cut short, changed, cut out or with others put in, at random places."""
    data = bytearray(raw)
    way = draw.choice(["cut", "change", "change", "change", "remove", "insert"])
    if way == "cut":
        return bytes(data[: draw.randrange(1, len(data))])
    for _ in range(draw.choice([1, 1, 3, 20])):
        at = draw.randrange(len(data))
        if way == "change":
            data[at] = draw.randrange(256)
        elif way == "remove":
            del data[at : at + draw.randrange(1, 9)]
        else:
            data[at:at] = draw.randbytes(draw.randrange(1, 9))
    return bytes(data)


@pytest.mark.parametrize("suffix", list(SAMPLES))
def test_damage_never_gives_a_traceback(suffix: str, tmp_path: Path) -> None:
    """Damaged at random places, as a file and through a pipe: arrays of numbers, or one line that names the file."""
    raw, draw = sample(suffix, tmp_path), random.Random(1)
    path = tmp_path / f"x{suffix}"
    refused, count = 0, 20 if suffix.endswith(".h5") else 120  # each damaged HDF5 file is opened in its own process
    for _ in range(count):
        data = damaged(raw, draw)
        path.write_bytes(data)
        for source, name in ((str(path), str(path)), ("-", "stdin")):
            config = refusal(partial(consume, source, io.BytesIO(data)))
            if config is not None:
                refused += 1
                assert config.startswith(name)
                assert "\n" not in config
    assert refused > count / 6


@pytest.mark.parametrize("suffix", list(SAMPLES))
def test_empty_and_foreign_files(suffix: str, tmp_path: Path) -> None:
    """An empty file, text and random bytes under any suffix are one line; real content wins over a wrong suffix."""
    path = tmp_path / f"x{suffix}"
    for data in (b"", b"hello, world\n", random.Random(3).randbytes(300), b"PK\x05\x06" + bytes(18), b"\x80\x02."):
        path.write_bytes(data)
        with pytest.raises(UserError) as caught:
            read_arrays(path)
        assert str(caught.value).startswith(str(path))
    for other in SAMPLES:
        path.write_bytes(sample(other, tmp_path))
        assert read_arrays(path).format == next(f.name for f in formats() if other.endswith(f.suffixes))


EXTRAS = {
    ".safetensors": ("safetensors", "safetensors"),
    ".h5": ("h5py", "hdf5"),
    ".keras": ("h5py", "hdf5"),
    ".onnx": ("onnx", "onnx"),
    ".msgpack": ("msgpack", "msgpack"),
}


@pytest.mark.parametrize("suffix", list(EXTRAS))
def test_a_missing_extra_is_named(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its package a format says what to install, when read and when written, and writes nothing."""
    package, extra = EXTRAS[suffix]
    raw = sample(suffix, tmp_path)
    path = tmp_path / f"x{suffix}"
    path.write_bytes(raw)
    for name in [m for m in sys.modules if m == package or m.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'rnninspect\[{extra}\]'"):
        read_arrays(path)
    if suffix not in (".onnx", ".keras"):
        with pytest.raises(MissingExtraError, match=rf"pip install 'rnninspect\[{extra}\]'"):
            write_arrays(str(tmp_path / f"new{suffix}"), {"a": np.ones(2)})
        assert not (tmp_path / f"new{suffix}").exists()


def test_extras_are_those_of_the_package() -> None:
    """What a format names as its extra is one that the package declares."""
    import tomllib

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {f.extra for f in formats() if f.extra} <= set(declared["project"]["optional-dependencies"])


def bfloat16_bits(values: Array) -> Array:
    """The upper halves of float32, by another way than the reader's."""
    return np.frombuffer(np.asarray(values, "<f4").tobytes(), "<u2")[1::2].reshape(values.shape)


EXACT = np.array([[1.0, -2.5, 0.15625], [np.inf, -0.0, 3e38]], dtype=np.float32)
EXACT = (EXACT.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


def write_safetensors(path: Path, **tensors: tuple[str, Array]) -> None:
    """A file by the format's own description: the header's length, the header, the bytes."""
    header, data = {}, b""
    for name, (dtype, array) in tensors.items():
        held = array.tobytes()
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [len(data), len(data) + len(held)]}
        data += held
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_bfloat16(path: Path) -> None:
    """EXACT as bfloat16, by each format's own library."""
    bits = bfloat16_bits(EXACT)
    if path.suffix == ".safetensors":
        write_safetensors(path, x=("BF16", bits), y=("U16", bits))
    elif path.suffix == ".pt":
        import torch

        torch.save({"x": torch.from_numpy(EXACT).bfloat16(), "y": torch.from_numpy(bits.copy())}, path)
    elif path.suffix == ".msgpack":
        import msgpack

        def packed(dtype: str) -> Any:
            return msgpack.ExtType(1, msgpack.packb((bits.shape, dtype, bits.tobytes())))

        path.write_bytes(msgpack.packb({"x": packed("bfloat16"), "y": packed("uint16")}))
    else:
        import h5py

        with h5py.File(path, "w") as file:
            file["x"], file["y"] = bits.view("V2"), bits
            file["x"].attrs["dtype"] = "bfloat16"


@pytest.mark.parametrize("suffix", BFLOAT16)
def test_bfloat16_arrives_exactly_and_is_said(suffix: str, tmp_path: Path) -> None:
    """bfloat16 is float32 with the same values, named in dtypes and notes; a uint16 beside it stays one."""
    path = tmp_path / f"x{suffix}"
    write_bfloat16(path)
    read = read_arrays(path)
    assert same(read.arrays["x"], EXACT)
    assert same(read.arrays["y"], bfloat16_bits(EXACT))
    assert read.dtypes == {"x": "bfloat16"}
    assert read.notes == ("bfloat16 read as float32, exactly: x",)


def test_large_bfloat16_goes_through_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit it is widened block by block into a temporary file, which is mapped: the same values."""
    from rnninspect.formats import safetensors

    path = tmp_path / "x.safetensors"
    write_bfloat16(path)
    monkeypatch.setattr(safetensors, "IN_MEMORY", 8)
    monkeypatch.setattr(safetensors, "BLOCK", 4)
    loaded = read_arrays(path).arrays["x"]
    assert isinstance(loaded, np.memmap)
    assert same(loaded, EXACT)

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(UnreadableError, match=r"No space left on device.*TMPDIR"):
        read_arrays(path)


LARGE = np.arange(12_000.0).reshape(3, 4000)


def contiguous(path: Path) -> None:
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        file["x"] = LARGE


def tensors(path: Path) -> None:
    write_arrays(str(path), {"x": LARGE})


@pytest.mark.parametrize(("suffix", "write"), [(".safetensors", tensors), (".h5", contiguous), (".npz", tensors)])
def test_plain_arrays_are_mapped(suffix: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    """Reading maps a file of some size: a change to it is seen in the array (behind an HDF5 user block too)."""
    path = tmp_path / f"x{suffix}"
    write(path)
    loaded = read_arrays(path).arrays["x"]
    assert isinstance(loaded, np.memmap)
    at = path.read_bytes().index(LARGE.tobytes())
    with path.open("r+b") as file:
        file.seek(at)
        file.write(np.array(-7.0).tobytes())
    assert loaded[0, 0] == -7


def test_hdf5_datasets_of_every_layout(tmp_path: Path) -> None:
    """Chunked, compressed, big-endian, boolean and scalar datasets are read; text and empty ones are left out."""
    import h5py

    path = tmp_path / "x.h5"
    values = np.arange(24.0).reshape(4, 6)
    with h5py.File(path, "w") as file:
        file.create_dataset("dump/chunked", data=values, chunks=(2, 3))
        file.create_dataset("dump/packed", data=values, compression="gzip", shuffle=True)
        file["dump/big"] = values.astype(">f4")
        file["mask"] = values > 5
        file["lr"] = 0.5
        file["name"] = "lstm"
        file["words"] = np.array(["a", "b"], dtype=object)
        file["nothing"] = h5py.Empty("f4")
        file["record"] = np.zeros(2, [("a", "f4")])
        file["again"] = h5py.SoftLink("/dump/big")
    read = read_arrays(path)
    assert set(read.arrays) == {"dump/chunked", "dump/packed", "dump/big", "mask", "lr"}
    assert all(np.array_equal(read.arrays[f"dump/{name}"], values) for name in ("chunked", "packed", "big"))
    assert np.array_equal(read.arrays["mask"], values > 5)
    assert read.arrays["mask"].dtype == np.bool_
    assert read.notes == (
        "not read, because they are not arrays of numbers: name (text), record ([('a', '<f4')]), words (text)",
    )


def test_msgpack_as_flax_writes_it(tmp_path: Path) -> None:
    """Extension types 1 to 3 and arrays in chunks, as flax/serialization.py packs them; other types are left out."""
    import msgpack

    def ndarray(array: Array, code: int = 1) -> Any:
        return msgpack.ExtType(code, msgpack.packb((array.shape, array.dtype.name, array.tobytes()), use_bin_type=True))

    whole = np.arange(10, dtype=np.float32).reshape(2, 5)
    chunks = {"0": ndarray(whole.ravel()[:6]), "1": ndarray(whole.ravel()[6:])}
    tree = {
        "params": {"ii": {"kernel": ndarray(whole)}, "layers": {"0": ndarray(whole + 1), "1": ndarray(whole + 2)}},
        "big": {"__msgpack_chunked_array__": True, "shape": {"0": 2, "1": 5}, "chunks": chunks},
        "step": ndarray(np.array(3), 3),
        "rate": 0.5,
        "name": "adam",
        "odd": msgpack.ExtType(77, b"x"),
        "none": None,
    }
    path = tmp_path / "x.msgpack"
    path.write_bytes(msgpack.packb(tree, strict_types=True))
    read = read_arrays(path)
    assert list(read.arrays) == ["params/ii/kernel", "params/layers/0", "params/layers/1", "big", "step", "rate"]
    assert same(read.arrays["big"], whole)
    assert same(read.arrays["params/layers/1"], whole + 2)
    assert (read.arrays["step"].item(), read.arrays["rate"].item()) == (3, 0.5)
    assert read.notes == ("not read, because they are not arrays of numbers: name (str), odd (bytes)",)


def test_a_name_met_twice_is_refused(tmp_path: Path) -> None:
    """Two arrays that would have one name are an error, not a choice."""
    import torch

    torch.save({"a.b": torch.ones(2), "a": {"b": torch.zeros(2)}}, tmp_path / "x.pt")
    with pytest.raises(UnreadableError, match=r"two arrays are called a\.b"):
        read_arrays(tmp_path / "x.pt")


def test_float8_is_refused_by_name(tmp_path: Path) -> None:
    """A dtype that numpy lacks and that has no exact reading here is named."""
    path = tmp_path / "x.safetensors"
    write_safetensors(path, x=("F8_E4M3", np.zeros(2, np.uint8)))
    with pytest.raises(ShapeError, match=r"x \(F8_E4M3\)"):
        read_arrays(path)


def test_an_npz_is_what_numpy_writes(tmp_path: Path) -> None:
    """Byte for byte, for every order in memory; and an array may have the names that `np.savez` keeps for itself."""
    rng = np.random.default_rng(0)
    arrays = {"a/b": rng.normal(size=(3, 4)), "F": np.asfortranarray(rng.normal(size=(3, 4))), "0d": np.array(1 << 40)}
    np.savez(tmp_path / "numpy.npz", **arrays)
    write_arrays(str(tmp_path / "own.npz"), arrays)
    assert (tmp_path / "own.npz").read_bytes() == (tmp_path / "numpy.npz").read_bytes()
    reserved = {"file": np.zeros(2), "allow_pickle": np.ones(3)}
    write_arrays(str(tmp_path / "reserved.npz"), reserved)
    back = read_arrays(tmp_path / "reserved.npz").arrays
    assert {name: array.tolist() for name, array in back.items()} == {n: a.tolist() for n, a in reserved.items()}
