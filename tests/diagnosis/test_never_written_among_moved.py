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


def test_zeros_of_the_last_column_of_other_rows() -> None:
    """`outputs[order, -1]` gives a full row zeros that its own column does not hold: both causes are named, and zeros
    in fewer rows than the column has are no column's. A flat index of the other layout may land on zeros alone, which
    is another cause of them; where one state is not what it lands on, it is not."""
    outputs = np.random.default_rng(0).normal(size=(6, 9, 4))
    outputs[np.arange(9) >= LENGTHS[:, None]] = 0
    moved = outputs[ORDER, -1]
    for state, rules in (
        (moved, {"last-column-as-final-state": ["state-never-written"], "rows-permuted": []}),
        (np.where(ROWS[:, None] == 3, outputs[0, 3], moved), {"state-never-written", "rows-permuted"}),
    ):
        report = rnninspect.inspect(outputs, state, lengths=LENGTHS)
        told = {f.rule: f.alternatives for f in report.findings}
        assert told == rules if isinstance(rules, dict) else told.keys() >= rules
    lengths = np.array([1, 8, 2, 4, 4])
    outputs = np.random.default_rng(1).normal(size=(5, 8, 4))
    outputs[np.arange(8) >= lengths[:, None]] = 0
    flat = outputs.swapaxes(0, 1).reshape(40, 4)[np.arange(5) * 8 + lengths - 1]
    assert not flat[1:].any()
    others = [flat, flat * (np.arange(5) > 0)[:, None]]
    for state, alternatives in zip(others, (["flat-gather-wrong-stride"], []), strict=True):
        findings = rnninspect.inspect(outputs, state, lengths=lengths).findings
        assert [(f.rule, f.alternatives) for f in findings] == [("state-never-written", alternatives)]


@pytest.mark.parametrize(("third", "alternatives"), [(8, ["off-by-one-length", "lengths-ignored"]), (7, [])])
def test_the_column_before_the_last_may_be_one_rows_length(third: int, alternatives: list[str]) -> None:
    """`outputs[:, -2]` of a run that read on is where a row ends that is one step shorter than the longest: either may
    be why; a column further to the front is that row's length alone."""
    outputs = np.random.default_rng(0).normal(size=(5, 9, 4))
    report = rnninspect.inspect(outputs, outputs[:, third - 1], lengths=[9, 3, 5, third, 2], direction="forward")
    (finding,) = [f for f in report.findings if f.severity == "error"]
    assert (finding.rule, finding.alternatives) == ("lengths-misaligned", alternatives)
