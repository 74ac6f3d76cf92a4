"""Killed, or out of space, at every single step of writing: the old file or the new one, whole, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.hostile.every_write import FULL, KILLED, Run, tried
from tests.support.places import ROOT, SAMPLES

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a fork for every step")
OLD = b"the old file"
RECORDED = """
import torch
torch.manual_seed(0)
torch.nn.LSTM(2, 3, batch_first=True)(torch.ones(2, 3, 2))
"""
# What is written, the command, and whether it is quick enough for the plain suite.
COMMANDS = {
    "report": ("new.json", "compare a.npz --format json -o new.json", True),
    "page": ("new.html", "compare a.npz -o new.html", False),
    "fix": ("new.npz", "fix wrong.npz -o new.npz", True),
    "convert": ("new.npz", "convert w.npz --from tf1 --to keras -o new.npz", False),
    "convert to torch": ("new.pt", "convert w.npz --from tf1 --to torch -o new.pt", False),
    "convert to hdf5": ("new.h5", "convert w.npz --from tf1 --to keras -o new.h5", False),
    "convert to safetensors": ("new.safetensors", "convert w.npz --from tf1 --to keras -o new.safetensors", False),
    "run": ("new.npz", "run x.npy --lengths 3,1,2 --save new.npz -o /dev/null", False),
    "record": ("new.json", "record --format json --lengths full -o new.json script.py", False),
    "resumed": ("new.ndjson", "compare a.npz b.npz --format ndjson -o new.ndjson --resume", True),
    "many": ("new.ndjson", "compare a.npz b.npz --format ndjson -o new.ndjson", True),
}
STREAMS = ("resumed", "many")  # their results grow, a whole block at a time
QUICK = [name for name, (_, _, quick) in COMMANDS.items() if quick]
SLOW = [name for name, (_, _, quick) in COMMANDS.items() if not quick]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the commands read; what they write is there already."""
    place = tmp_path / "files"
    place.mkdir()
    for name, source in (
        ("a.npz", "published.npz"),
        ("b.npz", "published.npz"),
        ("w.npz", "weights.npz"),
        ("x.npy", "batch.npy"),
    ):
        shutil.copy(SAMPLES / source, place / name)
    with np.load(SAMPLES / "published.npz") as dump:
        arrays = {name: dump[name] for name in dump}
    np.savez(place / "wrong.npz", **{**arrays, "final_state.h": arrays["final_state.h"][::-1]})
    (place / "script.py").write_text(RECORDED)
    return place


def prepared(folder: Path, name: str) -> bytes:
    """What stands where the command will write."""
    target = folder / COMMANDS[name][0]
    target.write_bytes(OLD)
    if name == "resumed":  # a dump changed in the middle, so that the file is written anew
        command = [sys.executable, "-m", "rnninspect", *COMMANDS["many"][1].split(), "-q"]
        target.unlink()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        assert subprocess.run(command, cwd=folder, env=environment, check=False).returncode == 0
        os.utime(folder / "a.npz", (1, 1))
    return target.read_bytes()


def check_killed(folder: Path, name: str) -> int:
    """How many steps were tried, each the last of its run."""
    target, command, _ = COMMANDS[name]
    old = prepared(folder, name)
    whole, *runs = tried(folder, [*command.split(), "-q"], KILLED)
    assert whole.code in (0, 1)
    new = whole.files[target]
    assert new != old
    assert len(runs) >= 2
    for run in runs:
        assert run.code == -9, run
        left = run.files[target]
        assert left in (old, new) or (name in STREAMS and is_resumable(left, old, new)), (run.step, left[:200])
        assert run.files.keys() - folder_names(folder) <= parts(run), run.files.keys()
        others = run.files.keys() & (folder_names(folder) - {target})
        assert all(run.files[other] == (folder / other).read_bytes() for other in others)
    return len(runs)


def is_resumable(left: bytes, old: bytes, new: bytes) -> bool:
    """Whether results are a beginning of the new ones, or of what of the old ones still stands."""
    kept = b"".join(line for line in old.splitlines(keepends=True) if b'"b.npz"' in line)
    return new.startswith(left) or kept == left


def folder_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def parts(run: Run) -> set[str]:
    """What a killed run leaves beside its target, until the next run: one hidden file."""
    names = {name for name in run.files if name.startswith(".") and name.endswith(".part")}
    assert len(names) <= 1
    return names


