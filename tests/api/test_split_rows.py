"""One dump split by rows: the report is the same to the last byte, whatever engine measures, and whoever dies."""

from __future__ import annotations

import functools
import importlib
import os
import pickle
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from logging import CRITICAL
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect.api.parallel import split_rows
from rnninspect.api.parallel.cluster import Cluster
from rnninspect.api.parallel.file_view import Described, described
from rnninspect.api.parallel.split_rows import RowChunk
from rnninspect.api.parallel.workers import Processes, WorkerCrashed
from rnninspect.cli import fleet
from rnninspect.core.trace import Array
from rnninspect.errors import UserError
from rnninspect.formats import bfloat16, npz, read_arrays, storage, write_arrays
from tests.cli.test_bad_input import check_refused
from tests.support.commandline import rnninspect
from tests.support.places import SAMPLES

ROWS, STEPS, UNITS = 11, 9, 6
LENGTHS = np.array([4, 4, 4, 4, 4, 7, 9, 0, 5, 3, 9])


def motley(seed: int = 0, dtype: str = "f4") -> tuple[Array, Array]:
    """Outputs `[B, T, H]` and states `[B, H]` that hold a bit of everything: each class of padding, NaN and infinity,
    -0 for 0, an empty row, equal steps, and states that are another step, another row's, near, or none at all."""
    rng = np.random.default_rng(seed)
    outputs = rng.uniform(-1, 1, (ROWS, STEPS, UNITS)).astype(dtype)
    outputs[~(np.arange(STEPS) < LENGTHS[:, None])] = 0
    state = outputs[np.arange(ROWS), np.maximum(LENGTHS - 1, 0)].copy()
    outputs[1, 4:] = outputs[1, 3]
    outputs[2, 4:] = 0.5
    outputs[3, 4:] = rng.uniform(-1, 1, (5, UNITS))
    outputs[4, 6, 2] = np.inf
    outputs[5, 2:4], outputs[5, 6, 0], state[5, 0] = np.nan, 0.0, -0.0
    outputs[6, :, :] = outputs[6, 0]
    state[6], state[8], state[9], state[10] = outputs[6, 0], outputs[8, 1], outputs[8, 4], state[10] + 1e-4
    return outputs, state


def forward(folder: Path) -> list[str]:
    """One direction, in an .npz."""
    outputs, state = motley()
    np.savez(folder / "dump.npz", **{"outputs": outputs, "final_state.h": state, "lengths": LENGTHS})
    return [str(folder / "dump.npz")]


def time_major(folder: Path) -> list[str]:
    """Two arrays of their own, `[T, B, H]` the one, big-endian, within a tolerance."""
    outputs, state = motley(1, ">f8")
    for name, array in {"o": outputs.swapaxes(0, 1), "h": state, "lengths": LENGTHS}.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array))
    named = {"outputs": "o", "state": "h", "lengths": "lengths"}
    return ["--time-major", "--atol=1e-3", *(f"--{option}={folder}/{name}.npy" for option, name in named.items())]


def both_directions(folder: Path) -> list[str]:
    """Side by side in the last axis; the backward half is of the whole length, and compared with a reference."""
    (ahead, end), (back, start) = motley(2), motley(3)
    arrays = {"outputs": np.concatenate([ahead, back], 2), "state_h": np.concatenate([end, start], 1)}
    write_arrays(str(folder / "dump.safetensors"), {**arrays, "lengths": LENGTHS})
    write_arrays(str(folder / "other.h5"), {**arrays, "lengths": LENGTHS})
    dump, other = folder / "dump.safetensors", folder / "other.h5"
    return [str(dump), f"--against={other}", "--convention=keras", "--bidirectional"]


def reversed_time(folder: Path) -> list[str]:
    """Keras' go_backwards, every state wrong; the first reading does not fit, and others are tried."""
    outputs, state = motley(4)
    np.savez(folder / "dump.npz", outputs=outputs[:, ::-1], state_h=state + 3, lengths=LENGTHS)
    return [str(folder / "dump.npz"), "--convention=keras", "--go-backwards", "--direction=reverse"]


DUMPS = [forward, time_major, both_directions, reversed_time]


