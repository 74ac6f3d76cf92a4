"""How long the commands take to start, beside the imports that they cannot do without; medians, side by side.

    python tests/benchmarks/startup.py [--repeat 15] [--only COMMAND …]

CPU seconds (user and system) are compared, not the clock: other processes disturb them less. The bare imports are
numpy, click and rich for `compare` and the lists, torch for `run`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

SAMPLES = Path(__file__).parent.parent.parent / "sample_data"
RUN = ["run", str(SAMPLES / "batch.npy"), "--lengths", "3,1,2", "--weights", str(SAMPLES / "weights.npz"), "-q"]
COMPARE = ["compare", str(SAMPLES / "published.npz"), "-q"]

# The bare imports, then the commands that are held against them.
GROUPS: dict[str, tuple[str, dict[str, list[str]]]] = {
    "imports": (
        "import numpy, click, rich.console, rich.table",
        {
            "--help": ["--help"],
            "compare": COMPARE,
            "compare-json": [*COMPARE, "--format", "json"],
            "explain": ["explain", "lengths-ignored"],
            "list": ["list", "rules"],
        },
    ),
    "torch": ("import torch", {"run": RUN}),
}


def compiled_once() -> dict[str, str]:
    """The environment, but that Python keeps what it compiled, as an installed package has it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def cpu_seconds(command: list[str]) -> float:
    """User and system time of one process."""
    environment = {**compiled_once(), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return used.ru_utime + used.ru_stime


def main(arguments: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--only", action="extend", nargs=1, default=None)
    options = parser.parse_args(arguments)
    print(f"{'':14}{'CPU ms':>8}  to the bare imports")
    for name, (bare, commands) in GROUPS.items():
        chosen = {k: v for k, v in commands.items() if options.only is None or k in options.only}
        if not chosen:
            continue
        measured: dict[str, list[float]] = {name: [], **{k: [] for k in chosen}}
        for command in chosen.values():
            cpu_seconds([sys.executable, "-m", "rnninspect", *command])  # compiles what is not yet
        for _ in range(options.repeat):
            measured[name].append(cpu_seconds([sys.executable, "-c", bare]))
            for k, command in chosen.items():
                measured[k].append(cpu_seconds([sys.executable, "-m", "rnninspect", *command]))
        base = statistics.median(measured[name])
        for k, seconds in measured.items():
            median = statistics.median(seconds)
            print(f"{k:14}{median * 1e3:8.0f}  {median / base:.2f}")


if __name__ == "__main__":
    main()
