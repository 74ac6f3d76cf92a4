"""compare beside what people write by hand: one recorded dump, all ways in turn, in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rnninspect.api.config import layer_config
from rnninspect.api.inspect import inspect_case
from rnninspect.core.evidence import Role, Slot
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from rnninspect.formats import read_arrays
from tests.benchmarks.dumps import Dump, make

SHAPE, TINY = (256, 1024, 512), (4, 8, 16)
NARROW = {"float32, 32 units a step": (256, 16384, 32), "float32, 8 units a step": (256, 65536, 8)}  # as many numbers
KINDS: dict[str, dict[str, Any]] = {
    "float32": {},
    "float32, time-major": {"time_major": True},
    "float32, every state wrong": {"wrong": True},
    **{kind: {} for kind in NARROW},
    "float64": {"dtype": "float64"},
    "float16": {"dtype": "float16"},
}


def read(dump: Dump) -> Case:
    """A fresh map, its reading chosen, its facts measured."""
    roles: dict[Role, Slot] = {
        role: Slot(role, "", next(iter(read_arrays(path).arrays.values())))  # type: ignore[misc]
        for role, path in (("outputs", dump.outputs), ("h", dump.state), ("lengths", dump.lengths))
    }
    return build_case.read_case({}, layer_config(time_major=dump.time_major), "tf1", named_roles=roles)


def judged(dump: Dump) -> Any:
    """Facts, padding classes, every rule that needs no weights."""
    return judge(read(dump), rules())


def inspect(dump: Dump) -> Any:
    """The same, and the report made and printed as JSON."""
    return inspect_case(read(dump), "compare").render("json")


def ways(dump: Dump) -> dict[str, Callable[[], Any]]:
    state = np.load(dump.state)
    target = state[None] if dump.time_major else state[:, None]

    def mapped() -> Any:
        return np.load(dump.outputs, mmap_mode="r")

    return {
        "np.max": lambda: mapped().max(),
        "rnninspect": lambda: judged(dump),
        "with report": lambda: inspect(dump),
        "np.isclose": lambda: np.isclose(mapped(), target).all(-1),
        "assert_allclose": lambda: np.testing.assert_allclose(mapped(), mapped()),
    }


def timed(
    calls: dict[str, Callable[[], Any]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each, in turn, so that whatever else the machine does hits all of them; ways that take a second
    are called twice and no more."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            if turn > 1 and taken[name][0] > 1:
                continue
            start = clock()
            call()
            if turn:  # the first round warms the page cache
                taken[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def table(folder: Path, tiny: bool, rounds: int, cpu: bool = False) -> None:
    """Prints milliseconds, and ours (facts and rules) as passes of np.max and as a share of np.isclose."""
    shape = TINY if tiny else SHAPE
    clock = time.process_time if cpu else time.perf_counter
    print(f"\ncompare, outputs {list(shape)}, ms{' of CPU' * cpu} (medians of {rounds})")
    names = ("np.max", "rnninspect", "with report", "np.isclose", "assert_allclose")
    print(f"{'':<28}" + "".join(f"{name:>17}" for name in names) + f"{'passes':>9}{'isclose/ours':>14}")
    for kind, options in KINDS.items():
        dump = make(folder, shape if tiny else NARROW.get(kind, shape), **options)
        taken = timed(ways(dump), rounds, clock)
        passes, gain = taken["rnninspect"] / taken["np.max"], taken["np.isclose"] / taken["rnninspect"]
        print(f"{kind:<28}" + "".join(f"{1e3 * taken[name]:17.1f}" for name in names) + f"{passes:9.2f}{gain:14.1f}")
        dump.outputs.unlink()
