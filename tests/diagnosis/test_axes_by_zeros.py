"""As many rows as steps and no lengths: where rows end in zeros by the stated axes alone, these are the axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import rnninspect

LENGTHS = np.array([6, 3, 5, 2, 4, 6])
STEPS = np.random.default_rng(2).uniform(-0.9, 0.9, (6, 6, 5))
OUTPUTS = np.where((np.arange(6) < LENGTHS[:, None])[..., None], STEPS, 0)
LAST = OUTPUTS[np.arange(6), LENGTHS - 1]
STATED: dict[str, Any] = {"convention": "torch", "batch_first": True}


def rules(outputs: npt.NDArray[Any], state: npt.NDArray[Any], **about: Any) -> list[str]:
    return [f.rule for f in rnninspect.inspect(outputs, state, **STATED, **about).findings]


@pytest.mark.parametrize("row", [0, 5])
def test_one_row_taken_for_the_last_step(row: int) -> None:
    """`outputs[-1]` of batch-major outputs, or `outputs[0]`: every step of that row, and no row's own last one."""
    assert rules(OUTPUTS, OUTPUTS[row]) == ["row-taken-for-step"]
    assert rules(OUTPUTS, OUTPUTS[row], lengths=LENGTHS) == ["row-taken-for-step"]


def test_outputs_of_other_axes_than_stated_are_still_told() -> None:
    """Their zeros end the rows by the axes that were not stated."""
    assert rules(OUTPUTS.swapaxes(0, 1), LAST) == ["batch-time-swapped"]


def test_without_zeros_the_state_alone_tells() -> None:
    """The last step of every row by the axes that were not stated: nothing speaks against these."""
    assert rules(STEPS, STEPS[-1]) == ["batch-time-swapped"]


def test_a_staircase_of_zeros_is_the_same_by_both_axes() -> None:
    """Rows sorted from 6 steps down to 1 end in zeros along either axis, and so tell nothing."""
    stairs = np.where((np.arange(6) < np.arange(6, 0, -1)[:, None])[..., None], STEPS, 0)
    assert rules(stairs, stairs[0]) == rules(STEPS, STEPS[0])


def test_right_states_stay_right() -> None:
    """The states at each row's last step are those of the stated axes, with lengths and without."""
    assert rules(OUTPUTS, LAST) == rules(OUTPUTS, LAST, lengths=LENGTHS) == []