def check_full(folder: Path, name: str) -> None:
    """No space for any of its steps: exit code 2, one line with the reason, the old file, and no part of a new one."""
    target, command, _ = COMMANDS[name]
    old = prepared(folder, name)
    whole, *runs = tried(folder, [*command.split(), "-q"], FULL)
    for run in runs:
        left = run.files[target]
        if run.step == "unlink":  # of what was left over: it stops nothing
            assert (run.code, left) == (whole.code, whole.files[target])
            continue
        assert run.code == 2, run
        assert len(run.err.splitlines()) == 1, run.err
        assert "No space left on device" in run.err
        new = whole.files[target]  # of two files that `run` writes the one may be there before the other fails
        assert left == old or (name == "run" and left == new) or (name in STREAMS and is_resumable(left, old, new))
        assert run.files.keys() == folder_names(folder)


@pytest.mark.parametrize("name", QUICK)
def test_killed_at_every_step(folder: Path, name: str) -> None:
    """SIGKILL before each step, and in the middle of each write: the file there is the old or the new one, whole."""
    check_killed(folder, name)


@pytest.mark.long
@pytest.mark.parametrize("name", SLOW)
def test_killed_at_every_step_of_the_others(folder: Path, name: str) -> None:
    """The same of the commands that take longer."""
    print(f"{name}: killed at {check_killed(folder, name)} steps")


@pytest.mark.parametrize("name", [name for name in QUICK if name != "resumed"])
def test_no_space_at_any_step(folder: Path, name: str) -> None:
    """ENOSPC at each step: one line with the reason, and everything as it was."""
    check_full(folder, name)


@pytest.mark.long
@pytest.mark.parametrize("name", [*SLOW, "resumed"])
def test_no_space_at_any_step_of_the_others(folder: Path, name: str) -> None:
    """The same of the commands that take longer."""
    check_full(folder, name)


def _small_files() -> None:
    """Let the system itself refuse what makes a file larger than a few bytes, as a full disk does."""
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


@pytest.mark.parametrize("name", ["fix", "many"])
def test_a_disk_that_takes_no_more(folder: Path, name: str) -> None:
    """What the system itself refuses (RLIMIT_FSIZE) is one line with its reason, and the old file stays."""
    target, command, _ = COMMANDS[name]
    old = prepared(folder, name)
    done = subprocess.run(
        [sys.executable, "-B", "-m", "rnninspect", *command.split(), "-q"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        preexec_fn=_small_files,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"rnninspect: cannot write {target}: File too large\n"
    left = (folder / target).read_bytes()
    assert left == old or (name in STREAMS and len(left) <= 100)
    assert not [path.name for path in folder.iterdir() if path.name.endswith(".part")]


def test_a_full_stdout(folder: Path) -> None:
    """A result that its stdout does not take is one line and 2, of every format; never a traceback, never 0."""
    for command in (
        "compare a.npz",
        "compare a.npz --format json",
        "compare a.npz b.npz --format ndjson",
        "list rules",
    ):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "rnninspect", *command.split()],
                cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=full, stderr=subprocess.PIPE,
                text=True, check=False,
            )  # fmt: skip
        assert done.returncode == 2, command
        assert done.stderr.splitlines()[-1].endswith("No space left on device"), done.stderr
        assert "Traceback" not in done.stderr


def test_site_packages_that_cannot_be_written(tmp_path: Path) -> None:
    """Installed where nobody may write, and run by a user who may not: no cache, no file, no word about it."""
    shutil.copytree(ROOT / "rnninspect", tmp_path / "site" / "rnninspect", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(SAMPLES, tmp_path / "site" / "rnninspect" / "sample_data")
    work = tmp_path / "work"
    work.mkdir(mode=0o777)
    shutil.copy(SAMPLES / "published.npz", work / "a.npz")
    for path in [*(tmp_path / "site").rglob("*"), tmp_path / "site"]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted((tmp_path / "site").rglob("*"))
    script = f"open({str(tmp_path / 'site' / 'rnninspect' / 'new')!r}, 'w')"
    refused = subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE, check=False, preexec_fn=_nobody)
    assert b"PermissionError" in refused.stderr
    for command in (
        "compare a.npz --format json",
        "compare a.npz a.npz --format ndjson --jobs 1",
        "demo --format json",
    ):
        done = subprocess.run(
            [sys.executable, "-m", "rnninspect", *command.split(), "-q"],
            cwd=work, env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "HOME": "/nonexistent"},
            capture_output=True, text=True, check=False, preexec_fn=_nobody,
        )  # fmt: skip
        assert done.stderr == ""
        assert done.returncode in (0, 1), done
        json.loads(done.stdout.splitlines()[-1] if "ndjson" in command else done.stdout)
    assert sorted((tmp_path / "site").rglob("*")) == before


def _nobody() -> None:
    """Give up what lets root write anywhere, where that is who runs the tests."""
    if os.getuid() == 0:
        import ctypes

        libc = ctypes.CDLL(None)
        for capability in range(64):
            libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
        libc.prctl(47, 4, 0, 0, 0)  # PR_CAP_AMBIENT_CLEAR_ALL
