"""Edges of what is measured: where one word, bound or cut turns into the next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core import tiles
from rnninspect.core.evidence import Reading
from rnninspect.core.trace import Array, Trace, Track, prefix_mask
from rnninspect.measure import choose_reading as choosing
from rnninspect.measure import matching, nearest
from rnninspect.measure.choose_reading import Tolerance, choose_reading
from rnninspect.measure.decimals import MOST, decimals
from rnninspect.measure.facts import TrackFacts, measure
from rnninspect.measure.nearest import nearest_steps
from rnninspect.measure.scan import scan


@pytest.mark.parametrize("tile", [1, 200, 1 << 22])
def test_locate_counts_steps_from_the_start_of_the_axis(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hit in a tile beyond the first has its own row and step, and the first ones are kept whatever the tiles."""
    monkeypatch.setattr(tiles, "TILE_BYTES", tile)
    outputs = np.random.default_rng(0).normal(size=(3, 20, 5)).astype(np.float32)
    outputs[2, 13] = outputs[1, 17] = outputs[0, 19]
    assert matching.locate(outputs, outputs[[0, 2], [19, 6]]) == [[(0, 19), (1, 17), (2, 13)], [(2, 6)]]
    assert matching.locate(outputs, outputs[:1, 19], most=2) == [[(0, 19), (1, 17)]]


def facts_of(outputs: Array, final: Array, lengths: list[int] | None) -> TrackFacts:
    """Facts of rows `[B, T, H]` whose lengths are these, or known by nobody."""
    rows, steps = outputs.shape[:2]
    mask = np.ones((rows, steps), dtype=np.bool_) if lengths is None else prefix_mask(lengths, steps)
    told = None if lengths is None else np.array(lengths)
    facts = measure(Trace(mask, (Track(0, "forward", outputs, final),), told), Track(0, "forward", outputs, final))
    assert facts is not None
    return facts


def test_status_where_no_lengths_are_known() -> None:
    """One equal step is a match, several are ambiguous, none is none; equal steps throughout are no evidence."""
    outputs = np.arange(1.0, 31.0).reshape(5, 3, 2)
    final = np.array([outputs[0, 1], outputs[1, 2], [99.0, 0.0], [7.0, 7.0], outputs[4, 0]])
    outputs[1, 0] = outputs[1, 2]
    outputs[3] = 7.0
    facts = facts_of(outputs, final, None)
    assert not facts.expected_known
    assert facts.statuses == ("match", "ambiguous", "none", "no-evidence", "match")
    assert facts.mismatched.tolist() == [False, False, True, False, False]


def test_which_rows_say_nothing() -> None:
    """Without a real step; all steps equal and equal to the state; zero where it ought to be: each alone, and near
    misses of each."""
    outputs = np.arange(1.0, 43.0).reshape(7, 3, 2)
    final = outputs[:, 2].copy()
    lengths = [3, 0, 3, 3, 3, 3, 3]
    outputs[2], final[2] = 5.0, 5.0  # all steps equal, and the state
    outputs[3], final[3] = 5.0, 6.0  # all steps equal, the state is not
    outputs[4, 2], final[4] = 0.0, 0.0  # zero at the expected step
    final[5] = 0.0  # zero, and nothing is
    outputs[6, 1], final[6] = 0.0, 0.0  # zero, but only another step is
    facts = facts_of(outputs, final, lengths)
    assert facts.uninformative.tolist() == [False, True, True, False, True, False, False]
    assert facts.mismatched.tolist() == [False, False, False, True, False, True, True]
    assert facts.statuses == ("match", "no-evidence", "no-evidence", "none", "no-evidence", "none", "elsewhere")


def test_rows_that_can_tell_of_lengths() -> None:
    """Padded, not empty, and not equal throughout."""
    outputs = np.arange(1.0, 25.0).reshape(4, 3, 2)
    outputs[2] = 5.0
    facts = facts_of(outputs, outputs[:, 1], [2, 3, 2, 0])
    assert facts.short.tolist() == [True, False, False, False]


