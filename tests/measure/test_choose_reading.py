"""Which reading is used: the stated one, unless it does not fit and another does;
a large dump is asked by a few rows first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import rnninspect
from rnninspect.core.evidence import Reading
from rnninspect.core.trace import Array, Trace, Track, prefix_mask
from rnninspect.measure import choose_reading as choosing
from rnninspect.measure.choose_reading import Tolerance, choose_reading, measure_all
from rnninspect.measure.facts import TrackFacts

ROWS, STEPS, UNITS = 40, 30, 3


def reading(outputs: Array, final: Array, text: str) -> Reading:
    lengths = np.full(len(outputs), outputs.shape[1])
    mask = prefix_mask(lengths, outputs.shape[1])
    return Reading(Trace(mask, (Track(0, "forward", outputs, final),), lengths), text, "B H")


def two_readings(fits: Callable[[int], bool]) -> list[Reading]:
    """Of the first no state fits; of its rival those of the rows that `fits` picks end at their last step."""
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(ROWS, STEPS, UNITS))
    right = outputs[:, -1].copy()
    for b in range(ROWS):
        right[b] += not fits(b)
    return [reading(outputs, right + 7, "stated"), reading(outputs, right, "rival")]


def counted(measured: list[str]) -> Callable[[Trace, Tolerance], tuple[TrackFacts, ...]]:
    """A measurer that keeps which traces it was given, by whether any state of theirs equals a step."""

    def measurer(trace: Trace, tolerance: Tolerance) -> tuple[TrackFacts, ...]:
        facts = measure_all(trace, tolerance)
        measured.append("rival" if facts[0].equal.any() else "none fits")
        return facts

    return measurer


@pytest.mark.parametrize("many", [1, 10**9], ids=["large", "small"])
def test_a_rival_that_fits_is_used(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the stated reading fits nothing and another half of the rows, the other is used, however large the dump."""
    monkeypatch.setattr(choosing, "MANY_STEPS", many)
    choice = choose_reading(two_readings(lambda b: b % 2 == 0), Tolerance())
    assert choice.reading.outputs_axes == "rival"


@pytest.mark.parametrize("left_open", [True, False])
def test_a_rival_that_is_right_is_used_where_it_was_left_open(left_open: bool) -> None:
    """Most states fit the first reading and all the other one: that is used where nothing that was stated speaks
    against it, and else the first, whose few rows are then the mistake."""
    mostly = two_readings(lambda b: b % 8 != 0)[1]
    right = replace(two_readings(lambda _: True)[1], left_open=left_open)
    choice = choose_reading([replace(mostly, outputs_axes="stated"), right], Tolerance())
    assert choice.reading.outputs_axes == ("rival" if left_open else "stated")


def test_of_two_that_are_right_the_usual_padding_tells() -> None:
    """Rows and steps of one number: the axes along which the padding is this framework's are used."""
    outputs = np.array([[[1.0], [5.0]], [[0.0], [7.0]]])  # time-major: row 0 ends after one step
    both = []
    for axes, array, final in (("B T H", outputs, [[1.0], [7.0]]), ("T B H", outputs.swapaxes(0, 1), [[1.0], [7.0]])):
        mask = prefix_mask([1, 2], 2)
        track = Track(0, "forward", array, np.array(final))
        trace = Trace(mask, (track,), np.array([1, 2]), padding="zero")
        both.append(Reading(trace, axes, "B H", left_open=True))
    assert choose_reading(both, Tolerance()).reading.outputs_axes == "T B H"
    assert choose_reading(both[::-1], Tolerance()).reading.outputs_axes == "T B H"


def test_a_rival_that_fits_by_chance_is_not_used() -> None:
    """A few rows of zeros equal zeroed padding in any reading: they do not speak against what was stated."""
    choice = choose_reading(two_readings(lambda b: b % 8 == 0), Tolerance())
    assert choice.reading.outputs_axes == "stated"


