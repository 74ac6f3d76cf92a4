"""Outputs whose two directions' units lie in turn are told from states that do, alone and beside another mistake."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect
from tests.support.made import correct_case


def dumped(order: list[int] | None = None) -> dict[str, np.ndarray]:
    """A right dump of two directions of 4 units, its states in another order of rows; and outputs `[B, T, H, D]`."""
    case = correct_case("gru", 1, 2, lengths=np.array([6, 2, 5, 3]), steps=6, units=4)
    forward, backward = case.trace.tracks
    states = np.stack([np.asarray(t.final)[order or slice(None)] for t in (forward, backward)])
    mixed = np.stack([np.asarray(forward.outputs), np.asarray(backward.outputs)], -1).reshape(4, 6, 8)
    return {"output": mixed, "h_n": states, "lengths": np.array([6, 2, 5, 3])}


@pytest.mark.parametrize("tolerance", [0.0, 1e-6])
def test_interleaved_outputs_are_named(tolerance: float) -> None:
    """The states are right as they are; the outputs are so once every second unit is taken for a direction."""
    report = rnninspect.inspect(dumped(), atol=tolerance)
    assert [f.rule for f in report.findings] == ["directions-interleaved"]
    assert "every second unit of the outputs" in report.findings[0].message


def test_interleaved_outputs_are_fixed() -> None:
    """The corrected dump holds each direction's outputs in a half of its own, and is clean."""
    dump = dumped()
    fixed = rnninspect.fix(dump)
    assert fixed.report.verdict == "clean"
    halves = [dump["output"][..., direction::2] for direction in range(2)]
    np.testing.assert_array_equal(fixed.arrays["output"], np.concatenate(halves, -1))
    np.testing.assert_array_equal(fixed.arrays["h_n"], dump["h_n"])


def test_interleaved_outputs_beside_rows_in_another_order() -> None:
    """Both mistakes are named: neither alone explains a state."""
    report = rnninspect.inspect(dumped([2, 0, 3, 1]))
    assert {f.rule for f in report.findings} == {"directions-interleaved", "rows-permuted"}
