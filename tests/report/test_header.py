"""What the head of a report says of whose the arrays are, and of what was not read."""

from __future__ import annotations

import html
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.report import renderers
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import _header
from rnninspect.report.renderers.view import View
from tests.support.commandline import rnninspect as command

LENGTHS = np.array([4, 2, 3])


def dump() -> dict[str, np.ndarray]:
    """A right run, `[B, T, H]`, whose padding is zero, under names that are no framework's."""
    outputs = np.random.default_rng(5).standard_normal((3, 4, 2)).astype(np.float32)
    outputs[np.arange(4) >= LENGTHS[:, None]] = 0
    return {"outputs": outputs, "state": outputs[np.arange(3), LENGTHS - 1], "lengths": LENGTHS}


def judged(convention: str = "auto") -> ReportRecord:
    arrays_dumped = dump()
    return rnninspect.inspect(arrays_dumped["outputs"], arrays_dumped["state"], lengths=LENGTHS, convention=convention)


def header_lines(report: ReportRecord, key: str) -> list[str]:
    return [text for name, text in _header.entries(report, View()) if name == key]


def saved(folder: Path) -> Path:
    """A `.pt` file with torch's own names, and an array that nobody knows."""
    arrays_dumped = dump()
    path = folder / "run.pt"
    arrays = {
        "output": arrays_dumped["outputs"],
        "h_n": arrays_dumped["state"][None],
        "lens": LENGTHS,
        "alpha": np.zeros(9),
    }
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    return path


@pytest.mark.parametrize("format_", ["table", "markdown", "html"])
def test_each_page_says_whose_arrays_and_why(format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terminal, Markdown and HTML say which framework the arrays were read as, and what speaks for it."""
    monkeypatch.setenv("COLUMNS", "200")
    shown = html.unescape(command("compare", saved(tmp_path), "--format", format_).out).replace("\\", "")
    assert "torch; reasons: .pt, " in shown
    assert "alpha [9] was not read" in shown


def test_a_stated_framework_is_said_to_be() -> None:
    """A framework that was stated is named alone, and that it was stated comes first."""
    (line,) = header_lines(judged("keras"), "convention")
    assert line.startswith("keras; reasons: stated")


def test_two_frameworks_are_named_where_neither_is_likelier() -> None:
    """Names that are nobody's leave it undecided, and the head names the two likeliest."""
    report = judged()
    first, second = (belief["name"] for belief in report.reading["conventions"])
    assert header_lines(report, "convention")[0].startswith(f"{first} or {second}, undecided; reasons for {first}: ")


def test_the_option_is_named_as_its_user_types_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array that was not read is shown with the option, in the command line's words or in Python's."""
    monkeypatch.setenv("COLUMNS", "200")
    arrays = {**dump(), "more_lengths": LENGTHS[::-1].copy()}
    np.savez(tmp_path / "run.npz", **arrays)
    done = command("compare", tmp_path / "run.npz")
    assert "not read" in done.out
    assert "--lengths more_lengths" in done.out
    report = rnninspect.compare(tmp_path / "run.npz")
    assert any("lengths='more_lengths'" in text for text in header_lines(report, "not read"))


@pytest.mark.parametrize("count", [0, 1, 3, 4, 40])
def test_at_most_three_lines_on_what_was_not_read(count: int) -> None:
    """Few are listed each in a line; of many the first two, and then how many more there are."""
    whole = judged()
    unused = [f"a{i} [9] was not read" for i in range(count)]
    lines = header_lines(replace(whole, source={"path": "x.npz", "unused": unused}), "not read")
    assert len(lines) == min(count, 3)
    assert lines == unused if count <= 3 else f"and {count - 2} more: a2, a3" in lines[-1]


def test_nothing_unread_nothing_said() -> None:
    """A source whose arrays were all read shows no entry for it, not even an empty one."""
    report = replace(judged(), source={"path": "x.npz", "unused": []})
    assert header_lines(report, "not read") == []
    assert "not read" not in renderers.render(report)
