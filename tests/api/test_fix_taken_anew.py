"""`fix` takes every state anew from the outputs where several mistakes moved the states alone, or rows were dropped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import rnninspect
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.rules import rules
from rnninspect.errors import UserError
from tests.support.made import LENGTHS, correct_case

ORDER = [2, 0, 1, 4, 3]
Moved = Callable[[np.ndarray], np.ndarray]


def _zeroed(h: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(h))[:, None] == 1, 0, h)


# What moved a state `[B, H]`, one mistake after another; none of them touched outputs or lengths.
MOVED: dict[str, Moved] = {
    "permuted, then one row zero": lambda h: _zeroed(h[ORDER]),
    "one row zero, then permuted": lambda h: _zeroed(h)[ORDER],
    "zeros of the last column, permuted": lambda h: np.where((LENGTHS == 7)[:, None], h, 0)[ORDER],
    "one row copied over another": lambda h: h[[0, 0, 2, 3, 4]],
    "the first rows alone": lambda h: h[:3],
    "the longest rows alone": lambda h: h[[2, 4]],
}


@pytest.mark.parametrize("convention", ["tf1", "torch", "keras"])
@pytest.mark.parametrize("how", MOVED)
def test_h_of_every_row_is_in_the_outputs(how: str, convention: str) -> None:
    """Whatever moved the states, a GRU's right ones are the outputs' last real steps: the dump is the right run's."""
    right = build_case.dump(correct_case("gru", convention=convention))
    h = next(name for name, array in right.items() if array.ndim in (2, 3) and array.shape[-2:] == (5, 5))
    fixed = rnninspect.fix({**right, h: _moved(right[h], how)}, convention=convention)
    assert fixed.changes
    assert fixed.report.verdict == "clean"
    for name, array in right.items():
        np.testing.assert_array_equal(fixed.arrays[name], array)


def _moved(state: np.ndarray, how: str) -> np.ndarray:
    """The state `[B, H]` or `[1, B, H]` as these mistakes leave it."""
    moved = MOVED[how](state.reshape(5, 5))
    return moved[None] if state.ndim == 3 else moved


def test_the_one_half_that_is_there_in_another_order() -> None:
    """The missing half is put in beside the other one, whose rows are put back."""
    case = correct_case("gru", 1, 2, convention="torch")
    right = build_case.dump(case)
    half = {**right, "h_n": right["h_n"][0][ORDER]}
    fixed = rnninspect.fix(half, convention="torch", bidirectional=True)
    np.testing.assert_array_equal(fixed.arrays["h_n"], np.concatenate(list(right["h_n"]), -1))


@pytest.mark.parametrize("how", [how for how in MOVED if "alone" not in how])
def test_a_cell_state_that_is_of_no_such_h_is_refused(how: str) -> None:
    """The twin: c was moved along, and no output holds the right one."""
    right = build_case.dump(correct_case("lstm"))
    moved = {name: _moved(right[name], how) for name in ("final_state.h", "final_state.c")}
    with pytest.raises(UserError, match="c is not in these arrays"):
        rnninspect.fix({**right, **moved}, convention="tf1")


@pytest.mark.parametrize("mistake", ["output-residual", "output-dropout"])
def test_changed_outputs_hold_no_right_state(mistake: str) -> None:
    """The twin: outputs that are not what the layer gave are no source of states."""
    wrong = build_case.dump(rules()[mistake].inject(correct_case("gru")))
    h = wrong["final_state"]
    with pytest.raises(UserError, match=r"run again|no known mistake"):
        rnninspect.fix({**wrong, "final_state": _moved(h, "permuted, then one row zero")}, convention="tf1")


@pytest.mark.parametrize("rows", [[1], [0, 3]])
def test_states_that_nothing_explains_are_not_overwritten(rows: list[int]) -> None:
    """The twin: beside rows in another order others hold no step of any row, and whether those states or their outputs
    are the wrong ones is not known."""
    right = build_case.dump(correct_case("gru"))
    h = right["final_state"][ORDER]
    h[rows] = np.random.default_rng(0).normal(size=(len(rows), 5)) / 4
    with pytest.raises(UserError, match="rows-permuted"):
        rnninspect.fix({**right, "final_state": h}, convention="tf1")


@pytest.mark.parametrize("direction", [None, "forward", "bidirectional"])
def test_maxima_are_taken_anew_as_stated_in_both_halves(direction: str | None) -> None:
    """Maxima over all steps are the same of one direction and of two: written is what the direction stated ends in, in
    both halves, though zeros of the padding show in one half alone; nothing where none was stated."""
    outputs = np.random.default_rng(0).normal(size=(5, 7, 6)).astype(np.float32)
    outputs[..., :3] = -abs(outputs[..., :3])
    outputs[..., 3:] = abs(outputs[..., 3:])
    outputs[0, 3, :3] = 1  # a row whose maxima are its last step, in one half alone
    outputs[np.arange(7) >= LENGTHS[:, None]] = 0
    dump = {"output": outputs, "lengths": LENGTHS, "final": outputs.max(1)}
    if direction is None:
        with pytest.raises(UserError, match=r"direction|direction='forward'"):
            rnninspect.fix(dump)
        return
    ends = outputs[np.arange(5), LENGTHS - 1]
    if direction == "bidirectional":
        ends[:, 3:] = outputs[:, 0, 3:]
    np.testing.assert_array_equal(rnninspect.fix(dump, direction=direction).arrays["final"], ends)
