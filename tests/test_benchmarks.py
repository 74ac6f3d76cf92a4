"""The benchmarks run, at tiny sizes; nothing is asserted about time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.places import ROOT


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("compare", "float32, 8 units a step"),
        ("memory", "MiB"),
        ("against", "--against"),
        ("jobs", "dumps/s"),
        ("planted", "gate-order"),
        ("startup", "compare-json"),
    ],
)
def test_a_benchmark_runs(name: str, shown: str) -> None:
    """One command prints each table, with numbers in it."""
    command = [sys.executable, "-m", "tests.benchmarks", "--tiny", "--only", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout
    assert [line for line in done.stdout.splitlines()[1:] if any(word[:1].isdigit() for word in line.split())]
