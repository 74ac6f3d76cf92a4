"""Lengths that a text states as people type them, without the brackets of a list."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

import rnninspect
from rnninspect.errors import UnreadableError
from rnninspect.formats.text_clean import with_brackets

LENGTHS = [5, 2, 3]


def _printed(lengths: str, order: list[int]) -> str:
    """A right run's outputs `[B, T, H]` and its states in that order, as numpy prints them, and the line of lengths."""
    outputs = np.round(np.random.default_rng(2).uniform(-1, 1, (3, 5, 3)), 4)
    outputs[np.arange(5) >= np.array(LENGTHS)[:, None]] = 0
    state = outputs[np.arange(3), np.array(LENGTHS) - 1]
    return f"outputs:\n{outputs}\nfinal state:\n{state[order]}\n{lengths}\n"


@pytest.mark.parametrize(
    "lengths",
    [
        "lengths: 5, 2, 3",
        "Lengths = 5 2 3",
        "lengths 5,2,3",
        "lens: (5, 2, 3)",
        "seq_len = 5,2,3",
        "> lengths: 5, 2, 3",
    ],
)
def test_lengths_need_no_brackets(lengths: str) -> None:
    """They are read: the right state is clean, and rows in another order are named."""
    right = rnninspect.inspect(text=_printed(lengths, [0, 1, 2]))
    assert (right.verdict, right.lengths) == ("clean", LENGTHS)
    wrong = rnninspect.inspect(text=_printed(lengths, [0, 2, 1]))
    assert [finding.rule for finding in wrong.findings] == ["rows-permuted"]


@pytest.mark.parametrize(
    "line", ["length 5", "the lengths 5, 2, 3 are those of x", "lengths: [5, 2, 3]", "lengths: 5.0, 2.5", "len(x) 5 2"]
)
def test_other_lines_stay(line: str) -> None:
    """One number, prose, a list, fractions and calls are no such line."""
    assert with_brackets(line) == line


def test_a_long_line_costs_no_more_than_its_length() -> None:
    """Blanks, digits and underscores without end are passed over once: no line makes reading slow."""
    start = time.process_time()
    for line in ("lengths" + " " * 200_000 + "x", "a_" * 100_000, "lens" + " 1" * 100_000 + "x"):
        assert with_brackets(line) == line
    assert time.process_time() - start < 2


def _cell(source: str, *outputs: dict[str, object]) -> dict[str, object]:
    return {"cell_type": "code", "source": source.splitlines(keepends=True), "outputs": list(outputs), "metadata": {}}


def test_a_notebook_is_read_as_its_transcript(tmp_path: Path) -> None:
    """What cells printed and showed is read with their code before it, warnings apart: a right state is clean, one in
    another order named; a notebook that was never run is refused with what to do."""
    for order, rules in (([0, 1, 2], []), ([0, 2, 1], ["rows-permuted"])):
        parts = _printed("lengths: 5, 2, 3", order).split("final state:\n")
        state = parts[1].partition("lengths")[0]
        warned = {"output_type": "stream", "name": "stderr", "text": ["[[1.0, 2.0]] is deprecated\n"]}
        printed = {"output_type": "stream", "name": "stdout", "text": parts[0].splitlines(keepends=True)}
        shown = {"output_type": "execute_result", "data": {"text/plain": state, "image/png": "iVBORw0"}}
        cells = [
            {"cell_type": "markdown", "source": "# a run"},
            _cell("lengths = [5, 2, 3]\nprint('outputs:', outputs)", warned, printed),
            _cell("final_state", shown),
        ]
        path = tmp_path / "run.ipynb"
        path.write_text(json.dumps({"nbformat": 4, "cells": cells}))
        report = rnninspect.compare(path)
        assert ([finding.rule for finding in report.findings], report.lengths) == (rules, LENGTHS)
    path.write_text(json.dumps({"cells": [_cell("print(outputs)")]}))
    with pytest.raises(UnreadableError, match="no cell of this notebook has printed or shown anything"):
        rnninspect.compare(path)
