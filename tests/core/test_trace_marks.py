"""Marks of many steps are read eight at a time: the last of a row, and how many there are."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect.core.trace import EIGHTS, MANY, count_true, last_true

STEPS = [1, 7, 8, 64, 1000, 8 * EIGHTS, 64 * EIGHTS, 64 * EIGHTS + 8, 64 * EIGHTS + 1]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 1.0])
def test_marks_are_told_as_one_at_a_time(steps: int, share: float) -> None:
    """The last mark, T-1 where there is none, and the count are those of a search step by step, however rows lie."""
    rng = np.random.default_rng(steps)
    mask = rng.random((max(3, 2 * MANY // steps), steps)) < share
    for seen in (mask, mask[::2], mask[:, ::-1], np.asfortranarray(mask)):
        last = [max(np.flatnonzero(row), default=steps - 1) for row in seen]
        assert last_true(seen).tolist() == last
        assert count_true(seen).tolist() == [int(row.sum()) for row in seen]


def test_a_single_mark_is_found_wherever_it_stands() -> None:
    """Of a row with one mark that is the last one, in every place of the row."""
    mask = np.eye(8 * EIGHTS, dtype=np.bool_)
    assert last_true(mask).tolist() == list(range(8 * EIGHTS))
    assert count_true(mask).tolist() == [1] * (8 * EIGHTS)
