"""What only a process of its own can tell: memory against size, and several dumps side by side."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.dumps import make
from tests.benchmarks.startup import compiled_once

KINDS: dict[str, dict[str, Any]] = {
    "float32, time-major": {"time_major": True},
    "float32, every state wrong": {"wrong": True},
    "float64": {"dtype": "float64"},
    "float16": {"dtype": "float16"},
    "bfloat16 (safetensors)": {"dtype": "bfloat16"},
}
ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "sample_data" / "published.npz"
# The peak of the resident set, mapped pages included, above what a small dump needs (Linux).
PROBE = """
import sys, time
from pathlib import Path
from typing import Any
from rnninspect.cli import call
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
quiet = ["--format", "json", "-o", "/dev/null", "-q"]
call(["compare", sys.argv[1], *quiet])
before, start = peak(), time.perf_counter()
call(["compare", *sys.argv[2:], *quiet])
print(time.perf_counter() - start, (peak() - before) / 1024)
"""


def ran(arguments: list[str]) -> tuple[float, str]:
    """Seconds that a fresh interpreter took, and what it printed."""
    environment = compiled_once()
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    return time.perf_counter() - start, done.stdout


def seconds_and_peak(arguments: list[str]) -> tuple[float, float]:
    """Seconds that `compare` with these arguments takes, and its peak resident memory above start-up, in MiB."""
    seconds, peak = map(float, ran(["-c", PROBE, str(EXAMPLE), *arguments])[1].split())
    return seconds, peak


def memory(folder: Path, tiny: bool, largest: float) -> None:
    """Prints time and peak memory against the size of one dump, up to `largest` GB: both should be seen to be right.

    float32 grows; the other kinds are of its middle size.
    """
    print("\none dump of growing size: seconds, and peak resident memory above start-up")
    print(f"{'':<28}{'GB':>8}{'s':>8}{'s/GB':>8}{'MiB':>8}")
    full = max(16, int(largest * 1e9 / (1024 * 512 * 4)))
    rows = (2, 4, 8) if tiny else (full // 16, full // 4, full)
    sizes: list[tuple[str, int, dict[str, Any]]] = [("float32", n, {}) for n in rows]
    sizes += [(name, rows[1], options) for name, options in KINDS.items()]
    for name, count, options in sizes:
        dump = make(folder, (count, 8, 16) if tiny else (count, 1024, 512), **options)
        size = dump.outputs.stat().st_size / 1e9
        seconds, peak = seconds_and_peak(dump.arguments)
        print(f"{name:<28}{size:8.2f}{seconds:8.2f}{seconds / size:8.2f}{peak:8.0f}", flush=True)
        dump.outputs.unlink()


def against(folder: Path, tiny: bool) -> None:
    """Prints time and peak memory of a dump beside a second one of the same numbers, as `--against` compares them."""
    arrays = made((4, 8, 16) if tiny else (256, 1024, 512))
    pair = [folder / "one.npz", folder / "other.npz"]
    for path in pair:
        np.savez(path, **arrays)  # type: ignore[arg-type]
    size = pair[0].stat().st_size / 1e9
    seconds, peak = seconds_and_peak([str(pair[0]), "--against", str(pair[1]), "--convention", "tf1"])
    print(f"\ntwo dumps of {size:.2f} GB with --against: seconds, and peak resident memory above start-up")
    print(f"{'s':>8}{'MiB':>8}\n{seconds:8.2f}{peak:8.0f}", flush=True)
    for path in pair:
        path.unlink()


def jobs(folder: Path, tiny: bool) -> None:
    """Prints how long many dumps take by the number of processes, start-up included: many small ones, a few large."""
    count, large = (2, 2) if tiny else (2000, 32)
    many, few = folder / "many", folder / "few"
    for into in (many, few):
        into.mkdir()
    for i in range(count):
        shutil.copy(EXAMPLE, many / f"{i:04}.npz")
    arrays = made((4, 8, 16) if tiny else (64, 256, 256))
    for i in range(large):
        np.savez(few / f"{i:02}.npz", **arrays)
    for name, where, total in (("small", many, count), ("of 17 MB", few, large)):
        print(f"\n{total} dumps, {name}, by processes ({os.cpu_count()} cores)")
        print(f"{'jobs':>6}{'s':>8}{'dumps/s':>10}{'speed-up':>10}{'CPU ms each':>13}")
        alone = 0.0
        for n in (1, 2) if tiny else (1, 2, 4):
            arguments = ["compare", str(where), "--convention", "tf1", "--jobs", str(n), "--format", "ndjson", "-q"]
            before = _cpu_of_children()
            seconds = ran(["-m", "rnninspect", *arguments, "-o", os.devnull])[0]
            each = 1e3 * (_cpu_of_children() - before) / total
            alone = alone or seconds
            print(f"{n:>6}{seconds:8.2f}{total / seconds:10.1f}{alone / seconds:10.2f}{each:13.2f}", flush=True)


def _cpu_of_children() -> float:
    """Seconds of CPU of all processes that were begun here and have ended, their own ones too."""
    import resource  # which Windows lacks

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def made(shape: tuple[int, int, int]) -> dict[str, np.ndarray[Any, Any]]:
    """A small right dump with its inputs, under TensorFlow's names."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, shape[1] + 1, shape[0])
    outputs = rng.normal(size=shape).astype(np.float32)
    outputs[np.arange(shape[1])[None] >= lengths[:, None]] = 0
    return {"outputs": outputs, "final_state.h": outputs[np.arange(shape[0]), lengths - 1], "lengths": lengths}
