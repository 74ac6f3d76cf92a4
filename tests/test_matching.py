"""Matching against plain loops: equal steps, zero steps, nearest steps, and the search across rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnninspect import matching
from rnninspect.trace import Array


def equal_loop(a: Array, b: Array) -> bool:
    """Value for value, one number at a time: -0 equals 0, NaN equals NaN."""
    return all(x == y or (x != x and y != y) for x, y in zip(a.tolist(), b.tolist(), strict=True))


@st.composite
def runs(draw: st.DrawFn) -> tuple[Array, Array]:
    """Outputs `[B, T, H]` of few distinct values, so that steps do repeat, and states taken from them or not."""
    rows, steps = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    units = draw(st.sampled_from([1, 3, 8, 9, 17]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = np.array([0.0, -0.0, 1.0, 2.0, np.nan, np.inf])
    common = rng.choice(values[:3], (rows, steps, 1)) + np.zeros(units)
    outputs = np.where(rng.random((rows, steps, units)) < 0.1, rng.choice(values, (rows, steps, units)), common)
    final = outputs[rng.integers(0, rows, rows), rng.integers(0, steps, rows)].copy()
    return outputs.astype(draw(st.sampled_from(["f4", "f8", "f2"]))), final


@settings(max_examples=150, deadline=None)
@given(runs())
def test_equal_steps_is_the_loop(run: tuple[Array, Array]) -> None:
    """Every step is compared in all its units, also beyond those that are looked at first."""
    outputs, final = run
    found = matching.equal_steps(outputs, final.astype(outputs.dtype))
    for b in range(outputs.shape[0]):
        for t in range(outputs.shape[1]):
            assert found[b, t] == equal_loop(outputs[b, t], final[b].astype(outputs.dtype))


@settings(max_examples=150, deadline=None)
@given(runs())
def test_locate_finds_every_place(run: tuple[Array, Array]) -> None:
    """The search by keys finds exactly the places that comparing every step with every state finds."""
    outputs, final = run
    final = final.astype(outputs.dtype)
    found = matching.locate(outputs, final, most=10**6)
    for n, state in enumerate(final):
        places = [
            (b, t) for b in range(outputs.shape[0]) for t in range(outputs.shape[1]) if equal_loop(outputs[b, t], state)
        ]
        assert sorted(found[n]) == places


@settings(max_examples=100, deadline=None)
@given(runs())
def test_zero_steps_is_the_loop(run: tuple[Array, Array]) -> None:
    """A step is zero where every unit is, -0 included."""
    outputs, _ = run
    expected = [[all(v == 0 for v in step) for step in row] for row in outputs.tolist()]
    assert matching.zero_steps(outputs).tolist() == expected


def test_nearest_step_distance_and_margin() -> None:
    """The nearest step is the one with the smallest largest difference; NaN counts as infinitely far."""
    outputs = np.array([[[0.0, 0.0], [1.0, 1.0], [np.nan, 1.1]], [[5.0, 0.0], [4.0, 4.0], [0.0, 9.0]]])
    best = matching.nearest_steps(outputs, np.array([[1.0, 1.25], [4.5, 3.0]]))
    assert best.step.tolist() == [1, 1]
    assert best.distance.tolist() == [0.25, 1.0]
    assert best.margin.tolist() == [1.0, 2.0]


def test_margin_of_a_single_step_is_unknown() -> None:
    """With one step there is no second best."""
    best = matching.nearest_steps(np.ones((1, 1, 2)), np.zeros((1, 2)))
    assert np.isnan(best.margin[0])
    assert best.distance[0] == 1.0


def test_near_steps_is_numpys_rule() -> None:
    """A step is near where numpy.isclose says so of every unit, and NaN equals NaN."""
    rng = np.random.default_rng(1)
    outputs = rng.normal(size=(4, 6, 3))
    final = outputs[np.arange(4), [5, 0, 3, 2]] * (1 + 1e-4)
    outputs[1, 0, 2] = final[1, 2] = np.nan
    expected = np.isclose(outputs, final[:, None], rtol=1e-3, atol=1e-6, equal_nan=True).all(-1)
    assert expected.sum() == 4
    assert (matching.near_steps(outputs, final, 1e-3, 1e-6) == expected).all()


def test_equal_at_outside_the_time_axis_is_false() -> None:
    """Steps before 0 or after the end never match, whatever numpy's wrapping would give."""
    outputs = np.arange(6.0).reshape(2, 3, 1)
    final = outputs[:, -1]
    rows = np.arange(2)
    assert matching.equal_at(outputs, final, rows, np.array([-1, 2])).tolist() == [False, True]
    assert matching.equal_at(outputs, final, rows, np.array([3, 2])).tolist() == [False, True]


def test_mixed_precision_is_compared_exactly() -> None:
    """A float64 state equals a float32 output only where it holds that very number."""
    outputs = np.array([[[0.1], [0.5]]], dtype=np.float32)
    assert matching.equal_steps(outputs, np.array([[0.1]])).tolist() == [[False, False]]
    assert matching.equal_steps(outputs, np.array([[np.float64(np.float32(0.1))]])).tolist() == [[True, False]]
    assert matching.locate(outputs, np.array([[np.float64(np.float32(0.1))]])) == [[(0, 0)]]


@pytest.mark.parametrize("units", [8, 9, 64])
def test_a_difference_in_the_last_unit_is_seen(units: int) -> None:
    """Steps that agree in the first units and differ in the last are not equal."""
    outputs = np.ones((2, 3, units), dtype=np.float32)
    outputs[0, 1, -1] = 2
    found = matching.equal_steps(outputs, np.ones((2, units), dtype=np.float32))
    assert found.tolist() == [[True, False, True], [True, True, True]]
