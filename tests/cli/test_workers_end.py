"""Processes that are interrupted, killed or quiet: one line for Ctrl-C, each record once, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect.api.parallel import results_file
from rnninspect.api.parallel.cluster import Cluster
from rnninspect.api.parallel.workers import Engine, Processes
from rnninspect.cli import call
from rnninspect.diagnosis import rules as registry
from rnninspect.formats.limits import limited, limits
from tests.support.places import ROOT, SAMPLES

CLEAN = SAMPLES / "published.npz"
LONG = int(os.environ.get("RNNINSPECT_LONG", "10000"))
posix = pytest.mark.skipif(os.name != "posix", reason="no process groups here")


def make_dumps(folder: Path, count: int) -> None:
    """So many dumps of a few rows, every third wrong and every seventh damaged."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        outputs = rng.normal(size=(2, 3, 2)).astype(np.float32)
        path = folder / f"{number:05}.npz"
        np.savez(path, outputs=outputs, h=outputs[:, -1 if number % 3 else 1], lengths=[3, 3])
        if not number % 7:
            path.write_bytes(path.read_bytes()[:200])


def records(results: Path) -> list[dict[str, Any]]:
    """The last line of every dump's block."""
    lines = map(json.loads, results.read_text().splitlines())
    return [line for line in lines if line["kind"] in ("summary", "error")]


def heed_interrupts() -> None:
    """Let Ctrl-C through in a new process, which would ignore it where the whole suite runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def started(folder: Path, *more: str) -> subprocess.Popen[str]:
    """A run over the dumps of `folder`, in a group of processes of its own, its results in `results.ndjson` beside."""
    (folder.parent / "tmp").mkdir(exist_ok=True)
    results = folder.parent / "results.ndjson"
    command = [sys.executable, "-m", "rnninspect", "compare", folder, "--format", "ndjson", "-o", results, *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder.parent / "tmp")}
    run = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    while not results.exists() or results.stat().st_size < 4000:
        assert run.poll() is None, run.communicate()
        time.sleep(0.01)
    return run


def alone(folder: Path) -> str:
    """What one process writes of all dumps."""
    results = folder.parent / "alone.ndjson"
    call(["compare", str(folder), "--format", "ndjson", "-o", str(results), "-q"])
    return results.read_text()


@posix
@pytest.mark.parametrize(
    "hands", ["--jobs 1", "--jobs 2", pytest.param("--scheduler local --jobs 2", marks=pytest.mark.long)]
)
def test_ctrl_c_ends_every_process_in_one_line(tmp_path: Path, hands: str) -> None:
    """Ctrl-C reaches the whole group: 130, one line, no traceback of any worker, nothing under TMPDIR, no process left;
    the results so far are whole, and --resume makes of them what one run writes."""
    if "scheduler" in hands:
        pytest.importorskip("distributed")
    folder = tmp_path / "dumps"
    make_dumps(folder, 120)
    run = started(folder, *hands.split())
    os.killpg(run.pid, signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (130, "")
    results = tmp_path / "results.ndjson"
    count = len(records(results))
    assert err == (
        f"rnninspect: interrupted: {count} of 120 dumps were judged; the same command with --resume judges the others\n"
    )
    assert 0 < count < 120
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not _alive(run.pid)
    call(["compare", str(folder), "--format", "ndjson", "-o", str(results), "-q", "--resume"])
    assert Counter(r["source"]["path"] for r in records(results)).most_common(1)[0][1] == 1
    assert sorted(results.read_text().splitlines()) == sorted(alone(folder).splitlines())


def test_a_worker_leaves_ctrl_c_to_the_process_that_waits() -> None:
    """Where no signal can be kept from a thread (Windows), it is the worker that must not heed it."""
    code = (
        "import signal; from rnninspect.api.parallel import workers; "
        "workers._follow(); print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "True\n"


def _alive(group: int) -> list[Any]:
    """The processes of that group that are left a second from now, zombies aside."""
    psutil = pytest.importorskip("psutil")
    members = []
    for _ in range(20):
        members = [p for p in psutil.process_iter(["status"]) if _group(p.pid) == group]
        members = [p for p in members if p.info["status"] != psutil.STATUS_ZOMBIE]
        if not members:
            break
        time.sleep(0.05)
    return members


def _group(process: int) -> int:
    try:
        return os.getpgid(process)
    except ProcessLookupError:
        return 0


BUS = """
import os, sys
import rnninspect.measure.facts as facts
from rnninspect.cli import main
real = facts.scan
def scan_of_less(outputs, final):
    if len(outputs) == 8:
        os.truncate(sys.argv[2], 100)
    return real(outputs, final)
