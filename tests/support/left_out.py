"""Skips what fails for want of a package that was left out on purpose: a pytest plugin, `LEFT_OUT="torch keras"`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

LEFT_OUT = frozenset(os.environ.get("LEFT_OUT", "").split())


def lacking(report: Any) -> str | None:
    """The package for want of which a report says that something failed; None where that is not why."""
    text = str(report.longrepr or "")
    names = {line.partition("No module named ")[2].strip("'\" ").split(".")[0] for line in text.splitlines()}
    return next(iter(sorted(names & LEFT_OUT)), None)


def _skip(report: Any, package: str) -> None:
    report.outcome, report.longrepr = "skipped", (str(report.nodeid), 0, f"Skipped: {package} was left out")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[Any]:
    report = yield
    package = lacking(report) if report.failed else None
    if package:
        _skip(report, package)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[Any]:
    report = yield
    package = lacking(report) if report.failed else None
    if package:
        _skip(report, package)
    return report
