"""Which tests execute which line, and how long each takes: a pytest plugin over coverage.py's contexts.

`-p tests.support.coverage_map --map FILE` writes it as JSON; tests that did not pass are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class CoverageMap:
    """Seconds by test, and the tests by file (`rnninspect/measure/scan.py`) and line; lines of imports are in no test.

    What a test does in another process is not seen.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]

    def tests_of(self, file: str, line: int) -> list[str]:
        """The tests that execute a line; those of any line of the file for one that runs on import."""
        by_line = self.lines.get(file, {})
        return by_line[line] if line in by_line else sorted({test for tests in by_line.values() for test in tests})


def read_map(path: Path) -> CoverageMap:
    """The map that a run of the plugin wrote."""
    fields = json.loads(path.read_text("utf-8"))
    names = list(fields["seconds"])
    lines = {
        file: {int(line): [names[i] for i in tests] for line, tests in by_line.items()}
        for file, by_line in fields["lines"].items()
    }
    return CoverageMap(fields["seconds"], lines)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--map", required=True, help="the file that the map is written to")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Mapper(config.rootpath, Path(config.getoption("--map"))), "mapper")


class _Mapper:
    """Switches coverage's context test by test."""

    def __init__(self, root: Path, path: Path) -> None:
        import coverage

        self.root, self.path, self.seconds = root, path, dict[str, float]()
        self.coverage = coverage.Coverage(data_file=None, source=[str(root / "rnninspect")], messages=False)
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        self.coverage.switch_context(item.nodeid)
        done = yield
        self.coverage.switch_context("")
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.seconds[report.nodeid] = round(report.duration, 4)

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        recorded = self.coverage.get_data()
        index = {test: i for i, test in enumerate(self.seconds)}
        lines = {}
        for name in sorted(recorded.measured_files()):
            by_line = {
                line: [index[test] for test in tests if test in index]
                for line, tests in sorted(recorded.contexts_by_lineno(name).items())
            }
            file = Path(name).relative_to(self.root).as_posix()
            lines[file] = {line: tests for line, tests in by_line.items() if tests}
        self.path.write_text(json.dumps({"seconds": self.seconds, "lines": lines}), "utf-8")