@pytest.mark.parametrize(("many", "passes"), [(1, 1), (10**9, 2)], ids=["large", "small"])
def test_a_rival_that_fits_nothing_costs_no_pass(many: int, passes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large dump a few rows say so; of a small one every reading is measured whole."""
    monkeypatch.setattr(choosing, "MANY_STEPS", many)
    measured: list[str] = []
    choice = choose_reading(two_readings(lambda b: False), Tolerance(), counted(measured))
    assert choice.reading.outputs_axes == "stated"
    assert measured == ["none fits"] * passes


@pytest.mark.parametrize("right", [0, 10, 20, 40])
def test_a_rival_ends_as_often_where_it_should(right: int) -> None:
    """Of two readings in which some rows end where they should, the other is a rival where it does so as often, and
    not where one row less does."""
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(ROWS, STEPS, UNITS))
    final = np.where(np.arange(ROWS)[:, None] < right, outputs[:, -1], outputs[:, 3])
    worse = np.where(np.arange(ROWS)[:, None] < right - 1, outputs[:, -1], outputs[:, 3])
    first = reading(outputs, final, "first")
    assert len(choose_reading([first, reading(outputs, final, "as often")], Tolerance()).rivals) == 1
    assert len(choose_reading([first, reading(outputs, worse, "less often")], Tolerance()).rivals) == (right == 0)


@pytest.mark.parametrize("rows", [2, 3])
@pytest.mark.parametrize("time_major", [False, True])
def test_zeroed_padding_tells_the_axes_where_no_state_does(rows: int, time_major: bool) -> None:
    """As many rows as steps, and states of other rows, some of which equal a step by the other axes: the outputs are
    zero where the stated axes have their padding, so it is the states that are wrong."""
    rng = np.random.default_rng(rows)
    lengths = np.array([1, 1, 2][:rows])
    outputs = rng.normal(size=(rows, rows, 4))
    outputs[np.arange(rows) >= lengths[:, None]] = 0
    state = np.roll(outputs[np.arange(rows), lengths - 1], 1, axis=0)
    stored = outputs.swapaxes(0, 1) if time_major else outputs
    report = rnninspect.inspect(stored, state, lengths=lengths, convention="torch", time_major=time_major)
    assert [finding.rule for finding in report.findings] == ["rows-permuted"]
    assert report.reading["used"].startswith("outputs T B" if time_major else "outputs B T")


@pytest.mark.parametrize(("layers", "causes"), [(1, ["lengths-ignored", "rows-permuted"]), (2, ["rows-permuted"])])
def test_a_state_left_out_is_no_step_of_any_row(layers: int, causes: list[str]) -> None:
    """`[2, B, H]` of an unpacked run in another row order: both halves of one layer, whose forward one ends in the last
    column. Its twin, the backward states of two layers, holds states that no output is, and is read as those."""
    rng, lengths, order = np.random.default_rng(0), np.array([9, 4, 7, 2]), np.array([2, 0, 3, 1])
    outputs = rng.normal(size=(4, 9, 8))
    lower = outputs[:, -1, :4] if layers == 1 else rng.normal(size=(4, 4))
    report = rnninspect.inspect(outputs, np.stack([lower, outputs[:, 0, 4:]])[:, order], lengths=lengths)
    assert sorted(f.rule for f in report.findings if f.severity != "note") == causes
    assert any("backward alone" in line for line in report.reading["because"]) == (layers == 2)


@pytest.mark.parametrize("rows", [2, 4])
def test_states_of_as_many_layers_as_rows_lie_along_either_axis(rows: int) -> None:
    """`[L, B, H]` and `[B, L, H]` of two rows have half of their states in one place: each is read so that all are
    right, and the top layer's rows in another order are named."""
    rng = np.random.default_rng(0)
    lengths = np.arange(rows) + 2
    outputs = rng.uniform(-0.9, 0.9, (rows, rows + 2, 4)) * (np.arange(rows + 2) < lengths[:, None])[..., None]
    h = np.stack([*rng.uniform(-0.9, 0.9, (rows - 1, rows, 4)), outputs[np.arange(rows), lengths - 1]])
    for state in (h, h.swapaxes(0, 1)):
        assert not rnninspect.inspect(outputs, state, lengths=lengths).findings
    moved = rnninspect.inspect(outputs, np.roll(h, 1, axis=1), lengths=lengths)
    assert [f.rule for f in moved.findings] == ["rows-permuted"]


def test_states_listed_by_direction_first_are_no_other_reading() -> None:
    """Half of the top layer's states are then right, and those of the other half a layer's below: it is named."""
    rng = np.random.default_rng(1)
    lengths = np.array([3, 5, 2])
    outputs = rng.uniform(-0.9, 0.9, (3, 5, 8)) * (np.arange(5) < lengths[:, None])[..., None]
    top = [outputs[np.arange(3), lengths - 1, :4], outputs[:, 0, 4:]]
    below = list(rng.uniform(-0.9, 0.9, (2, 3, 4)))
    right = rnninspect.inspect(outputs, np.stack([*below, *top]), lengths=lengths, convention="torch")
    assert not right.findings
    listed = np.stack([below[0], top[0], below[1], top[1]])
    wrong = rnninspect.inspect(outputs, listed, lengths=lengths, bidirectional=True, convention="torch")
    assert [f.rule for f in wrong.findings] == ["layer-order-reversed"]