@pytest.fixture(autouse=True)
def all_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even small members are mapped, as those that are worth splitting are."""
    monkeypatch.setattr(npz, "SMALL", 0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a real cluster of two processes."""
    dask = pytest.importorskip("distributed")
    settings = dict(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=CRITICAL)
    with dask.LocalCluster(**settings) as started:
        yield started.scheduler_address


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lets even small dumps be split, a few rows a part; how many parts each track was put together from."""
    counts: list[int] = []
    merge = split_rows._merged

    def counted(track: Any, parts: Any) -> Any:
        counts.append(len(parts))
        return merge(track, parts)

    monkeypatch.setattr(split_rows, "LEAST_BYTES", 1)
    monkeypatch.setattr(split_rows, "PART_BYTES", 900)
    monkeypatch.setattr(split_rows, "_merged", counted)
    return counts


@pytest.mark.parametrize("dump", DUMPS)
@pytest.mark.parametrize("engine", ["jobs", "scheduler"])
def test_the_report_is_the_same_to_the_last_byte(
    dump: Callable[[Path], list[str]], engine: str, tmp_path: Path, pieces: list[int], request: pytest.FixtureRequest
) -> None:
    """Facts, nearest steps, findings and verdict of every kind of row, by both engines; the rows do not divide
    evenly, and every track was split."""
    command = ["compare", *dump(tmp_path), "--format", "json", "--excerpt", "all"]
    alone = rnninspect(*command)
    assert (alone.code, pieces) == (1, [])
    hands = ["--jobs", "2"] if engine == "jobs" else ["--scheduler", request.getfixturevalue("cluster")]
    assert rnninspect(*command, *hands) == alone
    assert pieces
    assert min(pieces) > 2
    assert ROWS % min(pieces)


def test_the_dumps_hold_a_bit_of_everything(tmp_path: Path) -> None:
    """The comparison above can tell: all classes of padding and all words for a row are among what is compared."""
    tracks = [t for dump in DUMPS for t in rnninspect("compare", *dump(tmp_path), "--format=json", "-q").json["tracks"]]
    rows = [row for track in tracks for row in track["rows"]]
    padding = {"none", "zero", "repeat", "constant", "computed", "nonfinite"}
    assert padding <= {row["padding"] for row in rows}
    assert {"match", "near", "elsewhere", "none", "no-evidence"} <= {row["status"] for row in rows}
    assert any(row["distance"] for row in rows)


@pytest.mark.parametrize("form", ["table", "ndjson"])
def test_one_dump_gives_the_ordinary_report_in_any_form(form: str, tmp_path: Path, pieces: list[int]) -> None:
    """Options for many dumps do not make one dump many."""
    command = ["compare", *forward(tmp_path), "--format", form]
    assert rnninspect(*command, "--jobs", "2") == rnninspect(*command)
    assert pieces == [3] * len(pieces) != []


def test_a_small_dump_is_measured_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker is started, and no scheduler met, for what would be measured before it answers; which is said."""
    monkeypatch.setattr("rnninspect.api.parallel.cluster.SECONDS", 1)
    command = ["compare", *forward(tmp_path), "--format", "json"]
    alone = rnninspect(*command, "--scheduler", "tcp://127.0.0.1:9")
    assert alone.raw == rnninspect(*command).raw
    assert "measured by this process alone" in alone.err
    assert rnninspect(*command, "-q", "--jobs", "2") == rnninspect(*command, "-q")
    monkeypatch.setattr(split_rows, "LEAST_BYTES", 1)
    monkeypatch.setattr(split_rows, "PART_BYTES", 900)
    check_refused(rnninspect(*command, "-q", "--scheduler", "tcp://127.0.0.1:9"), "no scheduler answers")


class Unknown:
    """Stands for a task of a package that is not installed where it arrives."""

    def __call__(self) -> str:
        return "here"

    def __reduce__(self) -> Any:
        return importlib.import_module, ("no_such_package",)


