"""Many dumps: both engines keep order and lose nothing when workers die; a results file survives being torn."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rnninspect.api.parallel.cluster import Cluster
from rnninspect.api.parallel.workers import Processes, WorkerCrashed
from rnninspect.cli import call
from rnninspect.errors import UserError
from tests.support.places import ROOT, SAMPLES

CLEAN = SAMPLES / "published.npz"


def slow_echo(item: str) -> str:
    """The earlier items take longer."""
    time.sleep(max(0.0, 0.2 - 0.05 * float(item)))
    return item + "!"


def fatal(item: str) -> str:
    """One item ends whatever process reads it, without a word."""
    if item == "fatal":
        os.kill(os.getpid(), signal.SIGKILL)
    return item + "!"


def fatal_once(item: str) -> str:
    """Of the file names one is fatal: who finds no such file makes it and dies; the next one lives."""
    if item.endswith("1") and not os.path.exists(item):
        Path(item).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item + "!"


def signed(item: str) -> str:
    """Leaves word of who works on it, and takes its time."""
    folder, _, number = item.rpartition("/")
    Path(folder, f"by-{os.getpid()}").touch()
    time.sleep(0.1)
    return number


@pytest.mark.parametrize("jobs", [1, 3])
def test_outcomes_come_in_the_order_of_the_items(jobs: int) -> None:
    """Later items are ready before earlier ones, and still come after them."""
    items = [str(i) for i in range(8)]
    assert list(Processes(jobs).outcomes(slow_echo, items)) == [f"{i}!" for i in range(8)]


def test_an_item_that_kills_its_process_is_lost_alone() -> None:
    """The process is gone each time it meets the item; all other items have their results."""
    outcomes = list(Processes(2).outcomes(fatal, ["a", "b", "fatal", "c", "d", "e"]))
    assert [f.item if isinstance(f, WorkerCrashed) else f for f in outcomes] == ["a!", "b!", "fatal", "c!", "d!", "e!"]


def test_an_item_whose_process_was_killed_is_done_again(tmp_path: Path) -> None:
    """A process that dies of something else costs nothing but the time."""
    items = [str(tmp_path / str(i)) for i in range(4)]
    assert list(Processes(2).outcomes(fatal_once, items)) == [f"{i}!" for i in items]


def test_a_cluster_goes_on_when_a_worker_is_killed(tmp_path: Path) -> None:
    """A real cluster of two processes, one killed in mid-run: every outcome comes once, in order."""
    pytest.importorskip("distributed")
    items = [f"{tmp_path}/{i}" for i in range(30)]
    outcomes: list[str | WorkerCrashed] = []
    killed = None
    with Cluster("local", 2) as cluster:
        for outcome in cluster.outcomes(signed, items):
            outcomes.append(outcome)
            if len(outcomes) == 4:
                killed = int(next(tmp_path.glob("by-*")).name.removeprefix("by-"))
                os.kill(killed, signal.SIGKILL)
                assert len(list(tmp_path.glob("by-*"))) == 2
    assert killed is not None
    assert outcomes == [str(i) for i in range(30)]


def test_a_scheduler_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, not a traceback of connection errors."""
    pytest.importorskip("distributed")
    monkeypatch.setattr("rnninspect.api.parallel.cluster.SECONDS", 1)
    with pytest.raises(UserError, match="no scheduler answers there"):
        list(Cluster("tcp://127.0.0.1:9", 1).outcomes(fatal, ["a"]))


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the cluster's packages are missing, the message holds the line that installs them."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"pip install 'rnninspect\[cluster\]'"):
        list(Cluster("local", 1).outcomes(fatal, ["a"]))


@pytest.fixture
def dumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder: two clean dumps, one with a mistake, one that is damaged; and it is the current one."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(CLEAN, "a.npz")
    shutil.copy(CLEAN, "c.npz")
    with np.load(CLEAN) as dump:
        arrays = dict(dump)
    name = next(n for n in arrays if n.endswith(".h"))
    arrays[name] = arrays[name][::-1]
    np.savez("b.npz", **arrays)
    Path("d.npz").write_bytes(CLEAN.read_bytes()[:300])
    return tmp_path