@pytest.mark.parametrize("cache", [1, 500, nearest.CACHE_BYTES])
@pytest.mark.parametrize("seed", range(8))
def test_the_nearest_step_is_exact_whatever_the_cache_holds(
    seed: int, cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wide rows whose first units tell nothing, repeats and NaN among them: taken a few steps at a time, or all."""
    monkeypatch.setattr(nearest, "CACHE_BYTES", cache)
    rng = np.random.default_rng(seed)
    outputs = rng.normal(size=(4, 50, 40)).astype(np.float32)
    outputs[:, :, :16] = 0.5
    for row, step in zip(rng.integers(0, 4, 30), rng.integers(1, 50, 30), strict=True):
        outputs[row, step] = outputs[row, step - 1]
    outputs[1, rng.integers(0, 50, 5), 30] = np.nan
    final = rng.normal(size=(4, 40)).astype(np.float32)
    final[:, :16] = 0.5
    closest = nearest_steps(outputs, final, np.arange(4), scan(outputs, final).repeats)
    exact = np.abs(outputs.astype(np.float64) - final[:, None].astype(np.float64)).max(-1)
    exact[np.isnan(exact)] = np.inf
    assert closest.step.tolist() == exact.argmin(1).tolist()
    assert closest.distance.tolist() == exact.min(1).tolist()
    assert closest.margin.tolist() == (np.sort(exact, 1)[:, 1] - exact.min(1)).tolist()


@pytest.mark.parametrize(("units", "telling"), [(1, 0), (12, 5), (40, 0), (40, 39), (400, 399)])
def test_the_nearest_step_is_exact_where_float32_is_not(units: int, telling: int) -> None:
    """Steps whose distances are one number in float32 are told apart in full: by those that were taken roughly, by the
    first units alone, nearest and second alike."""
    rng = np.random.default_rng(units)
    for _ in range(40):
        final = rng.uniform(-1e-3, 1e-3, (1, units)).astype(np.float32)
        outputs = np.repeat(final[:, None], 60, axis=1)
        final[0, telling] = rng.uniform(0.26, 0.49)
        outputs[0, :, telling] = rng.uniform(1e-3, 2e-3) + rng.uniform(0, 1e-8, 60)  # final less that: 3e-8 apart there
        exact = np.abs(outputs.astype(np.float64) - final[:, None].astype(np.float64)).max(-1)[0]
        assert np.unique(np.abs(outputs - final[:, None]).max(-1)).size <= 2  # this data can tell
        closest = nearest_steps(outputs, final, np.array([0]), scan(outputs, final).repeats)
        first, second = np.sort(exact)[:2]
        assert closest.distance[0] == first
        assert closest.step[0] == exact.argmin()
        assert closest.margin[0] == second - first


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_a_bound_that_float32_rounded_up_rules_no_step_out(order: slice) -> None:
    """Ten steps about 2**31 away, whose distances float32 rounds up to one number, more than any of them is: whichever
    of them are measured first, the others are measured too."""
    far, beyond = np.float32(2.0**31), np.arange(130, 230, 10)[order]  # float32 goes in steps of 256 there
    outputs = np.zeros((1, 10, 12), dtype=np.float32)
    outputs[0, np.arange(10), np.arange(10)] = far
    final = np.zeros((1, 12), dtype=np.float32)
    final[0, :10] = -beyond
    assert np.unique(np.abs(outputs - final[:, None]).max(-1)).tolist() == [2.0**31 + 256]  # this data can tell
    closest = nearest_steps(outputs, final, np.array([0]), scan(outputs, final).repeats)
    assert closest.step.tolist() == [beyond.argmin()]
    assert closest.distance.tolist() == [2.0**31 + 130]
    assert closest.margin.tolist() == [10.0]


@pytest.mark.parametrize(("dtype", "most"), list(MOST.items()))
def test_decimals_are_told_as_far_as_the_type_goes(dtype: str, most: int) -> None:
    """So many decimals are seen as such, and one more is not told from the type's own spacing."""
    numbers = np.random.default_rng(0).uniform(0.1, 1, 300)
    assert decimals(np.round(numbers, most).astype(dtype)) == most
    assert decimals(np.round(numbers, most + 1).astype(dtype)) is None
    assert (MOST["float16"], MOST["float32"], MOST["float64"]) == (2, 6, 12)


def test_too_few_fractions_tell_no_decimals() -> None:
    """Three different fractions are needed, and so many numbers that chance would not round them."""
    some = np.array([0.123, 0.456, 0.789])
    assert decimals(np.tile(some, 5)) == 3
    assert decimals(np.tile(some[:2], 50)) is None
    assert decimals(np.array([0.1, 0.2, 0.3], dtype=np.float16)) is None
    assert decimals(np.array([1, 2, 3])) is None
    assert decimals(np.array(0.123)) is None
    assert decimals(np.zeros((0, 3))) is None


def two_readings(rows: int, fitting: list[int]) -> list[Reading]:
    """Of the first no state equals a step; of its rival those of the rows `fitting` do."""
    outputs = np.random.default_rng(0).normal(size=(rows, 4, 3))
    right = outputs[:, -1].copy()
    right[[b for b in range(rows) if b not in fitting]] += 1
    lengths = np.full(rows, 4)
    return [
        Reading(Trace(prefix_mask(lengths, 4), (Track(0, "forward", outputs, h),), lengths), text, "B H")
        for h, text in ((right + 7, "stated"), (right, "rival"))
    ]


@pytest.mark.parametrize(
    ("rows", "many", "fitting", "used"),
    [
        (64, 64 * 4, list(range(0, 64, 2)), "rival"),  # of 64 rows every second is looked at
        (64, 64 * 4, list(range(1, 64, 2)), "stated"),  # and none of these is
        (64, 64 * 4 + 1, list(range(1, 64, 2)), "rival"),  # of a small dump all are
        (20, 80, list(range(10)), "rival"),
        (96, 1, [0, *range(1, 96, 3)], "rival"),  # a single one of those looked at is enough
    ],
)
def test_a_few_rows_of_a_large_dump_speak_for_all(
    rows: int, many: int, fitting: list[int], used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From MANY_STEPS rows x steps on, SAMPLE rows that are evenly spread decide whether a rival is measured at all."""
    monkeypatch.setattr(choosing, "MANY_STEPS", many)
    choice = choose_reading(two_readings(rows, fitting), Tolerance())
    assert choice.reading.outputs_axes == used


def test_the_sample_needs_no_lengths() -> None:
    """What a few rows are measured by is any step of theirs: the lengths of a rival may be wrong."""
    readings = two_readings(64, list(range(64)))
    trace = readings[1].trace
    short = replace(trace, lengths=np.full(64, 2), mask=prefix_mask(np.full(64, 2), 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choosing, "MANY_STEPS", 1)
        choice = choose_reading([readings[0], replace(readings[1], trace=short)], Tolerance())
    assert choice.reading.outputs_axes == "rival"