def test_a_cluster_that_cannot_do_the_work_is_said(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version on the workers, or none, or no workers at all: one line, and neither a traceback nor waiting."""
    import distributed

    def refused(address: str, what: str) -> None:
        with Cluster(address, 1) as engine, pytest.raises(UserError, match=what):
            next(iter(engine.outcomes(str, [1])))

    with monkeypatch.context() as patch:
        patch.setattr("rnninspect.api.parallel.cluster.__version__", "99.0")
        refused(cluster, r"need rnninspect 99\.0, and have \d")
        patch.setattr("rnninspect.api.parallel.cluster._version", Unknown())
        refused(cluster, r"and have none; install it")
    monkeypatch.setattr("rnninspect.api.parallel.cluster.PATIENCE", 1)
    with distributed.LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", silence_logs=CRITICAL) as empty:
        refused(empty.scheduler_address, "no worker has joined it in 1 s")


def waiting(mark: Path, victim: str, task: Callable[[Any], Any], item: Any) -> Any:
    """The victim, when it is met first, says who works on it and waits for what comes."""
    if str(item) == victim and not mark.exists():
        mark.write_text(f"{os.getpid()}\n")
        time.sleep(60)
    return task(item)


class Struck(Cluster):
    """A cluster of which the worker that has the second item is killed while it works on it."""

    mark = Path()

    def outcomes(self, task: Any, items: Sequence[Any]) -> Iterator[Any]:
        for n, outcome in enumerate(
            super().outcomes(functools.partial(waiting, self.mark, str(items[1]), task), items)
        ):
            if n == 0:
                while not (self.mark.exists() and self.mark.read_text().endswith("\n")):
                    time.sleep(0.01)
                os.kill(int(self.mark.read_text()), signal.SIGKILL)
            yield outcome


@pytest.fixture
def struck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lets the cluster that the command line meets lose a worker in mid-run; the file that is there when it has."""
    monkeypatch.setattr(Struck, "mark", tmp_path / "mark")
    monkeypatch.setattr(fleet, "Cluster", Struck)
    return Struck.mark


def test_a_worker_that_is_killed_changes_nothing(
    cluster: str, struck: Path, tmp_path: Path, pieces: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two workers is killed in mid-run, with rows of the dump under way, which are measured again: the report
    is the same."""
    command = ["compare", *forward(tmp_path), "--format", "json"]
    alone = rnninspect(*command)
    monkeypatch.setattr(split_rows, "PART_BYTES", 250)
    assert rnninspect(*command, "--scheduler", cluster) == alone
    assert max(pieces) == ROWS
    assert struck.exists()


def test_many_remote_dumps_survive_a_killed_worker(cluster: str, struck: Path, tmp_path: Path) -> None:
    """URLs travel to the workers, of which one is killed in mid-run: the results file is the one that a single process
    writes, no record lost or doubled."""
    for n in range(8):
        shutil.copy(SAMPLES / "published.npz", tmp_path / f"{n}.npz")
    command = ["compare", f"file://{tmp_path}/*.npz", "--format", "ndjson", "-q", "-o"]
    assert rnninspect(*command, tmp_path / "alone").code == 0
    assert rnninspect(*command, tmp_path / "together", "--scheduler", cluster).code == 0
    assert (tmp_path / "together").read_bytes() == (tmp_path / "alone").read_bytes()
    assert struck.exists()


def fatal(task: Callable[[RowChunk], Any], part: RowChunk) -> Any:
    """The rows from 3 on end whatever process reads them."""
    if part.start == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return task(part)


class Deadly(Processes):
    def outcomes(self, task: Any, items: Sequence[Any]) -> Iterator[Any]:
        return super().outcomes(functools.partial(fatal, task), items)


@pytest.mark.usefixtures("pieces")
def test_rows_that_end_every_worker_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names the rows, exit code 2, and no waiting."""
    monkeypatch.setattr(fleet, "Processes", Deadly)
    monkeypatch.setattr(split_rows, "PART_BYTES", 700)
    check_refused(
        rnninspect("compare", *forward(tmp_path), "-q", "--jobs", "2"), "dump.npz: rows 3 to 5 of layer 0", "memory"
    )


@pytest.mark.usefixtures("pieces")
def test_a_worker_that_sees_another_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a file that is not the one described are never measured: one line, exit code 2."""
    arrays = forward(tmp_path)
    monkeypatch.setattr(storage, "stamp", lambda file: {"size": 1, "mtime_ns": 1})
    check_refused(rnninspect("compare", *arrays, "-q", "--jobs", "2"), "dump.npz", "a worker sees", "URL")


def test_remote_rows_are_fetched_by_whoever_measures_them(
    cluster: str, tmp_path: Path, pieces: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a URL too the report is the same, by both engines, and of a part only its own bytes are read."""
    url = f"file://{forward(tmp_path)[0]}"
    alone = rnninspect("compare", url, "--format", "json")
    assert alone.json["source"]["path"] == url
    assert rnninspect("compare", url, "--format", "json", "--scheduler", cluster) == alone
    assert rnninspect("compare", url, "--format", "json", "--jobs", "2") == alone
    assert pieces == [3] * len(pieces) != []
    outputs = read_arrays(url).arrays["outputs"]
    whole = described(outputs)
    assert whole is not None
    assert whole.file == url
    asked = []
    monkeypatch.setattr(storage, "fetched", lambda *view, real=storage.fetched: asked.append(view) or real(*view))
    np.testing.assert_array_equal(whole.rows(slice(2, 4)).opened(), outputs[2:4])
    row = STEPS * UNITS * 4
    assert asked == [(url, whole.offset + 2 * row, whole.offset + 4 * row)]


def test_what_no_other_process_sees_is_measured_here(
    tmp_path: Path, pieces: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsspec's own memory, compressed members, bfloat16 that was widened: the same report, nothing sent."""
    pytest.importorskip("fsspec")
    outputs, state = motley()
    arrays = {"outputs": outputs, "final_state.h": state, "lengths": LENGTHS}
    np.savez_compressed(tmp_path / "small.npz", **arrays)
    write_arrays("memory://dump.npz", arrays)
    wide = described(np.load(tmp_path / "small.npz")["outputs"])
    monkeypatch.setattr("rnninspect.formats.safetensors.IN_MEMORY", 0)
    import torch
    from safetensors.torch import save_file

    half = {
        n: torch.from_numpy(a).to(torch.bfloat16) if a.dtype == np.float32 else torch.from_numpy(a)
        for n, a in arrays.items()
    }
    save_file(half, tmp_path / "half.safetensors")
    for dump in (tmp_path / "small.npz", "memory://dump.npz", tmp_path / "half.safetensors"):
        command = ["compare", dump, "--format", "json", "-q"]
        assert rnninspect(*command, "--jobs", "2") == rnninspect(*command)
    assert (wide, pieces) == (None, [])


VIEWS: dict[str, Callable[[Array], Array]] = {
    "whole": lambda a: a,
    "time-major": lambda a: a.swapaxes(0, 1),
    "half": lambda a: a[:, :, 3:],
    "reversed": lambda a: a[:, ::-1],
    "all reversed": lambda a: a[::-1, ::-2, ::-1],
    "one row": lambda a: a[4:5],
    "new axis": lambda a: a[2][None],
    "onnx": lambda a: a.reshape(ROWS, STEPS, 2, 3).transpose(0, 1, 3, 2)[..., 1],
}


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".h5"])
@pytest.mark.parametrize("remote", [False, True], ids=["file", "URL"])
def test_any_view_of_a_map_can_be_described(suffix: str, remote: bool, tmp_path: Path) -> None:
    """What a description opens after a journey is that view, type and bytes, and is a map itself, whose pages can be
    let go; so are its rows."""
    write_arrays(str(tmp_path / f"a{suffix}"), {"outputs": motley()[0]})
    mapped = next(iter(read_arrays(f"{'file://' * remote}{tmp_path}/a{suffix}").arrays.values()))
    described_views = 0
    for name, view in VIEWS.items():
        array = view(mapped)
        sent = described(array)
        if sent is None:
            assert remote, name
            continue
        there: Described = pickle.loads(pickle.dumps(sent))
        for rows in (slice(None), slice(1, 3)):
            opened = there.rows(rows).opened()
            assert opened.dtype == array.dtype
            assert opened.tobytes() == array[rows].tobytes(), name
            assert storage.map_of(opened) is not None
        described_views += 1
    assert described_views == len(VIEWS) - remote  # time-major behind a URL is measured where it is


def test_what_is_not_the_files_own_is_not_described(tmp_path: Path) -> None:
    """Arrays in memory, maps that were written to, bits that were widened: None."""
    np.save(tmp_path / "a.npy", motley()[0])
    changed = np.load(tmp_path / "a.npy", mmap_mode="c")
    changed[0] = 1
    bits = bfloat16.widened_on_disk([np.ones(4, np.uint16)], (4,), "bits")
    for array in (motley()[0], changed, bits, np.load(tmp_path / "a.npy", mmap_mode="r")[:0]):
        assert described(array) is None


def test_a_lost_part_is_no_answer() -> None:
    """Where an engine gives a part up, no report is made of the others."""
    with pytest.raises(UserError, match="some rows: gone"):
        split_rows._chunk_facts([None], iter([WorkerCrashed("some rows", "gone")]))  # type: ignore[list-item]
