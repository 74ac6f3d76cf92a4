"""A recorded call of any framework: what its compiler rounds apart is no mistake."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Track
from rnninspect.errors import UserError
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.recording.base import Where
from rnninspect.recording.handover import Handover
from rnninspect.recording.judge_calls import Asked, report_of
from rnninspect.recording.track_call import ROUNDING, TrackCall

LENGTHS = np.array([3, 5, 2])


def made(final: np.ndarray, outputs: np.ndarray) -> TrackCall:
    """A recorded call of three rows of uneven lengths."""
    return TrackCall(
        Where("rnn", 0, "GRU"),
        "keras",
        LayerConfig("gru", 1, "forward", padding="zero"),
        np.zeros((3, 5, 2), dtype="float32"),
        (Track(0, "forward", outputs, final),),
        LENGTHS,
        rounding=ROUNDING,
    )


@pytest.mark.parametrize(
    "shape", [(2, 4), (0, 4), (5, 4), (4,), (), (3, 8), (3, 3), (2, 3, 4)], ids=lambda s: str(list(s))
)
def test_a_state_of_other_rows_is_refused(shape: tuple[int, ...]) -> None:
    """A state that is not one vector for each row is refused in one sentence with both shapes, never a traceback."""
    outputs = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    with pytest.raises(UserError, match=r"final.state"):
        made(outputs[:, -1], outputs).judged(Tolerance(), np.ones(shape, dtype="float32"))


def test_a_stack_of_one_state_is_that_state() -> None:
    """`[1, B, H]` is read as `[B, H]`."""
    outputs = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    call = made(outputs[:, -1], outputs)
    plain, stacked = (call.judged(Tolerance(), state).case.trace for state in (outputs[:, 1], outputs[None, :, 1]))
    assert np.array_equal(plain.tracks[0].final, stacked.tracks[0].final)


@pytest.mark.parametrize(("apart", "verdict"), [(1e-8, "clean"), (1e-3, "findings")])
def test_states_that_are_rounded_apart(apart: float, verdict: str) -> None:
    """A state that differs from its output by what XLA rounds is that output; one that differs by more is not."""
    outputs = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    outputs[np.arange(5) >= LENGTHS[:, None]] = 0
    final = outputs[np.arange(3), LENGTHS - 1] + np.float32(apart)
    call = made(final, outputs)
    report, error = report_of(call, Asked(convention="keras"), Handover())
    assert error is None
    assert (report.verdict, report.convention) == (verdict, "keras")
    assert call.judged(Tolerance()).case.tolerance == Tolerance(ROUNDING, ROUNDING)
