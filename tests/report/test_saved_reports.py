"""Reports that earlier versions saved are rendered by this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnninspect.report.load import load
from rnninspect.report.renderers import renderers
from tests.support.places import DATA

SAVED = sorted((DATA / "reports").glob("*/*.json"))


@pytest.mark.parametrize("format", [name for name, _ in renderers()])
@pytest.mark.parametrize("file", SAVED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_older_reports_are_rendered(file: Path, format: str) -> None:
    """Every format renders every saved report, with the verdict that it was saved with."""
    report = load(file)
    assert report.tool["version"] == file.parent.name
    assert report.what_if == []
    assert report.render(format)
    assert repr(report).startswith("<Report: ")


def test_there_are_some() -> None:
    """A report without findings, one with notes alone and one with errors."""
    assert [(load(f).verdict, [x.severity for x in load(f).findings]) for f in SAVED] == [
        ("findings", ["error", "error"]),
        ("clean", []),
        ("findings", ["note"]),
    ]
