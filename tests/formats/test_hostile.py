"""Files that lie, that name other files, or that never end: each is refused in one line, or read as it is."""

from __future__ import annotations

import io
import json
import os
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect.errors import ShapeError, UnreadableError, UserError
from rnninspect.formats import read_arrays
from rnninspect.formats.limits import Limits, check_size, limited, limits, parsed
from rnninspect.formats.supervised import Ahead, supervised
from tests.support import hostile
from tests.support.hostile import ARRAYS, OUTPUTS, msgpack_array, npy_bytes

LARGE = np.zeros((4, 64, 256), dtype=np.float32) + 0.5  # beyond what is read rather than mapped

Making = Callable[[Path], Path]


def _packed_twice(path: Path) -> Path:
    return hostile.npz(
        path, [("outputs", npy_bytes(OUTPUTS)), ("h", npy_bytes(OUTPUTS[:, 0])), ("h", npy_bytes(OUTPUTS[:, 2]))]
    )


REFUSED: list[tuple[str, str, Making, str]] = [
    (
        "header beyond its member",
        "x.npz",
        lambda p: hostile.npz_with(p, "h", npy_bytes(OUTPUTS[:, 2], (2, 400))),
        "truncated",
    ),
    ("large header beyond", "x.npz", lambda p: hostile.npz_with(p, "a", npy_bytes(LARGE, (8, 64, 256))), "truncated"),
    (
        "header beyond, packed",
        "x.npz",
        lambda p: hostile.npz_with(p, "h", npy_bytes(OUTPUTS, (1 << 40,)), packed=True),
        "truncated",
    ),
    (
        "axis of -1",
        "x.npz",
        lambda p: hostile.npz_with(p, "h", npy_bytes(OUTPUTS[:, 2], (-1,))),
        "axis can be negative",
    ),
    ("large axis of -1", "x.npz", lambda p: hostile.npz_with(p, "a", npy_bytes(LARGE, (-1,))), "axis can be negative"),
    ("axis of -1, npy", "x.npy", lambda p: _written(p, npy_bytes(OUTPUTS, (-1, 4))), "axis can be negative"),
    ("overflow, npy", "x.npy", lambda p: _written(p, npy_bytes(OUTPUTS, (1 << 62, 4, 4))), "truncated"),
    (
        "axis that is true",
        "x.npy",
        lambda p: _written(p, npy_bytes(OUTPUTS).replace(b"(2, 3, 4)", b"(True, 4)")),
        "negative|damaged",
    ),
    (
        "flipped bit",
        "x.npz",
        lambda p: hostile.flipped(hostile.npz_with(p, "h", npy_bytes(OUTPUTS[:, 2])), OUTPUTS[:, 2].tobytes()),
        "CRC",
    ),
    (
        "flipped bit, large",
        "x.npz",
        lambda p: hostile.flipped(hostile.npz_with(p, "a", npy_bytes(LARGE)), LARGE.tobytes()),
        "CRC",
    ),
    ("two members of one name", "x.npz", _packed_twice, "'h' is in it twice"),
    ("two keys of one name", "x.json", hostile.doubled_json, "'h' is in it twice"),
    ("one name by two ways", "x.json", lambda p: _written(p, b'{"a.b": [1], "a": {"b": [2]}}'), "'a.b' is in it twice"),
    (
        "two keys in a line",
        "x.ndjson",
        lambda p: _written(p, b'{"inputs": [[1]], "inputs": [[2]]}\n[[1]]\n'),
        "line 1: 'inputs' is in it twice",
    ),
    ("two keys, msgpack", "x.msgpack", hostile.doubled_msgpack, "'h' is in it twice"),
    (
        "negative axis, msgpack",
        "x.msgpack",
        lambda p: hostile.msgpack_of(p, {"h": msgpack_array(OUTPUTS, (-1, 4))}),
        "damaged",
    ),
    ("two keys, safetensors", "x.safetensors", lambda p: _doubled_safetensors(p), "twice|damaged"),
    ("deep objects", "x.json", lambda p: _written(p, b'{"a":' * 900 + b"[1]" + b"}" * 900), "nested too deeply"),
    ("deep lists", "x.json", lambda p: _written(p, b"[" * 100_000 + b"]" * 100_000), "nested too deeply"),
    (
        "deep lines",
        "x.ndjson",
        lambda p: _written(p, b"[[1]]\n" + b"[" * 900 + b"]" * 900 + b"\n" + b"[" * 100_000),
        "nested too deeply|not JSON|line 3",
    ),
    ("deep first line", "x.ndjson", lambda p: _written(p, b"[" * 100_000 + b"\n[1]\n"), "nested too deeply|not JSON"),
    (
        "ragged mixture",
        "x.json",
        lambda p: _written(p, b"[[[1, 2], [3, 4]], [[5, []]], []]"),
        "different numbers of features",
    ),
    (
        "ragged mixture of depths",
        "x.json",
        lambda p: _written(p, b"[[1, [2]], [[[3]], 4, 5]]"),
        "different numbers of features",
    ),
    ("whole numbers that floats round", "x.json", lambda p: _written(p, b"[[[1.5, 9007199254740993]]]"), "not exact"),
    ("bomb, npz", "x.npz", lambda p: hostile.npz_with(p, "a", hostile.bomb(100 << 20), packed=True), "unpack to 100"),
]


