"""What a mended dump holds in a row without a step: what the framework that is believed leaves there."""

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
def test_the_framework_decides(convention: str, rule: str) -> None:
    """Flax's empty row keeps what the index -1 wraps around to, that of the others its initial state."""
    arrays, right = dump(convention, rule)
    fixed = mended(arrays, convention)
    np.testing.assert_array_equal(fixed.arrays["final_state"], right)
    assert right[1].any() == (convention == "flax")
    assert fixed.report.ok


@pytest.mark.parametrize("directions", [1, 2])
def test_a_state_of_nowhere_is_taken_anew(directions: int) -> None:
    """Where it is neither, what Flax would have left is put there, in both directions; other frameworks' zeros."""
    for convention in ("flax", "torch"):
        arrays, right = dump(convention, "rows-permuted", directions)
        arrays["final_state"] = right.copy()
        arrays["final_state"][1] = 0.123
        fixed = mended(arrays, convention, bidirectional=directions == 2)
        np.testing.assert_array_equal(fixed.arrays["final_state"], right)


def test_a_right_run_of_flax_is_left_as_it_is() -> None:
    """Its wrapped row is a trap, and no mistake."""
    arrays, right = dump("flax", "rows-permuted")
    arrays["final_state"] = right
    fixed = mended(arrays, "flax")
    assert not fixed.changes
    np.testing.assert_array_equal(fixed.arrays["final_state"], right)
    report = rnninspect.inspect(arrays, convention="flax", time_major=False)
    assert [(f.rule, f.severity) for f in report.findings if f.severity != "note"] == [("zero-length-row", "warning")]
    elsewhere = rnninspect.inspect(arrays, convention="tf1", time_major=False)
    assert ("zero-length-row", "error") in [(f.rule, f.severity) for f in elsewhere.findings]
