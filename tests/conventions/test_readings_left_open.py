"""Which reading is right where nobody stated it, though the inputs are wider than the outputs."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect


@pytest.mark.parametrize("width", [6, 8])
@pytest.mark.parametrize("units", [1, 4])
def test_two_directions_are_seen_beside_wider_inputs(units: int, width: int) -> None:
    """Outputs end with the longest row, as `pad_packed_sequence` leaves them, and the inputs go on.

    The row of one step ends where it begins, so that it is right in one direction too; the other one is not.
    """
    rng = np.random.default_rng(units)
    outputs, lengths = rng.normal(size=(2, 6, 2 * units)).astype(np.float32), np.array([1, 6])
    outputs[0, 1:] = 0
    state = np.concatenate([outputs[[0, 1], lengths - 1, :units], outputs[:, 0, units:]], 1)
    dump = {"outputs": outputs, "state": state, "lengths": lengths, "x": rng.normal(size=(2, width, 3))}
    report = rnninspect.inspect(dump)
    assert not [finding for finding in report.findings if finding.severity == "error"]
    assert report.verdict != "unjudged"
    assert rnninspect.inspect({**dump, "state": state + 1}).verdict != "clean"
