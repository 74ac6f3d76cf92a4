"""Remote dumps: what fsspec opens is read, listed, written and refused as a file of this machine is."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect.api.parallel.results_file import stamp
from rnninspect.errors import UnreadableError
from rnninspect.formats import read_arrays, storage, write_arrays
from tests.cli.test_bad_input import check_refused
from tests.cli.test_fleet import blocks, paths
from tests.formats.test_formats_onnx import graph, lstm, saved
from tests.support.commandline import rnninspect
from tests.support.places import RECORDED, SAMPLES

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's memory, empty before and after."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def runs(memory: Any) -> Any:
    """Dumps in memory://runs: two clean ones, in a folder below a third, and a text beside them."""
    for name in ("runs/b.npz", "runs/a.npz", "runs/sub/c.npz"):
        put(memory, name, SAMPLES / "published.npz")
    memory.pipe_file("/runs/notes.txt", b"no dump")
    return memory


def put(memory: Any, name: str, file: Path) -> str:
    memory.pipe_file(f"/{name}", file.read_bytes())
    return f"memory://{name}"


@pytest.mark.parametrize("open_files", [storage.OPEN_FILES, "/nowhere"])
def test_every_format_is_read_as_from_a_file(
    open_files: str, memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each format gives the arrays, attributes and notes that its file here gives, and what a file maps is mapped; of
    a copy without a name, and of one with a name, which is gone afterwards."""
    monkeypatch.setattr(storage, "OPEN_FILES", open_files)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "copies"))
    (tmp_path / "copies").mkdir()
    files = [RECORDED / f"keras-file-bilstm{suffix}" for suffix in (".h5", ".keras")]
    files += [RECORDED / "flax-file-lstm.msgpack", SAMPLES / "ragged.json", saved(graph([lstm()]), tmp_path)]
    arrays = {"outputs": np.arange(24.0).reshape(2, 3, 4), "h": np.ones((2, 4), np.float32)}
    for suffix in (".npz", ".pt", ".safetensors", ".h5"):
        files.append(tmp_path / f"made{suffix}")
        write_arrays(str(files[-1]), arrays)
    files.append(SAMPLES / "batch.npy")
    for file in files:
        here, there = read_arrays(file), read_arrays(put(memory, file.name, file))
        assert (there.source, there.format) == (f"memory://{file.name}", here.format)
        assert (there.attributes, there.notes, there.dtypes) == (here.attributes, here.notes, here.dtypes)
        assert list(there.arrays) == list(here.arrays)
        for name, array in here.arrays.items():
            np.testing.assert_array_equal(there.arrays[name], array, strict=True)
            assert (storage.map_of(there.arrays[name]) is None) == (storage.map_of(array) is None)
    assert not list((tmp_path / "copies").iterdir())


def test_a_remote_dump_never_lies_in_memory(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MiB are read with a few of them in memory, and nothing is left in TMPDIR."""
    monkeypatch.setattr(storage, "BLOCK", 1 << 20)
    buffer = io.BytesIO()
    np.save(buffer, np.arange(16 << 20, dtype=np.float32))
    memory.pipe_file("/large.npy", buffer.getbuffer())
    tracemalloc.start()
    read = read_arrays("memory://large.npy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert read.arrays[""][-1] == (16 << 20) - 1
    mapped = storage.map_of(read.arrays[""])
    assert mapped is not None
    assert mapped.filename == "memory://large.npy"


def test_no_room_for_the_copy_is_said(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is one line that names TMPDIR."""

    class Full(io.BytesIO):
        def write(self, block: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    put(memory, "a.npz", SAMPLES / "published.npz")
    monkeypatch.setattr("tempfile.TemporaryFile", Full)
    check_refused(rnninspect("compare", "memory://a.npz"), "memory://a.npz", "No space left", "TMPDIR")


def test_every_option_takes_a_url(memory: Any, tmp_path: Path) -> None:
    """Batch, lengths, weights and --save, then dump, members, inputs and --against: as with files, but for the path."""
    batch, lengths, weights = (put(memory, n, SAMPLES / n) for n in ("batch.npy", "lengths.npy", "weights.npz"))
    options = ("--format", "json", "-q")
    ran = rnninspect("run", batch, "--lengths", lengths, "--weights", weights, "--save", "memory://dump.npz", *options)
    assert (ran.code, ran.err) == (0, "")
    local = tmp_path / "dump.npz"
    local.write_bytes(memory.cat_file("/dump.npz"))

    def compared(dump: str, weights: str) -> Any:
        named = [f"--{o}={dump}#{n}" for o, n in (("state", "final_state.h"), ("cell-state", "final_state.c"))]
        named += [f"--{o}={dump}#{o}" for o in ("outputs", "inputs", "lengths")]
        done = rnninspect("compare", *named, f"--weights={weights}", f"--against={dump}", *options)
        assert (done.code, done.err) == (0, "")
        return {name: value for name, value in done.json.items() if name != "source"}

    assert compared("memory://dump.npz", weights) == compared(str(local), str(SAMPLES / "weights.npz"))
    whole = rnninspect("compare", "memory://dump.npz", *options).json
    assert whole["source"]["path"] == "memory://dump.npz"


def test_folders_patterns_and_lists(runs: Any) -> None:
    """A folder gives its own dumps, with --recursive all below; a pattern what it matches; a list, itself remote, what
    it names; in order of names, as they were named, each once."""
    runs.pipe_file("/list", b"memory://runs/b.npz\n\nmemory://runs/sub/c.npz\n")

    def named(*arguments: str) -> list[str]:
        return paths(rnninspect("compare", *arguments, "--format", "ndjson", "-q").out)

    assert named("memory://runs/") == named("memory://runs") == ["memory://runs/a.npz", "memory://runs/b.npz"]
    assert named("memory://runs", "--recursive")[-1] == "memory://runs/sub/c.npz"
    assert named("memory://runs/*.npz", "memory://runs/a.npz") == ["memory://runs/a.npz", "memory://runs/b.npz"]
    assert named("memory://runs/**/c.npz") == ["memory://runs/sub/c.npz"]
    assert named("@memory://list") == ["memory://runs/b.npz", "memory://runs/sub/c.npz"]


def test_urls_of_a_files_folder_keep_their_form(tmp_path: Path) -> None:
    """What a pattern matches is called as the pattern was, with all slashes, and can be read by that name."""
    shutil.copy(SAMPLES / "published.npz", tmp_path / "a#1.npz")
    assert storage.files_at(f"file://{tmp_path}/*", (), False) == [f"file://{tmp_path}/a#1.npz"]
    assert rnninspect("compare", f"file://{tmp_path}/*", "-q").code == 0


@pytest.mark.parametrize(
    ("url", "path", "name", "shown"),
    [
        ("s3://b/runs/*.npz", "b/runs/*.npz", "b/runs/a.npz", "s3://b/runs/a.npz"),
        ("hdfs://host:1/runs/", "/runs", "/runs/a.npz", "hdfs://host:1/runs/a.npz"),
        ("https://x/runs/", "https://x/runs/", "https://x/runs/a.npz", "https://x/runs/a.npz"),
        ("abfs://runs@account/*", "runs/*", "runs/a.npz", "abfs://runs/a.npz"),
    ],
)
def test_files_are_called_as_their_service_calls_them(url: str, path: str, name: str, shown: str) -> None:
    """What stands before the path in the URL (bucket, host) stays before the names of its files."""

    class Service:
        def unstrip_protocol(self, name: str) -> str:
            return f"{url.partition('://')[0]}://{name}"

    assert storage._as_named(url, Service(), path, name) == shown


def test_one_that_cannot_be_read_does_not_stop_the_others(runs: Any) -> None:
    """A missing file and an unknown scheme are records among records."""
    done = rnninspect("compare", "memory://no.npz", "nil://a", "memory://runs/a.npz", "--format", "ndjson", "-q")
    last = [block[-1] for block in blocks(done.out)]
    assert done.code == 2
    assert [line.get("verdict", line["kind"]) for line in last] == ["error", "error", "clean"]
    assert "no such file" in str(last[0]["error"])
    assert "unknown scheme" in str(last[1]["error"])


class Odd(fsspec.AbstractFileSystem):  # type: ignore[misc, name-defined]
    """A service with troubles of its own, by the first part of the path."""

    protocol = "odd"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": 1, "type": "file"}

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        if path.startswith("refused"):
            raise PermissionError("403")
        raise {"key": KeyError("Contents"), "time": TimeoutError("read\ntimed out"), "own": Trouble()}[path]


class Trouble(Exception):
    """Has no words."""


fsspec.register_implementation("odd", Odd, clobber=True)


@pytest.mark.parametrize(
    ("url", "phrases"),
    [
        ("memory://nothing.npz", ["no such file"]),
        ("memory://nothing.npz#outputs", ["memory://nothing.npz: no such file"]),
        ("nil://runs/a.npz", ["nil://runs/a.npz", "unknown scheme", "memory", "s3"]),
        ("s3://runs/a.npz", ["needs a package", "s3fs"]),
        ("odd://refused.npz", ["access is refused (403)", "credentials"]),
        ("odd://key", ["cannot be read (KeyError: 'Contents')"]),
        ("odd://time", ["cannot be read (read)"]),
        ("odd://own", ["cannot be read (Trouble: Trouble)"]),
    ],
)
@pytest.mark.usefixtures("memory")
def test_what_cannot_be_opened_is_said(url: str, phrases: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names what to do, exit code 2, wherever the URL stands."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    where = url.partition("#")[0]
    check_refused(rnninspect("compare", url, "-q"), where, *phrases)
    check_refused(rnninspect("compare", f"--outputs={url}", "--state=memory://h", "-q"), where, *phrases)
    check_refused(rnninspect("compare", SAMPLES / "published.npz", f"--lengths={url}", "-q"), where, *phrases)
    check_refused(
        rnninspect("compare", SAMPLES / "published.npz", f"--against={url}", "-q"), "--against", where, *phrases
    )
    check_refused(rnninspect("run", url, "-q"), where, *phrases)


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the cluster's packages are missing, the message holds the line that installs them."""
    monkeypatch.setitem(sys.modules, "fsspec", None)
    check_refused(rnninspect("compare", "s3://runs/a.npz"), "pip install 'rnninspect[cluster]'")
    check_refused(rnninspect("run", "-o", "s3://runs/a.json", "-q"), "pip install 'rnninspect[cluster]'")


def test_a_file_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is here is read here, member and all, whatever it looks like."""
    monkeypatch.chdir(tmp_path)
    Path("nil:").mkdir()
    shutil.copy(SAMPLES / "published.npz", "nil:/a.npz")
    assert rnninspect("compare", "nil://a.npz", "-q").code == 0
    assert "outputs" in read_arrays("nil://a.npz").arrays
    assert list(read_arrays("nil://a.npz#outputs").arrays) == ["outputs"]


@pytest.mark.usefixtures("runs")
def test_results_appear_whole_or_not_at_all(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """-o behind a URL holds what the file would hold, of one dump and of many; an interruption leaves the old one."""
    command = ("compare", "memory://runs/a.npz", "--format", "json", "-q")
    assert rnninspect(*command, "-o", "memory://out.json").code == 0
    assert memory.cat_file("/out.json") == rnninspect(*command).raw
    assert "clean" in rnninspect("show", "memory://out.json", "--format", "findings").out
    many = ("compare", "memory://runs/", "--format", "ndjson", "-q")
    assert rnninspect(*many, "-o", "memory://runs/out.ndjson").code == 0
    before = memory.cat_file("/runs/out.ndjson")
    assert before == rnninspect(*many, "memory://runs/out.ndjson").raw[: len(before)]
    check_refused(rnninspect(*many, "--resume", "-o", "memory://runs/out.ndjson"), "--resume", "a local results file")

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rnninspect.cli.fleet._render", stop)
    assert rnninspect(*many, "-o", "memory://runs/out.ndjson").code == 130
    assert memory.cat_file("/runs/out.ndjson") == before


def test_a_file_that_is_written_half_is_not_there(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails, here or on the way, nothing stands behind the URL, and the reason is said."""

    class Poor:
        def __array__(self) -> Any:
            raise UnreadableError("no numbers")

    with pytest.raises(UnreadableError, match="no numbers"):
        write_arrays("memory://half.npz", {"whole": np.ones(9), "broken": Poor()})  # type: ignore[dict-item]
    assert not memory.exists("/half.npz")

    def cut(*_: Any) -> int:
        raise ConnectionError("the line is cut")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFile.write", cut)
    with pytest.raises(UnreadableError, match=r"cannot be written .*the line"):
        write_arrays("memory://half.npz", {"whole": np.ones(9)})
    assert not memory.exists("/half.npz")
    check_refused(rnninspect("run", "--save", "file:///no/such/folder/a.npz", "-q"), "cannot be written", "/no/such")


def test_a_changed_remote_dump_is_judged_again(runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service says of size and version is in the record; a dump of the same size that was written anew is
    judged again, another is not."""
    results = tmp_path / "results.ndjson"
    everything = ("compare", "memory://runs/", "--format", "ndjson", "-q", "--resume", "-o", results)
    assert rnninspect(*everything).code == 0
    before = {b[-1]["source"]["path"]: b for b in blocks(results.read_text())}  # type: ignore[index]
    assert set(stamp("memory://runs/a.npz")) == {"size", "version"}
    put(runs, "runs/b.npz", SAMPLES / "published.npz")
    judged = []
    monkeypatch.setattr("rnninspect.cli.fleet._render", lambda outcome, _: judged.append(outcome.path) or outcome.text)
    assert rnninspect(*everything).code == 0
    assert judged == ["memory://runs/b.npz"]
    after = {b[-1]["source"]["path"]: b for b in blocks(results.read_text())}  # type: ignore[index]
    assert after["memory://runs/a.npz"] == before["memory://runs/a.npz"]
    assert after["memory://runs/b.npz"] != before["memory://runs/b.npz"]
    assert json.dumps(after).count('"version"') == json.dumps(before).count('"version"')


def test_a_service_that_tells_no_version_has_no_stamp(tmp_path: Path) -> None:
    """A size alone does not tell that a file is the same: such a dump is always judged again."""
    assert stamp("odd://a.npz") == {}
    assert stamp("nil://a.npz") == {}
    file = tmp_path / "a"
    file.touch()
    assert set(stamp(f"file://{file}")) == {"size", "version"}
    assert stamp(f"file://{file}#member") == stamp(f"file://{file}")