facts.scan = scan_of_less
main(["compare", *sys.argv[1:], "-q", "--format", "ndjson", "--jobs", "1"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="one job is a fork on Linux alone")
def test_a_dump_that_ends_its_process_ends_no_other(tmp_path: Path) -> None:
    """With one job, too, a mapped file that becomes shorter (SIGBUS) is one dump's error; the others are judged."""
    outputs = np.random.default_rng(0).normal(size=(8, 200, 256))
    np.savez(tmp_path / "b.npz", outputs=outputs, h=outputs[:, -1])
    for name in ("a.npz", "c.npz"):
        shutil.copy(CLEAN, tmp_path / name)
    names = [str(tmp_path / f"{letter}.npz") for letter in "abc"]
    done = subprocess.run(
        [sys.executable, "-c", BUS, *names], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    last = [line for line in map(json.loads, done.stdout.splitlines()) if line["kind"] in ("summary", "error")]
    assert [(line["kind"], line["source"]["path"]) for line in last] == [
        ("summary", names[0]), ("error", names[1]), ("summary", names[2]),
    ]  # fmt: skip
    assert "b.npz" in last[1]["error"]
    assert (done.returncode, done.stderr) == (2, "")


def warned(item: str) -> int:
    """Warns as a library might, and tells the limit that holds."""
    warnings.warn(f"about {item}", RuntimeWarning, stacklevel=1)
    np.float32(3e38) * np.float32(3e38)
    return limits().seconds


@pytest.mark.parametrize("hands", ["one job", "two jobs", "cluster"])
def test_workers_keep_limits_and_do_not_warn(hands: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The caller's limits hold in every worker, and nothing that a library warns of reaches stderr."""
    if hands == "cluster":
        pytest.importorskip("distributed")
    engines = {
        "one job": lambda: Processes(1),
        "two jobs": lambda: Processes(2),
        "cluster": lambda: Cluster("local", 1),
    }
    engine: Engine = engines[hands]()
    with warnings.catch_warnings(), limited(seconds=77), engine:
        if hands == "one job":
            warnings.simplefilter("ignore")  # it may be this process, which the command line keeps quiet itself
        assert list(engine.outcomes(warned, ["a", "b", "c"])) == [77] * 3
    assert capfd.readouterr().err == ""


@posix
def test_killed_workers_cost_no_record(tmp_path: Path) -> None:
    """Workers killed in mid-run: each dump once, in order, the bytes of a serial run."""
    check_killed_workers(tmp_path, "--jobs 2", count=90, kills=2)


@posix
@pytest.mark.long
@pytest.mark.parametrize("hands", ["--jobs 2", "--scheduler local --jobs 2"])
def test_killed_workers_cost_no_record_of_thousands(tmp_path: Path, hands: str) -> None:
    """The same of 10,000 dumps, a worker killed twenty times."""
    check_killed_workers(tmp_path, hands, count=LONG, kills=20)


def check_killed_workers(tmp_path: Path, hands: str, count: int, kills: int) -> None:
    """The results of a run whose workers are killed so often are those of a serial run, and so is the summary."""
    psutil = pytest.importorskip("psutil")
    if "scheduler" in hands:
        pytest.importorskip("distributed")
    folder = tmp_path / "dumps"
    make_dumps(folder, count)
    expected = alone(folder)
    run = started(folder, *hands.split())
    results = tmp_path / "results.ndjson"
    killed = 0
    for step in range(1, kills + 1):
        while run.poll() is None and results.stat().st_size < step * len(expected) // (kills + 2):
            time.sleep(0.01)
        killed += sum(_killed(worker) for worker in _workers(psutil, run.pid)[:1])
    _, err = run.communicate(timeout=3600)
    assert killed >= kills // 2
    assert run.returncode == 2  # of the damaged ones
    assert results.read_text() == expected
    judged = Counter(r.get("verdict", "error") for r in records(results))
    told = ", ".join(f"{judged[v]} {v}{'s' * (v == 'error' and judged[v] > 1)}" for v in sorted(judged))
    assert err.splitlines()[0].endswith(f"{count} dumps: {told}")


def _workers(psutil: Any, main: int) -> list[Any]:
    """The processes that do the work: spawned ones, not the resource tracker."""
    try:
        children = psutil.Process(main).children(recursive=True)
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def _killed(worker: Any) -> bool:
    try:
        worker.kill()
    except Exception:  # it has ended by itself
        return False
    return True


class _Faulty:
    """A rule that fails by a fault of its own."""

    def check(self, case: Any) -> Iterator[Any]:
        yield from ()
        raise KeyError("no such thing")


def test_resume_judges_again_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump whose rule failed, and one that a limit refused, are judged again though they have not changed."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.npz", "b.npz"):
        shutil.copy(CLEAN, name)
    np.savez_compressed("c.npz", outputs=np.ones((1, 1 << 10, 8), np.float32), h=np.ones((1, 8), np.float32))
    command = ["compare", ".", "--format", "ndjson", "-o", "r.ndjson", "-q", "--lengths", "full", "--resume"]
    with monkeypatch.context() as patch:
        name = "zero-length-row"
        faulty = type("Faulty", (type(registry.rules()[name]),), {"check": _Faulty.check})()
        rules = {**registry.rules(), name: faulty}
        patch.setattr(registry, "rules", lambda: rules)
        assert call([*command, "--allow", "bytes=4K"]) == 2
    first = records(Path("r.ndjson"))
    assert [r["kind"] for r in first] == ["summary", "summary", "error"]
    judged: list[str] = []
    stands = results_file._is_as_it_was
    monkeypatch.setattr(
        results_file, "_is_as_it_was", lambda source: (judged.append(source["path"]), stands(source))[1]
    )
    call(command)
    assert not judged  # of no block was it even asked whether its dump has changed: each had failed
    last = records(Path("r.ndjson"))
    assert [r["kind"] for r in last] == ["summary"] * 3
    assert not any("failed" in rule["reason"] for r in last for rule in r["not_checked"])
    before = Path("r.ndjson").read_bytes()
    call(command)
    assert Path("r.ndjson").read_bytes() == before
    assert sorted(judged) == ["./a.npz", "./b.npz", "./c.npz"]


def test_rewriting_keeps_other_blocks_and_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cut out of the middle leaves every other block as it was, byte by byte; a failing write leaves the old
    file, and says why."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.npz", "b.npz", "c.npz", "d.npz"):
        shutil.copy(CLEAN, name)
    everything = ["compare", ".", "--format", "ndjson", "-o", "r.ndjson", "-q"]
    assert call(everything) == 0
    whole = Path("r.ndjson").read_bytes()
    blocks = {name: _block(whole, name) for name in ("a", "b", "c", "d")}
    assert whole == b"".join(blocks.values())
    os.utime("b.npz", ns=(1, 1))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert call([*everything, "--resume"]) == 2
    assert Path("r.ndjson").read_bytes() == whole
    assert call(["compare", "b.npz", "./b.npz", "./c.npz", *everything[2:], "--resume"]) == 0
    after = Path("r.ndjson").read_bytes()
    assert after.startswith(blocks["a"] + blocks["c"] + blocks["d"])
    tail = after[len(blocks["a"] + blocks["c"] + blocks["d"]) :]
    assert [r["source"]["path"] for r in map(json.loads, tail.splitlines()) if r["kind"] == "summary"] == [
        "b.npz", "./b.npz",
    ]  # fmt: skip


def _block(whole: bytes, name: str) -> bytes:
    return b"".join(line for line in whole.splitlines(keepends=True) if f'"./{name}.npz"'.encode() in line)
