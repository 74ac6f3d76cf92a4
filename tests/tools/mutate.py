"""Puts small mistakes into the package, one at a time, and sees whether the tests notice.

`python -m tests.tools.mutate --sample 200 --seed 1` takes so many of all mutants of `measure`, `diagnosis`,
`conventions` and `engine` (`--rooms`), and prints those that no test killed and a line of counts. The tests of a mutant
are those that execute its line, the mirrored room's first, a case of each in turn, until one fails: 10 seconds of them,
then the rest as far as `--limit` seconds go. Which test executes what is measured once (`--map` names the
file; delete it to measure anew), which takes twice as long as those tests do and needs coverage.py.

It all happens in a copy of the tree under `build/mutation`, by forked processes: on POSIX alone. `--log` names the file
that gets a line of JSON a mutant as it is done; mutants that are in it are not tried again. `--only` tries mutants by
the names that were printed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.support.mutant_loop import QUIET
from tests.support.mutants import Mutant, mutants_of
from tests.support.places import ROOT

ROOMS = ("measure", "diagnosis", "conventions", "engine")
TREE = ROOT / "build" / "mutation" / "tree"
TESTS = [
    *(f"tests/{room}" for room in (*ROOMS, "api", "report")),
    *(f"tests/test_{name}.py" for name in ("properties", "right_runs", "field", "parity", "printed_runs")),
    "tests/test_documentation.py",
    *(f"rnninspect/{room}" for room in ROOMS),
]  # what can kill a mutant


def copy_tree() -> None:
    """The files that git knows or would know, copied to TREE."""
    shutil.rmtree(TREE, ignore_errors=True)
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, TREE / name)


def pytest_there(*arguments: str) -> None:
    """pytest in the copied tree, over all tests that can kill."""
    environment = {**os.environ, "PYTHONPATH": str(TREE), "OMP_NUM_THREADS": "1"}
    tests = [test for test in TESTS if (TREE / test).exists()]
    quiet = [word for word in QUIET if word != "-x"]
    command = [sys.executable, "-m", "pytest", *quiet, f"--rootdir={TREE}", *arguments, *tests]
    subprocess.run(command, cwd=TREE, env=environment, check=False)


def all_mutants(rooms: list[str]) -> list[Mutant]:
    """Every mutant of these rooms."""
    files = sorted(file for room in rooms for file in (TREE / "rnninspect" / room).rglob("*.py"))
    return [m for file in files for m in mutants_of(file.relative_to(TREE).as_posix(), file.read_text("utf-8"))]


def logged(log: Path) -> dict[str, dict[str, Any]]:
    """The lines of a log by their mutants' names."""
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []
    fields = ("file", "number", "line", "before", "after")
    return {Mutant(**{name: line[name] for name in fields}).name: line for line in lines}


def main() -> None:
    """Tries a sample and prints what survived."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rooms", default=",".join(ROOMS), help="folders of the package, with commas")
    parser.add_argument("--limit", type=float, default=40.0, help="seconds of tests in the second round")
    parser.add_argument("--map", type=Path, default=TREE.parent / "map.json")
    parser.add_argument("--log", type=Path, default=TREE.parent / "log.jsonl")
    parser.add_argument("--only", nargs="*", help="mutants by name, instead of a sample")
    options = parser.parse_args()
    if not options.map.exists() and importlib.util.find_spec("coverage") is None:
        raise SystemExit("coverage.py is needed to measure which test executes what: install the test extra")
    copy_tree()
    if not options.map.exists():
        pytest_there("-p", "tests.support.coverage_map", f"--map={options.map.resolve()}")
    mutants = all_mutants(options.rooms.split(","))
    sample = random.Random(options.seed).sample(mutants, min(options.sample, len(mutants)))
    if options.only:
        sample = [mutant for mutant in mutants if mutant.name in options.only]
    log, plan = options.log.resolve(), TREE.parent / "plan.json"
    left = [asdict(mutant) for mutant in sample if mutant.name not in logged(log)]
    fields = {"mutants": left, "map": str(options.map.resolve()), "limit": options.limit, "log": str(log)}
    plan.write_text(json.dumps(fields), "utf-8")
    pytest_there("-s", "-p", "tests.support.mutant_loop", f"--plan={plan}")
    done = logged(log)
    ends = {mutant.name: done[mutant.name]["end"] for mutant in sample if mutant.name in done}
    for name, end in ends.items():
        if end != "killed":
            print(f"{end}  {name}")
    counts = {end: list(ends.values()).count(end) for end in sorted(set(ends.values()))}
    print(f"seed {options.seed}: {len(ends)} of {len(mutants)} mutants: {counts}")


if __name__ == "__main__":
    main()
