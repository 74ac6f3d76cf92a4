"""Outputs are read no further than the question needs."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect.core.trace import Trace, Track
from rnninspect.diagnosis.rules import rules
from rnninspect.measure import choose_reading as choosing
from rnninspect.measure.choose_reading import Tolerance, choose_reading
from rnninspect.measure.nearest import _largest_gap
from tests.measure.test_choose_reading import two_readings
from tests.support.made import correct_case


def test_the_first_reading_is_measured_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its expected steps are not gathered first, since it is measured in any case; those of the other reading are."""
    asked: list[Trace] = []
    ends = choosing.may_end_right

    def watched(trace: Trace, track: Track, *more: object) -> object:
        asked.append(trace)
        return ends(trace, track, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(choosing, "may_end_right", watched)
    readings = two_readings(lambda b: True)
    choose_reading(readings, Tolerance())
    assert asked
    assert all(trace is readings[1].trace for trace in asked)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
def test_the_largest_gap_is_that_of_every_number(dtype: str) -> None:
    """In few steps and in many, with NaN of either sign and infinities; what is not asked for is not computed."""
    rng = np.random.default_rng(0)
    for shape in ((3, 7, 5), (40, 50, 30), (2, 3000, 130), (4, 5, 0)):
        outputs = (rng.normal(size=shape) * 100).astype(dtype)
        if outputs.dtype.kind == "f" and outputs.size:
            outputs[0, 1, 0], outputs[1, 1, 0] = np.nan, -np.nan
            outputs[1, 2, 1], outputs[-1, -1, -1] = np.inf, -np.inf
        target, asked = outputs[:, 0].copy(), np.arange(shape[1]) < rng.integers(1, shape[1] + 1, (shape[0], 1))
        wide = np.float32 if dtype in ("float16", "float32") else np.float64
        with np.errstate(all="ignore"):
            gaps = np.abs(outputs.astype(wide) - target[:, None].astype(wide)).max(-1, initial=0.0)
        largest = _largest_gap(outputs, target, asked)
        assert np.array_equal(largest[asked], gaps[asked], equal_nan=True)
        last = int(np.flatnonzero(asked.any(0))[-1])
        assert not largest[:, last + 1 :].any()


def test_states_far_from_every_step_are_not_searched_for() -> None:
    """The rule of two runs asks for nearest steps only where a state is near the expected one."""
    rule, case = rules()["state-from-another-run"], correct_case()
    far = case.with_tracks(lambda t: Track(t.layer, t.direction, t.outputs, t.final + 50)).with_weights(None)  # type: ignore[operator]
    near = rule.inject(case)
    assert list(rule.check(far)) == []
    assert list(rule.check(near))
    assert not [facts for facts in far.facts if "closest" in vars(facts)]
    assert [facts for facts in near.facts if "closest" in vars(facts)]
