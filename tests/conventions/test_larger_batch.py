"""States of more rows than the outputs: each row several times (beams, samples), or those of a larger batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.errors import UserError

RNG = np.random.default_rng(0)
LENGTHS = np.array([4, 2, 5, 3])
OUTPUTS = RNG.uniform(-0.9, 0.9, (4, 5, 6)).astype(np.float32) * (np.arange(5) < LENGTHS[:, None])[..., None]
H = OUTPUTS[np.arange(4), LENGTHS - 1]
LOWER = RNG.uniform(-0.9, 0.9, H.shape).astype(np.float32)
STACK = np.stack([LOWER, H])


def judged(state: np.ndarray, **options: Any) -> list[str]:
    """The rules of the findings, or the verdict where there are none."""
    report = rnninspect.inspect({"output": OUTPUTS, "h_n": state, "lengths": LENGTHS, **options})
    return [f.rule for f in report.findings if f.severity != "note"] or [report.verdict]


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("state", [H, H[None], STACK], ids=["flat", "one layer", "two layers"])
def test_rows_that_stand_several_times_are_read_once(state: np.ndarray, times: int) -> None:
    """Right states are clean; in another order, or with c in their place, they are named."""
    assert judged(state.repeat(times, -2)) == ["clean"]
    assert judged(state[..., [2, 0, 3, 1], :].repeat(times, -2)) == ["rows-permuted"]
    cell = np.arctanh(np.sign(state) * (0.1 + 0.9 * abs(state)))
    swapped = {"h_n": cell.repeat(times, -2), "c_n": state.repeat(times, -2)}
    assert judged(swapped["h_n"], c_n=swapped["c_n"]) == ["cell-hidden-swapped"]


def test_one_row_several_times_is_no_stack_of_layers() -> None:
    """Of one row every copy is a row of its own where the state has one layer's axes."""
    one = {"output": OUTPUTS[2:3], "h_n": H[None, 2:3].repeat(4, 1), "lengths": LENGTHS[2:3]}
    assert rnninspect.inspect(one).verdict == "clean"


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("state", [H, H[None], STACK], ids=["flat", "one layer", "two layers"])
def test_the_rows_of_a_larger_batch_are_those_that_end_in_it(state: np.ndarray, last: bool) -> None:
    """The first or the last rows of the state are the outputs': the others are noted, and not compared."""
    others = RNG.uniform(-0.9, 0.9, (*state.shape[:-2], 3, 6)).astype(np.float32)
    parts = [others, state] if last else [state, others]
    report = rnninspect.inspect({"output": OUTPUTS, "h_n": np.concatenate(parts, -2), "lengths": LENGTHS})
    assert report.verdict == "clean"
    assert any(f"of the {'last' if last else 'first'} 4" in note for note in report.notes)


def test_a_larger_state_that_is_of_no_such_rows_is_refused() -> None:
    """One row that ends elsewhere is enough: nothing says then which rows these are."""
    state = np.concatenate([H, LOWER[:3]])
    state[1] = OUTPUTS[1, 0]
    with pytest.raises(UserError, match="fits no reading"):
        rnninspect.inspect({"output": OUTPUTS, "h_n": state[None], "lengths": LENGTHS}, layers=1)
