"""Outputs and final states that end at one step, and lengths at another: the lengths of the run are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.errors import UserError

ENDS = np.array([10, 4, 7, 2, 5, 8])
ONE_WRONG = np.array([10, 4, 7, 5, 5, 8])
SEVERAL_WRONG = np.array([10, 2, 9, 5, 4, 10])
ALL_WRONG = np.array([6, 5, 9, 3, 4, 10])  # where one row looks read on over padding, and three one step off


def _dump(directions: int) -> tuple[np.ndarray, np.ndarray]:
    """Outputs `[B, T, D*4]`, zero behind `ENDS`, and the states `[B, D*4]` that they end in."""
    outputs = np.random.default_rng(2).uniform(-1, 1, (6, 10, 4 * directions))
    for row, end in enumerate(ENDS):
        outputs[row, end:] = 0
    state = outputs[np.arange(6), ENDS - 1].copy()
    state[:, 4:] = outputs[:, 0, 4:]
    return outputs, state


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(
    "lengths", ["full", ONE_WRONG, SEVERAL_WRONG, ALL_WRONG], ids=["full", "one", "several", "all"]
)
def test_the_lengths_of_the_run_are_told(lengths: str | np.ndarray, directions: int) -> None:
    """Every state is the step behind which its row's outputs are zero: the code gives the lengths of that run, by
    which the same arrays are right; `fix` writes nothing into arrays that are right."""
    outputs, state = _dump(directions)
    told: dict[str, Any] = {"bidirectional": directions == 2, "convention": "tf1"}
    (finding,) = rnninspect.inspect(outputs, state, lengths=lengths, **told).findings
    names: dict[str, Any] = {"np": np}
    exec(finding.fix, names)
    assert np.array_equal(names["lengths"], ENDS)
    assert "no known mistake" not in finding.message
    assert rnninspect.inspect(outputs, state, lengths=names["lengths"], **told).verdict == "clean"
    with pytest.raises(UserError, match="the lengths must be corrected"):
        rnninspect.fix(outputs, state, lengths=lengths, **told)


@pytest.mark.parametrize("zeroed", [True, False])
def test_states_of_other_steps_stay_unexplained(zeroed: bool) -> None:
    """The twins: a state that is a step amid its row, or outputs that go on behind it, say nothing of the lengths."""
    outputs, state = _dump(1)
    if zeroed:
        state[2], state[5] = outputs[2, 2], outputs[5, 1]
    else:
        outputs = np.random.default_rng(3).uniform(-1, 1, outputs.shape)
        state = outputs[np.arange(6), ENDS - 1]
    lengths = ONE_WRONG if zeroed else np.array([10, 2, 10, 7, 5, 4])
    findings = rnninspect.inspect(outputs, state, lengths=lengths, convention="tf1").findings
    assert "unexplained-state" in [f.rule for f in findings]
    assert not any("lengths =" in f.fix for f in findings)
