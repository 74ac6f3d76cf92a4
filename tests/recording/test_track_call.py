"""A recorded call of any framework: what its compiler rounds apart is no mistake."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Track
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.recording.base import Where
from rnninspect.recording.judge_calls import Asked, report_of
from rnninspect.recording.track_call import ROUNDING, TrackCall

LENGTHS = np.array([3, 5, 2])


@pytest.mark.parametrize(("apart", "verdict"), [(1e-8, "clean"), (1e-3, "findings")])
def test_states_that_are_rounded_apart(apart: float, verdict: str) -> None:
    """A state that differs from its output by what XLA rounds is that output; one that differs by more is not."""
    outputs = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    outputs[np.arange(5) >= LENGTHS[:, None]] = 0
    final = outputs[np.arange(3), LENGTHS - 1] + np.float32(apart)
    call = TrackCall(
        Where("rnn", 0, "GRU"),
        "keras",
        LayerConfig("gru", 1, "forward", padding="zero"),
        np.zeros((3, 5, 2), dtype="float32"),
        (Track(0, "forward", outputs, final),),
        LENGTHS,
        rounding=ROUNDING,
    )
    report, error = report_of(call, Asked(convention="keras"))
    assert error is None
    assert (report.verdict, report.convention) == (verdict, "keras")
    assert call.judged(Tolerance()).case.tolerance == Tolerance(ROUNDING, ROUNDING)
