"""In place of pytest's own loop: one forked process a mutant, which runs the tests that execute the mutant's line.

Everything is imported and collected once; a process of its own then gets the changed functions (`mutants.swap_in`) and
runs its tests until one fails. A change outside functions needs an import of its own: it is run by another pytest.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain, zip_longest
from pathlib import Path

import pytest

from tests.support.coverage_map import CoverageMap, read_map
from tests.support.mutants import Mutant, mutated, swap_in

FIRST = 10.0  # seconds of tests in the first round
QUIET = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "-n", "0"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--plan", required=True, help="JSON: mutants, map, limit, and the log that is written")


def pytest_runtestloop(session: pytest.Session) -> bool:
    plan = json.loads(Path(session.config.getoption("--plan")).read_text("utf-8"))
    loop = Loop(session, read_map(Path(plan["map"])), plan["limit"])
    for fields in plan["mutants"]:
        begun = time.monotonic()
        mutant = Mutant(**fields)
        end, by = loop.outcome(mutant)
        with open(plan["log"], "a", encoding="utf-8") as log:
            line = {"end": end, "by": by, "seconds": round(time.monotonic() - begun, 1), **asdict(mutant)}
            log.write(json.dumps(line) + "\n")
    return True


@dataclass(frozen=True, eq=False)
class Loop:
    """The collected session; `limit`: seconds of tests, as the map has them, after the first round."""

    session: pytest.Session
    coverage: CoverageMap
    limit: float

    def outcome(self, mutant: Mutant) -> tuple[str, str]:
        """`killed`, `survived`, or `not executed`; and by which test."""
        tried = [tests for tests in rounds(mutant, self.coverage, self.limit) if tests]
        for tests in tried:
            killer = self._killer(mutant, tests)
            if killer is not None:
                return "killed", killer
        return ("survived" if tried else "not executed"), ""

    def _killer(self, mutant: Mutant, tests: list[str]) -> str | None:
        """The test that fails, `time` where they do not end; None where all pass."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            os.setsid()
            self._run(mutant, tests, writing)
        os.close(writing)
        seconds = sum(self.coverage.seconds.get(test, 1.0) for test in tests)
        status = _waited(child, 60 + 20 * seconds)
        with os.fdopen(reading, "rb") as pipe:
            failed = pipe.read().decode()
        if status == 70:
            raise pytest.UsageError(f"none of {tests[:3]} is among the tests: delete the map, to measure it anew")
        return None if status == 0 else failed or ("time" if status is None else f"exit {status}")

    def _run(self, mutant: Mutant, tests: list[str], writing: int) -> None:
        """The child's part: it ends here, with 0 where all tests pass."""
        import resource

        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        seconds = int(20 + 5 * sum(self.coverage.seconds.get(test, 1.0) for test in tests))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        file = Path(self.session.config.rootpath, mutant.file)
        text = file.read_text("utf-8")
        if not swap_in(str(file), mutated(text, mutant)):
            os._exit(_run_anew(file, text, mutant, tests))
        items = {item.nodeid: item for item in self.session.items}
        chosen = [items[test] for test in tests if test in items]
        if not chosen:
            os._exit(70)
        for item, following in zip_longest(chosen, chosen[1:]):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.session.testsfailed:
                os.write(writing, item.nodeid.encode())
                os._exit(1)
        os._exit(0)


def _waited(child: int, limit: float) -> int | None:
    """The child's exit status, negative for a signal; None where it was killed, with all it began, after the limit."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _run_anew(file: Path, text: str, mutant: Mutant, tests: list[str]) -> int:
    """The exit status of another pytest, with the mutant in the file."""
    import ast

    file.write_text(ast.unparse(mutated(text, mutant)) + "\n", "utf-8")
    try:
        command = [sys.executable, "-B", "-m", "pytest", *QUIET, *tests]
        return subprocess.run(command, check=False).returncode
    finally:
        file.write_text(text, "utf-8")


def rounds(mutant: Mutant, coverage: CoverageMap, limit: float) -> Iterator[list[str]]:
    """The tests to try, in two rounds of FIRST and `limit` seconds; none where no test executes the line.

    Those named after the mutant's file come first, then the mirrored room's, then the others: of each test function in
    turn one case, the quickest first.
    """
    room = mutant.file.split("/")[1]
    tests = sorted(coverage.tests_of(mutant.file, mutant.line), key=lambda test: coverage.seconds[test])
    mirrored = [test for test in tests if test.startswith((f"tests/{room}/", mutant.file))]
    named = [test for test in tests if f"/test_{Path(mutant.file).name}::" in test]
    others = [test for test in tests if test not in set(mirrored)]
    turns = dict.fromkeys(chain(_by_turns(named), _by_turns(mirrored), _by_turns(others)))
    first = list(_cut(iter(turns), coverage, FIRST))
    yield first
    yield list(_cut(_by_turns([test for test in tests if test not in set(first)]), coverage, limit))


def _by_turns(tests: list[str]) -> Iterator[str]:
    """One case of each test function in turn."""
    functions: dict[str, list[str]] = {}
    for test in tests:
        functions.setdefault(test.split("[")[0], []).append(test)
    return (test for turn in zip_longest(*functions.values()) for test in turn if test is not None)


def _cut(tests: Iterator[str], coverage: CoverageMap, seconds: float) -> Iterator[str]:
    """Those tests that so many seconds have room for."""
    for test in tests:
        if coverage.seconds[test] <= seconds:
            seconds -= coverage.seconds[test]
            yield test
