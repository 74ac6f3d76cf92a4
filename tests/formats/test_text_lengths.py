"""Lengths that a text states as people type them, without the brackets of a list."""

from __future__ import annotations

import time

import numpy as np
import pytest

import rnninspect
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
