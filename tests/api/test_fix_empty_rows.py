"""What a mended dump holds in a row without a step: its initial state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case

LENGTHS = np.array([4, 0, 7, 3])


def dump(convention: str, rule: str, directions: int = 1) -> tuple[dict[str, Any], np.ndarray]:
    """Outputs, state and lengths with that mistake, and the right states, directions side by side."""
    right = correct_case("gru", 1, directions, lengths=LENGTHS, convention=convention)
    wrong = rules()[rule].inject(right).trace.tracks
    finals = np.concatenate([t.final for t in right.trace.tracks], -1)  # type: ignore[arg-type]
    arrays: dict[str, Any] = {
        "outputs": np.concatenate([t.outputs for t in wrong], -1),  # type: ignore[arg-type]
        "final_state": np.concatenate([t.final for t in wrong], -1),  # type: ignore[arg-type]
        "lengths": LENGTHS,
    }
    return arrays, finals


def mended(arrays: dict[str, Any], convention: str, **more: Any) -> rnninspect.Fixed:
    return rnninspect.fix(arrays, convention=convention, time_major=False, **more)


@pytest.mark.parametrize("convention", ["flax", "torch", "keras", "tf1", "onnx", "paddle"])
@pytest.mark.parametrize("rule", ["rows-permuted", "pooled-state"])
def test_an_empty_row_ends_in_its_initial_state(convention: str, rule: str) -> None:
    """In every framework; what Flax's index -1 wraps around to is made of padding, and is put right with the rest."""
    arrays, right = dump(convention, rule)
    assert right[1].any() == (convention == "flax")
    right[1] = 0
    fixed = mended(arrays, convention)
    np.testing.assert_array_equal(fixed.arrays["final_state"], right)
    assert fixed.report.ok


@pytest.mark.parametrize("convention", ["flax", "torch"])
@pytest.mark.parametrize("directions", [1, 2])
def test_a_state_of_nowhere_is_taken_anew(convention: str, directions: int) -> None:
    """Where it is no step and no initial state, zeros are put there, in both directions."""
    arrays, right = dump(convention, "rows-permuted", directions)
    arrays["final_state"] = right.copy()
    arrays["final_state"][1] = 0.123
    right[1] = 0
    fixed = mended(arrays, convention, bidirectional=directions == 2)
    np.testing.assert_array_equal(fixed.arrays["final_state"], right)


@pytest.mark.parametrize("convention", ["flax", "tf1"])
def test_a_wrapped_row_is_an_error(convention: str) -> None:
    """Whoever reads that state reads padding, be it a right run of Flax."""
    arrays, right = dump("flax", "rows-permuted")
    arrays["final_state"] = right
    report = rnninspect.inspect(arrays, convention=convention, time_major=False)
    assert ("zero-length-row", "error") in [(f.rule, f.severity) for f in report.findings]
