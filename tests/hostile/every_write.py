"""Runs one command again and again, and lets each of its writing steps in turn be the last, or fail.

A step is a write of a file opened by Python, a sync, a rename, a removal, a cut, or a new temporary file. `tried(...)`
starts one process that has imported the command line, and forks it for every run: nothing of one run reaches the next.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.places import ROOT

KILLED = "killed"  # before the step; of a write, one half is written
FULL = "full"  # the step fails: no space is left


@dataclass(frozen=True)
class Run:
    """One run: its step that was the last or failed (None: all went well), its exit code, stderr, and its files."""

    step: str | None
    code: int
    err: str
    files: dict[str, bytes]


def tried(folder: Path, arguments: Sequence[str], how: str) -> list[Run]:
    """A whole run of the command in a copy of `folder` first, then one for each of its steps, ended there by `how`."""
    command = [sys.executable, "-m", "tests.hostile.every_write", str(folder), how, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    return [
        Run(line["step"], line["code"], line["err"], {name: bytes.fromhex(raw) for name, raw in line["files"].items()})
        for line in map(json.loads, done.stdout.splitlines())
    ]


class Steps:
    """Counts steps, and ends the process or raises at the one whose number is `last`."""

    def __init__(self, last: int | None, how: str, log: int) -> None:
        self.last, self.how, self.log, self.count = last, how, log, 0

    def at(self, kind: str, half: Callable[[], object] | None = None) -> None:
        self.count += 1
        os_write(self.log, f"{kind}\n".encode())
        if self.count != self.last:
            return
        if self.how == FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if half is not None:
            half()
        os.kill(os.getpid(), signal.SIGKILL)


os_write = os.write


def watch(steps: Steps) -> None:
    """Let every writing step of this process be counted."""

    class Counted(io.FileIO):
        def write(self, raw: Any, /) -> int:
            whole = bytes(raw)
            steps.at("write", lambda: io.FileIO.write(self, whole[: len(whole) // 2]))
            return super().write(whole)

    def opened(file: Any, mode: str = "r", buffering: int = -1, *more: Any, **named: Any) -> Any:
        if "b" not in mode or not set(mode) & set("wax+") or mode == "r+b":
            return real_open(file, mode, buffering, *more, **named)
        raw = Counted(file, mode.replace("b", ""))
        return raw if buffering == 0 else io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)

    real_open = builtins.open
    builtins.open = opened  # type: ignore[assignment]
    os.fdopen = opened  # type: ignore[assignment]
    for name in ("fsync", "replace", "rename", "unlink", "truncate", "ftruncate"):
        setattr(os, name, _counted(steps, name, getattr(os, name)))
    tempfile.mkstemp = _counted(steps, "mkstemp", tempfile.mkstemp)  # type: ignore[assignment]


def _counted(steps: Steps, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        steps.at(name)
        return real(*arguments, **named)

    return call


def _run(folder: Path, arguments: Sequence[str], last: int | None, how: str) -> tuple[Run, list[str]]:
    """One run in a copy of the folder, and the steps that it made."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "copy")
        shutil.copytree(folder, copy)
        log, err = Path(place, "steps"), Path(place, "err")
        child = os.fork()
        if not child:
            _child(copy, arguments, last, how, log, err)
        _, status = os.waitpid(child, 0)
        steps = log.read_text().splitlines()
        files = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
        name = None if last is None else steps[last - 1] if len(steps) >= last else "none"
        return Run(name, os.waitstatus_to_exitcode(status), err.read_text(), files), steps


def _child(copy: Path, arguments: Sequence[str], last: int | None, how: str, log: Path, err: Path) -> None:
    code = 99
    try:
        from rnninspect.cli import call

        os.chdir(copy)
        os.dup2(os.open(err, os.O_WRONLY | os.O_CREAT), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        watch(Steps(last, how, os.open(log, os.O_WRONLY | os.O_CREAT)))
        code = call(list(arguments))
    finally:
        sys.stderr.flush()
        os._exit(code)


def _warm_up(folder: Path, arguments: Sequence[str]) -> None:
    """Run the command once, so that no fork has to import what it needs."""
    from rnninspect.cli import call

    out, here = os.dup(1), os.getcwd()
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "copy")
        shutil.copytree(folder, copy)
        os.chdir(copy)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        call(list(arguments))
        os.dup2(out, 1)
        os.chdir(here)


def main() -> None:
    folder, how, *arguments = sys.argv[1:]
    _warm_up(Path(folder), arguments)
    whole, steps = _run(Path(folder), arguments, None, how)
    _print(whole)
    for last in range(1, len(steps) + 1):
        _print(_run(Path(folder), arguments, last, how)[0])


def _print(run: Run) -> None:
    print(json.dumps({**vars(run), "files": {name: raw.hex() for name, raw in run.files.items()}}), flush=True)


if __name__ == "__main__":
    main()
