"""The benchmarks run, at tiny sizes; nothing is asserted about time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import dumps, processes
from tests.support.places import ROOT


def printed(*arguments: str) -> str:
    """What the benchmarks print at tiny sizes."""
    command = [sys.executable, "-m", "tests.benchmarks", "--tiny", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("compare", "float32, 8 units a step"),
        ("memory", "MiB"),
        ("against", "--against"),
        ("jobs", "dumps/s"),
        pytest.param("planted", "gate-order", marks=pytest.mark.long),
        pytest.param("startup", "compare-json", marks=pytest.mark.long),
    ],
)
def test_a_benchmark_runs(name: str, shown: str) -> None:
    """One command prints each table, with numbers in it."""
    table = printed("--only", name)
    assert shown in table
    assert [line for line in table.splitlines()[1:] if any(word[:1].isdigit() for word in line.split())]


def test_cpu_time_is_what_is_asked_for() -> None:
    """`--cpu` measures the CPU time of one thread, and the tables say so."""
    table = printed("--cpu", "--only", "compare", "--only", "forward")
    assert "ms of CPU (medians" in table
    assert "1 threads" in table
    assert "lstm (ms of CPU)" in table


def test_a_device_is_measured_or_visibly_skipped() -> None:
    """The device's table has a line for each cell; of a device that is not there it says that it is skipped."""
    lines = printed("--device", "cpu").splitlines()
    assert [line.split()[0] for line in lines[3:]] == ["lstm", "gru", "rnn", "lstm,", "lstm,", "gru,"]
    assert "skipped: torch" in printed("--device", "xpu")


@pytest.mark.parametrize(
    "options", [{}, {"dtype": "float64"}, {"time_major": True}, {"time_major": True, "wrong": True}], ids=str
)
def test_a_dump_is_never_resident_as_a_whole(tmp_path: Path, options: dict[str, Any]) -> None:
    """Whatever its rules look at, a command lets go of the file as it reads on: one that did not would hold 134 MB."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    steps = 512 if "dtype" in options else 1024
    dump = dumps.make(tmp_path, (64, steps, 512), **options)
    _, peak = processes.seconds_and_peak(dump.arguments)
    assert peak < 70