def blocks(text: str) -> list[list[dict[str, object]]]:
    """The lines of each dump."""
    records: list[list[dict[str, object]]] = [[]]
    for line in text.splitlines():
        records[-1].append(json.loads(line))
        if records[-1][-1]["kind"] in ("summary", "error"):
            records.append([])
    assert records.pop() == []
    return records


def paths(text: str) -> list[str]:
    return [block[-1]["source"]["path"] for block in blocks(text)]  # type: ignore[index]


def test_one_that_cannot_be_read_does_not_stop_the_others(dumps: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each dump has its block, in the order named; the damaged one a line with its error; and the exit code says so."""
    assert call(["compare", "c.npz", "d.npz", "nowhere.npz", "a.npz", "b.npz", "--format", "ndjson"]) == 2
    out, err = capsys.readouterr()
    assert paths(out) == ["c.npz", "d.npz", "nowhere.npz", "a.npz", "b.npz"]
    last = [block[-1] for block in blocks(out)]
    assert [line.get("verdict", line["kind"]) for line in last] == ["clean", "error", "error", "clean", "findings"]
    assert "no such file" in str(last[2]["error"])
    assert "rows-permuted" in err  # the summary by rule
    assert len({line["source"]["path"] for block in blocks(out)[:1] for line in block}) == 1  # type: ignore[index]


def test_exit_codes(dumps: Path) -> None:
    """2 where one cannot be read, else 1 for findings, else 2 where one is unjudged; --exit-zero covers the rest."""
    assert call(["compare", "a.npz", "c.npz"]) == 0
    assert call(["compare", "a.npz", "b.npz"]) == 1
    assert call(["compare", "a.npz", "b.npz", "d.npz"]) == 2
    assert call(["compare", "a.npz", "d.npz", "--exit-zero"]) == 2
    assert call(["compare", "a.npz", "b.npz", "--exit-zero"]) == 0
    outputs = np.random.default_rng(0).normal(size=(2, 3, 4))
    np.savez("e.npz", outputs=outputs, final_state=outputs[:, -1])  # no lengths: any step may be the last
    assert call(["compare", "a.npz", "e.npz"]) == 2
    assert call(["compare", "a.npz", "e.npz", "--exit-zero"]) == 0
    assert call(["compare", "a.npz", "b.npz", "e.npz"]) == 1


def test_jobs_change_nothing_but_the_time(dumps: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two processes write the same bytes as one."""
    call(["compare", ".", "--format", "ndjson"])
    alone = capsys.readouterr().out
    assert len(paths(alone)) == 4
    assert call(["compare", ".", "--format", "ndjson", "--jobs", "2"]) == 2
    assert capsys.readouterr().out == alone


def test_a_table_of_many_has_a_line_each_and_a_summary(dumps: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a dump with its rules, then how many dumps each rule was found in."""
    call(["compare", "a.npz", "b.npz", "d.npz"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["clean", "findings", "error"]
    assert "3 dumps: 1 clean, 1 error, 1 findings" in lines
    assert lines[-1].split() == ["error", "rows-permuted", "in", "1"]


def test_folders_patterns_and_lists(dumps: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder gives its own dumps, with --recursive all below; a pattern what it matches; a list what it names; each
    dump once, and never a file that holds results."""
    (dumps / "sub").mkdir()
    shutil.copy(CLEAN, dumps / "sub" / "e.npz")
    Path("notes.txt").write_text("no dump")
    Path("list").write_text("# the runs of today\nc.npz\n\n./sub/e.npz\n")

    def named(*arguments: str) -> list[str]:
        call(["compare", *arguments, "--format", "ndjson"])
        return paths(capsys.readouterr().out)

    assert named(".") == ["./a.npz", "./b.npz", "./c.npz", "./d.npz"]
    assert named("sub", "sub/e.npz") == ["sub/e.npz"]
    assert named(".", "--recursive")[-1] == "./sub/e.npz"
    assert named("[ab].npz", "a.npz") == ["a.npz", "b.npz"]
    assert named("**/e.npz") == ["sub/e.npz"]
    assert named("@list") == ["c.npz", "./sub/e.npz"]
    call(["compare", ".", "--format", "ndjson", "-o", "results.ndjson"])
    assert named(".") == ["./a.npz", "./b.npz", "./c.npz", "./d.npz"]
    call(["compare", ".", "--format", "ndjson", "-o", "results.ndjson"])
    assert paths(Path("results.ndjson").read_text()) == ["./a.npz", "./b.npz", "./c.npz", "./d.npz"]


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["*.nothing"], "*.nothing: no such file"),
        (["empty", "--recursive"], "empty: no dumps found"),
        (["@nowhere"], "there is no file nowhere with a list of dumps"),
        (["a.npz", "b.npz", "--format", "json"], "use --format ndjson"),
        (["a.npz", "--resume"], "give -o FILE"),
        (["a.npz", "b.npz", "--format", "ndjson", "-o", "no/folder"], "cannot write"),
        (["a.npz", "--format", "ndjson", "--resume", "-o", "c.npz"], "holds no results"),
    ],
)
def test_what_cannot_be_meant_is_said(
    arguments: list[str], phrase: str, dumps: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and exit code 2; a file that holds no results is not cut."""
    (dumps / "empty").mkdir()
    assert call(["compare", *arguments]) == 2
    assert phrase in capsys.readouterr().err
    assert (dumps / "c.npz").read_bytes() == CLEAN.read_bytes()


RESUME = ["compare", "a.npz", "b.npz", "c.npz", "--format", "ndjson", "-o", "results.ndjson", "--resume"]


def cuts(size: int) -> Iterator[int]:
    yield from (0, 1, 20, size // 3, size // 2, size - 400, size - 2, size - 1, size)


def test_a_torn_results_file_is_mended(dumps: Path) -> None:
    """Cut anywhere: the blocks that are whole stay as they are, the others are made again, each dump once."""
    results = dumps / "results.ndjson"
    assert call(RESUME) == 1
    whole = results.read_bytes()
    for cut in cuts(len(whole)):
        results.write_bytes(whole[:cut])
        assert call(RESUME) == 1, cut
        assert results.read_bytes() == whole, cut


def test_resuming_judges_only_what_is_new_or_changed(dumps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump that changed, or could not be read, is judged again and has one block; blocks of other dumps stay."""
    results = dumps / "results.ndjson"
    everything = ["compare", "a.npz", "b.npz", "d.npz", *RESUME[4:]]
    call(everything)
    before = {b[-1]["source"]["path"]: b for b in blocks(results.read_text())}  # type: ignore[index]
    shutil.copy(CLEAN, "d.npz")
    shutil.copy(CLEAN, "b.npz")
    os.utime("b.npz", ns=(1, 1))
    assert call(["compare", "b.npz", "d.npz", *RESUME[4:]]) == 0
    text = results.read_text()
    assert paths(text) == ["a.npz", "b.npz", "d.npz"]
    assert blocks(text)[0] == before["a.npz"]
    assert [block[-1]["verdict"] for block in blocks(text)] == ["clean"] * 3
    assert call(everything) == 0
    assert results.read_text() == text


def test_killed_in_mid_run_and_taken_up_again(dumps: Path) -> None:
    """kill -9 while results are being written: the workers end too; after resuming, every dump has exactly one block,
    and none is torn."""
    psutil = pytest.importorskip("psutil")
    for i in range(60):
        shutil.copy(CLEAN, dumps / f"many{i:02}.npz")
    command = [sys.executable, "-m", "rnninspect", "compare", "many*.npz", *RESUME[4:], "--jobs", "2"]
    results = dumps / "results.ndjson"
    root = ROOT
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(root)}, stderr=subprocess.DEVNULL) as run:
        while not results.exists() or results.stat().st_size < 20_000:
            assert run.poll() is None
            time.sleep(0.002)
        workers = psutil.Process(run.pid).children(recursive=True)
        run.kill()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not [worker for worker in alive if worker.status() != psutil.STATUS_ZOMBIE]
    torn = results.stat().st_size
    assert call([*command[3:]]) == 0
    counted = Counter(paths(results.read_text()))
    assert sorted(counted) == [f"many{i:02}.npz" for i in range(60)]
    assert set(counted.values()) == {1}
    assert results.stat().st_size > torn
