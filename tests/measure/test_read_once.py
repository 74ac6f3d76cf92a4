"""Outputs are read no further than the question needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.tiles import watched
from rnninspect.core.trace import Array, Ints, Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence import pooling
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rule import fixed_by
from rnninspect.diagnosis.rules import rules
from rnninspect.measure import choose_reading as choosing
from rnninspect.measure.choose_reading import Tolerance, choose_reading
from rnninspect.measure.matching import all_equal_at, take_rows
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


def moved(case: Case) -> Case:
    """The case without weights, with every number of its states moved far away."""
    tracks = (replace(t, final=np.asarray(t.final) + 50, cell=None) for t in case.trace.tracks)
    return case.with_trace(replace(case.trace, tracks=tuple(tracks))).with_weights(None)


def test_states_far_from_every_step_are_not_searched_for() -> None:
    """The rule of two runs asks for nearest steps only where a state is near the expected one."""
    rule, case = rules()["state-from-another-run"], correct_case()
    far = moved(case)
    near = rule.inject(case)
    assert list(rule.check(far)) == []
    assert list(rule.check(near))
    assert not [facts for facts in far.facts if "closest" in vars(facts)]
    assert [facts for facts in near.facts if "closest" in vars(facts)]


def test_a_reading_that_puts_no_state_right_is_not_read() -> None:
    """The expected steps alone tell so; one that puts states right is read, and says which."""
    case = correct_case()
    off = moved(case)
    tiles_read: list[int] = []
    assert all(facts.mismatched.any() for facts in off.facts)
    with watched(tiles_read.append):
        assert fixed_by(off, moved(off).trace) == []
        assert not tiles_read
        seen = fixed_by(off, case.trace)
    assert tiles_read
    assert all((s.rows == s.facts.mismatched).all() for s in seen)


def test_what_is_asked_by_name_alone_reads_no_distances() -> None:
    """A state that nothing explains is named for the same rows, with its nearest step or without."""
    off = moved(correct_case())
    named = judge(off, rules(), seek_two=False, in_numbers=False).findings
    assert not [facts for facts in off.facts if "closest" in vars(facts)]
    told = judge(off, rules(), seek_two=False).findings
    assert [facts for facts in off.facts if "closest" in vars(facts)]
    assert [(f.rule, f.rows, f.unexplained) for f in named] == [(f.rule, f.rows, f.unexplained) for f in told]


def test_every_pool_is_tried_on_the_same_few_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first units of a few rows are read once, whichever pools the states may be."""
    taken: list[int | None] = []

    def watched_take(outputs: Array, rows: Ints, units: int | None = None) -> Array:
        taken.append(units)
        return take_rows(outputs, rows, units)

    monkeypatch.setattr(pooling, "take_rows", watched_take)
    case = moved(correct_case())
    assert list(rules()["pooled-state"].check(case)) == []
    assert taken == [pooling.UNITS] * len(case.facts)


@pytest.mark.parametrize("row", [0, 8, 11, None])
def test_all_are_equal_where_the_last_one_is(row: int | None) -> None:
    """One state that is off is seen, among the few that are looked at first and behind them."""
    outputs = np.random.default_rng(0).normal(size=(12, 5, 3))
    rows, steps = np.arange(12)[::-1], np.arange(12) % 5
    final = outputs[rows, steps]
    if row is not None:
        final[row, 2] += 1
    assert all_equal_at(outputs, final, rows, steps) == (row is None)