def _written(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw)
    return path


def _doubled_safetensors(path: Path) -> Path:
    one = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
    return hostile.safetensors(path, f'{{"a":{one},"a":{one}}}', bytes(8))


@pytest.mark.parametrize(("name", "make", "says"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_a_file_that_lies_is_refused(tmp_path: Path, name: str, make: Making, says: str) -> None:
    """Whatever it lies about, the error names the file and what is wrong, from a path and from a stream."""
    path = make(tmp_path / name)
    with pytest.raises(UserError, match=says) as refused:
        read_arrays(path)
    assert str(path) in str(refused.value)
    with pytest.raises(UserError):
        read_arrays("-", stdin=io.BytesIO(path.read_bytes()))


def test_honest_files_are_still_read(tmp_path: Path) -> None:
    """Small, large, packed, empty and scalar members come as numpy reads them."""
    arrays = {
        **ARRAYS,
        "large": LARGE,
        "none": np.zeros((2, 0, 4)),
        "one": np.array(3),
        "back": np.asfortranarray(LARGE[0]),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", **arrays)
        read = read_arrays(tmp_path / "x.npz").arrays
        assert {name: (a.shape, a.dtype) for name, a in read.items()} == {
            n: (a.shape, a.dtype) for n, a in arrays.items()
        }
        assert all(np.array_equal(read[name], array) for name, array in arrays.items())


def test_crc_beyond_its_limit_is_not_checked(tmp_path: Path) -> None:
    """A stored member larger than `checked` bytes is mapped without a look at its numbers."""
    path = hostile.flipped(hostile.npz_with(tmp_path / "x.npz", "a", npy_bytes(LARGE)), LARGE.tobytes())
    with limited(checked=1000):
        assert read_arrays(path).arrays["a"].shape == LARGE.shape


def test_a_ratio_that_is_allowed(tmp_path: Path) -> None:
    """What unpacks far is read where the limit is raised; what is larger than `bytes` is not."""
    path = hostile.npz_with(tmp_path / "x.npz", "a", hostile.bomb(65 << 20), packed=True)
    with limited(ratio=2000):
        assert read_arrays(path).arrays["a"].size == 65 << 20
        with limited(bytes=1 << 20), pytest.raises(UnreadableError, match="more than may be read into memory"):
            read_arrays(path)


def test_limits_by_name() -> None:
    """Limits are stated with units, hold within their block, and an unknown one is refused."""
    assert parsed(("bytes=2K", "ratio=7")) == {"bytes": 2048, "ratio": 7}
    with limited(seconds=3):
        assert limits() == Limits(seconds=3)
    assert limits() == Limits()
    for text in ("byte=1", "bytes=-1", "bytes=1e9", "bytes"):
        with pytest.raises(UserError, match="give one of"):
            parsed((text,))
    check_size("x", "", 10)
    check_size("x", "", 1 << 20, 1)  # however far: it is little


def test_text_that_is_too_large(tmp_path: Path) -> None:
    """A sparse file of 1 TiB is refused by its size, before it is read."""
    for name in ("x.json", "x.txt", "x.ndjson", "x.msgpack", "x.onnx"):
        path = tmp_path / name
        begins = {".msgpack": b"\x81\xa1a\x01", ".onnx": b"\x08\x08\x12\x00"}
        path.write_bytes(begins.get(path.suffix, b"[1, 2]\n[3]\n" + b" " * 5000))
        os.truncate(path, 1 << 40)
        with pytest.raises(UnreadableError, match="more than may be read"):
            read_arrays(path)


def _hdf5(path: Path, **datasets: Any) -> Any:
    import h5py

    file = h5py.File(path, "w")
    for name, array in {**ARRAYS, **datasets}.items():
        file[name] = array
    return file


def test_hdf5_that_leads_elsewhere(tmp_path: Path) -> None:
    """External storage (behind Keras' mark too), external links and virtual datasets are refused, and not opened."""
    import h5py

    os.mkfifo(tmp_path / "other")  # whoever opens it waits for ever
    away = str(tmp_path / "other")
    made: list[tuple[str, Callable[[Any], Any]]] = [
        ("secret", lambda f: f.create_dataset("secret", (4,), "u1", external=[(away, 0, 4)])),
        (
            "marked",
            lambda f: f.create_dataset("marked", (4,), "u2", external=[(away, 0, 8)]).attrs.update(dtype="bfloat16"),
        ),
        ("model_weights", lambda f: f.__setitem__("model_weights", h5py.ExternalLink(away, "/"))),
        ("a/b/linked", lambda f: f.__setitem__("a/b/linked", h5py.ExternalLink(away, "/x"))),
        ("virtual", lambda f: f.create_virtual_dataset("virtual", _layout(h5py, away))),
    ]
    for name, make in made:
        path = tmp_path / f"{name.rpartition('/')[2]}.h5"
        with _hdf5(path) as file:
            make(file)
        with pytest.raises(UnreadableError, match=rf"{name} lies in another file \(external\)"):
            read_arrays(path)


def _layout(h5py: Any, away: str) -> Any:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(away, "x", (4,))
    return layout


def test_hdf5_types_that_numpy_does_not_have(tmp_path: Path) -> None:
    """Integers of 12 bits at an offset, and a bfloat16 of the file's own, are converted by HDF5, never read raw."""
    import h5py

    narrow = h5py.h5t.STD_I16LE.copy()
    narrow.set_precision(12)
    narrow.set_offset(4)
    brain = h5py.h5t.IEEE_F32LE.copy()
    brain.set_fields(31, 23, 8, 0, 23)
    brain.set_fields(15, 7, 8, 0, 7)
    brain.set_size(2)
    numbers = np.array([1, -2, 3, 100], dtype=np.int16)
    with _hdf5(tmp_path / "x.h5") as file:
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file.id, b"narrow", narrow, space).write(h5py.h5s.ALL, h5py.h5s.ALL, numbers)
        h5py.h5d.create(file.id, b"brain", brain, space).write(h5py.h5s.ALL, h5py.h5s.ALL, numbers.astype(np.float32))
    read = read_arrays(tmp_path / "x.h5").arrays
    assert np.array_equal(read["narrow"], numbers)
    assert np.array_equal(read["brain"], numbers)


def test_hdf5_bomb(tmp_path: Path) -> None:
    """Numbers that were never written, or pack well, are refused by the size that they would take."""
    with _hdf5(tmp_path / "x.h5") as file:
        file.create_dataset("void", (1 << 40,), "f8", chunks=(1 << 20,))
    with pytest.raises(UnreadableError, match=r"void: 8192\.0 GiB are more than may be read"):
        read_arrays(tmp_path / "x.h5")
    with _hdf5(tmp_path / "y.h5") as file:
        file.create_dataset("zeros", data=np.zeros(100 << 20, np.uint8), compression="gzip", chunks=(1 << 20,))
    with pytest.raises(UnreadableError, match=r"zeros: .* unpack to 100"):
        read_arrays(tmp_path / "y.h5")


def test_a_worker_that_never_ends() -> None:
    """It is ended after its seconds, and the file is named; so is one that dies, and one that fails."""

    def endless() -> Any:
        yield 1
        while True:
            pass

    def dying() -> Any:
        yield 1
        os._exit(0)

    def failing() -> Any:
        yield np.arange(3)
        raise KeyError("x")

    def asleep() -> Any:
        yield Ahead(60 << 20)  # three seconds more
        time.sleep(1.5)
        yield 2

    for work, says in (
        (endless, "x.h5: it kept its reader busy"),
        (dying, "x.h5: it ended the process"),
        (failing, "x.h5: it is damaged"),
    ):
        began = time.monotonic()
        with limited(seconds=1), pytest.raises(UnreadableError, match=says):
            list(supervised(work, "x.h5"))
        assert time.monotonic() - began < 4
    with limited(seconds=1):
        assert list(supervised(asleep, "x.h5")) == [2]


def test_pipes(tmp_path: Path) -> None:
    """A pipe without a writer is given up; one whose writer is late, or slow, is read."""
    pipe = tmp_path / "x.json"
    os.mkfifo(pipe)
    with limited(seconds=1), pytest.raises(UnreadableError, match="nobody has written into this pipe for 1 s"):
        read_arrays(pipe)

    def write() -> None:
        time.sleep(0.3)
        with pipe.open("wb", buffering=0) as file:
            time.sleep(1.5)
            file.write(b"[[1, 2],")
            time.sleep(0.2)
            file.write(b" [3, 4]]")

    writer = threading.Thread(target=write)
    writer.start()
    with limited(seconds=1):
        assert read_arrays(pipe).arrays[""].tolist() == [[1, 2], [3, 4]]
    writer.join()


def test_devices() -> None:
    """Bytes without an end are refused by their first ones, or at the limit."""
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(UnreadableError, match=f"{device}: (not in a known format|it is empty)"):
            read_arrays(device)

    class Endless:
        def read(self, count: int, /) -> bytes:
            return b"[1, 2],\n" * (count // 8)

    with limited(bytes=1 << 20), pytest.raises(UnreadableError, match=r"stdin: it goes on beyond 1\.0 MiB"):
        read_arrays("-", stdin=Endless())


def test_torch_files(tmp_path: Path) -> None:
    """A tensor that repeats one number over gigabytes, and a member that is there twice, are refused."""
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.ones(1).expand(1 << 10, 1 << 10, 1 << 10)}, tmp_path / "wide.pt")
    with pytest.raises(UnreadableError, match=r"wide\.pt: a: 4\.0 GiB"):
        read_arrays(tmp_path / "wide.pt")
    torch.save({"a": torch.ones(1).expand(2, 3)}, tmp_path / "small.pt")
    assert read_arrays(tmp_path / "small.pt").arrays["a"].shape == (2, 3)
    torch.save({"a": torch.ones(3)}, tmp_path / "twice.pt")
    with zipfile.ZipFile(tmp_path / "twice.pt", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("twice/data/0", b"\0" * 12)
    with pytest.raises(UnreadableError, match="twice/data/0' is in it twice"):
        read_arrays(tmp_path / "twice.pt")


def test_onnx_that_leads_elsewhere(tmp_path: Path) -> None:
    """Weights in a file above the model, or behind a link, are not opened; neither are negative axes made up."""
    onnx = pytest.importorskip("onnx")
    (tmp_path / "in").mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(1 << 12))
    (tmp_path / "in" / "link").symlink_to(secret)

    def model(tensor: Any) -> Path:
        node = onnx.helper.make_node("RNN", ["X", "W", "R"], ["Y"], hidden_size=2, name="a")
        rest = onnx.numpy_helper.from_array(np.zeros((1, 2, 2), np.float32), "R")
        graph = onnx.helper.make_graph([node], "g", [], [], [tensor, rest])
        path = tmp_path / "in" / "x.onnx"
        path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
        return path

    for where in ("../secret", str(secret), "link", "."):
        away = onnx.TensorProto(name="W", dims=(1, 2, 3), data_type=1, data_location=onnx.TensorProto.EXTERNAL)
        entry = away.external_data.add()
        entry.key, entry.value = "location", where
        with pytest.raises(UnreadableError, match="must stand beside the model"):
            read_arrays(model(away))
    negative = onnx.numpy_helper.from_array(np.zeros((1, 2, 3), np.float32), "W")
    negative.dims[2] = -1
    with pytest.raises(UnreadableError, match=r"of shape \[1, 2, -1\], and no axis can be negative"):
        read_arrays(model(negative))


def test_whole_numbers_are_exact() -> None:
    """2**53 + 1 is not its neighbour: it is refused beside floats that would round it, and told apart beside others."""
    import rnninspect

    outputs = np.array([[[2**53], [2**53 + 1], [0]]])
    with pytest.raises(ShapeError, match="cannot be compared with float64"):
        rnninspect.inspect(outputs, np.array([[2.0**53]]), lengths=[2])
    for dtype in (np.int64, np.uint64):
        rows = rnninspect.inspect(outputs, outputs[:, 1].astype(dtype), lengths=[2]).tracks[0].rows
        assert rows[0].steps == [1]
    json.dumps(rows[0].steps)


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_runs_of_nothing(shape: tuple[int, ...], tmp_path: Path) -> None:
    """No row, no step or no unit: nothing can be compared, and that is said."""
    import rnninspect

    np.savez(tmp_path / "x.npz", outputs=np.zeros(shape), h=np.zeros((shape[0], shape[2])))
    with pytest.raises(UserError):
        rnninspect.compare(tmp_path / "x.npz")
    with pytest.raises(UserError):
        rnninspect.inspect(np.zeros(shape), np.zeros((shape[0], shape[2])))


@pytest.mark.parametrize("dtype", [">f2", ">f4", ">f8", "<f2", "<f4", "<f8"])
def test_byte_order_changes_nothing(dtype: str) -> None:
    """NaN, infinity, -0 and constant padding are seen in either byte order."""
    import rnninspect

    outputs = np.zeros((3, 4, 4), dtype)
    outputs[:, 0], outputs[0, 1], outputs[1, 2], outputs[2, 1] = 0.5, np.nan, np.inf, 0.25
    outputs[1, 1], outputs[2, 2:] = 0.75, -0.0
    report = rnninspect.inspect(outputs, outputs[[0, 1, 2], [1, 2, 1]], lengths=[2, 3, 2])
    assert [finding.rule for finding in report.findings] == ["nonfinite-values"]
    assert report.findings[0].rows == [0, 1]
    assert [row.padding for row in report.tracks[0].rows] == ["zero", "zero", "zero"]


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("x.json", {"outputs": [[[1]]], "h": 1}, {}),
        ("x.json", {"outputs": 1, "h": 1}, {}),
        ("x.txt", "array([[[1., 2.]], [[3., 4.]]])", {}),
        ("x.txt", "outputs = (((array([[1., 2.], [3., 4.]]))))", {}),
        ("x.json", {"outputs": [[[1]]], "h": [[1]]}, {"layers": 100_000}),
    ],
)
def test_unforeseen_shapes(tmp_path: Path, name: str, content: Any, options: dict[str, Any]) -> None:
    """Scalars, one array for all roles, and stacks of any height are refused as what they are."""
    import rnninspect

    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError):
        rnninspect.compare(path, **options)


@pytest.mark.parametrize("indices", [[0, 5], [0, -1], [0, 0], [0.0, 1.0], [1], [1 << 60, 0]])
def test_packed_indices_that_number_no_rows(indices: list[float]) -> None:
    """A PackedSequence whose indices are no permutation of its rows is refused."""
    from rnninspect.conventions.dumps.unpacking import unpack

    with pytest.raises(ShapeError, match="do not number the 2 rows"):
        unpack(np.zeros((5, 4)), np.array([2, 2, 1]), np.array(indices))
    for sizes in ([2, 1, 2], [0, 5], [], [6, -1], [1 << 40], [2.5, 2.5], [[5]]):
        with pytest.raises(ShapeError, match="do not fit the shape"):
            unpack(np.zeros((5, 4)), np.array(sizes), None)


def test_strides_that_overlap(tmp_path: Path) -> None:
    """A tensor of gigabytes over a few numbers is refused, however it repeats them."""
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.zeros(6000).as_strided((2000, 2000, 2000), (1, 1, 1))}, tmp_path / "x.pt")
    with pytest.raises(UnreadableError, match=r"more than may be read|unpack to"):
        read_arrays(tmp_path / "x.pt")
