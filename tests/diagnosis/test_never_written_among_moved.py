"""A state that was never written is told as such where the other rows' states are in another order."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect

LENGTHS = np.array([9, 4, 7, 2, 5, 8])
ORDER = np.array([2, 0, 1, 5, 3, 4])
ROWS = np.arange(6)


@pytest.mark.parametrize("zero", [[2], [2, 4]])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(
    ("taken", "causes"),
    [("ends", {"rows-permuted", "state-never-written"}), ("last column", {"last-column-as-final-state"})],
)
def test_zeros_among_states_of_other_rows(taken: str, causes: set[str], directions: int, zero: list[int]) -> None:
    """Short rows whose right ends other rows hold show that no state was read from the zeroed last column; where none
    does, in the last column itself, the zeros are its own."""
    outputs = np.random.default_rng(0).normal(size=(6, 9, 4 * directions))
    outputs[np.arange(9) >= LENGTHS[:, None]] = 0
    state = outputs[:, -1].copy()
    if taken == "ends":
        state = outputs[ROWS, LENGTHS - 1]
        state[:, 4:] = outputs[:, 0, 4:]
        state = state[ORDER]
        state[zero] = 0
    report = rnninspect.inspect(outputs, state, lengths=LENGTHS, bidirectional=directions == 2 or None)
    wrong_end = {"backward-final-at-last-step"} if directions == 2 and taken == "last column" else set()
    assert {f.rule for f in report.findings} == causes | wrong_end
    if taken == "ends":
        assert [f.rows for f in report.findings if f.rule == "state-never-written"] == [zero]
