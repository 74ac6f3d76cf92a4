"""Small decisions in what findings rest on, each at the place where the other answer would be wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import rnninspect
from rnninspect.core.evidence import Belief
from rnninspect.core.trace import Array, Ints
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence import half_carried, lower_precision
from rnninspect.diagnosis.evidence.cut_behind_blanks import blanks_in_front, led_rows
from rnninspect.diagnosis.evidence.moved_rows import may_be_moved
from rnninspect.diagnosis.evidence.padding_habit import _whose_habit
from rnninspect.diagnosis.evidence.zeros_beneath import never_written
from tests.support.made import correct_case


@pytest.mark.parametrize(("first", "told"), [(0, "proven"), (5, "")])
def test_a_row_of_one_step_that_is_no_blank_speaks_against_padding_in_front(first: int, told: str) -> None:
    """Rows are led by blanks as far as they are short; one of a single step would have to be a blank throughout."""
    rows = np.array([[1, 2, 3, 4, 5, 6, 7], [0, 0, 4, 5, 6, 0, 0], [0, 0, 0, 6, 0, 0, 0], [first, 0, 0, 0, 0, 0, 0]])
    assert blanks_in_front(rows[..., None], np.array([7, 5, 4, 1])) == told


def test_rows_led_by_a_symbol_are_told_beside_a_row_without_a_step() -> None:
    """The padding in front is an embedded symbol, of which the zeros of a row without a step say nothing."""
    lengths = np.array([7, 5, 4, 0])
    case = correct_case(lengths=lengths, units=3)
    assert case.batch is not None
    inputs = np.where(np.arange(7)[:, None] < lengths[:, None, None], case.batch.inputs, 0)
    inputs[1, :2], inputs[2, :3] = 9, 9
    led = led_rows(replace(case, batch=replace(case.batch, inputs=inputs)))
    assert [seen.rows.tolist() for seen in led] == [[False, True, True, False]]


def _to_the_end(case: Case, counts: Ints, before: str) -> Case:
    """Every row's real outputs at the end of the time axis, behind zeros or its last one, but for one step."""

    def row_moved(row: Array, length: int) -> Array:
        lead = np.zeros_like(row[length:]) + (row[length - 1] if "last" in before else 0)
        if "but" in before and len(lead):
            lead[0] = row[0] + 1
        return np.concatenate([lead, row[:length]])

    def moved(outputs: Array) -> Array:
        return np.stack([row_moved(row, length) for row, length in zip(outputs, counts, strict=True)])

    return case.with_tracks(lambda track: replace(track, outputs=moved(np.asarray(track.outputs))))


@pytest.mark.parametrize("before", ["zeros", "last", "zeros but one", "last but one"])
@pytest.mark.parametrize("counts", [[7, 5, 4, 1], [7, 6, 7, 7]])
def test_rows_were_moved_where_all_that_lies_before_them_is_blank(before: str, counts: list[int]) -> None:
    """Zeros, or each row's last output, at every step before the data of every short row; one that is neither, be it
    the only one, was computed there."""
    lengths = np.array(counts)
    case = correct_case("gru", lengths=lengths)
    assert may_be_moved(_to_the_end(case, lengths, before), by_run=False) is ("but" not in before)
    assert not may_be_moved(case, by_run=False)


def test_outputs_that_end_in_zeros_in_one_direction_were_not_moved() -> None:
    """Rows moved to the end have data in the last column of both directions."""
    lengths = np.array([7, 5, 4, 3])
    case = _to_the_end(correct_case("gru", directions=2, lengths=lengths), lengths, "zeros")
    assert may_be_moved(case, by_run=False)
    shut = case.with_tracks(
        lambda t: (
            replace(t, outputs=np.where(lengths[:, None, None] < 7, 0, t.outputs)) if t.direction == "backward" else t
        )
    )
    assert not may_be_moved(shut, by_run=False)


@pytest.mark.parametrize(
    ("times", "at_one", "told"), [(1.5, 1.5, "half"), (2.5, 2.5, None), (1.0, 2.5, "half"), (1.0, 3.5, None)]
)
def test_a_lower_precision_moves_twice_as_far_at_most_and_one_number_three_times(
    times: float, at_one: float, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dump that is off in the direction of a lower run, and so many times as far, was made by it or not."""
    case = correct_case("gru", lengths=np.array([7, 5]), units=3)
    rng = np.random.default_rng(0)
    right = np.asarray(case.trace.tracks[0].outputs)
    off = rng.choice([-1e-3, 1e-3], size=right.shape)
    factor = np.full(right.shape, times)
    factor[0, 2, 1] = at_one

    def made(by: Array) -> Case:
        return case.with_tracks(lambda track: replace(track, outputs=(right + by).astype(np.float64)))

    monkeypatch.setattr(lower_precision, "_LOWER", (("half", lambda _: made(off).trace),))
    dump = made(factor * off)
    assert lower_precision.lower_precision_of(dump, float(np.abs(factor * off).max())) == told


def test_two_runs_differ_at_every_number_of_the_real_steps() -> None:
    """Of more steps than units no step is left out; of a run that ends earlier, those that both have."""
    lengths = np.array([7, 2])
    trace = correct_case("gru", lengths=lengths, units=2).trace
    cut = replace(trace, tracks=tuple(replace(t, outputs=np.asarray(t.outputs)[:, :4]) for t in trace.tracks))
    assert lower_precision.gaps_between(trace, trace, trace).size == 2 * 9
    assert lower_precision.gaps_between(cut, trace, trace).size == 2 * 6
    assert lower_precision.gaps_between(trace, cut, trace).size == 2 * 6


def test_h_and_c_are_alike_where_they_are_in_every_layer() -> None:
    """A projected layer above one that is not: its h cannot stand for its c."""
    case = correct_case("lstm", 2)
    below, top = case.reference.tracks
    projected = replace(case.reference, tracks=(below, replace(top, final=np.asarray(top.final)[:, :2])))
    assert half_carried._are_alike(case)
    layer = replace(case.layer, runner=lambda *_: projected)
    assert not half_carried._are_alike(replace(case, layer=layer))


@pytest.mark.parametrize("decided", [False, True])
def test_a_habit_of_padding_names_one_framework_where_it_is_known_whose_arrays_these_are(decided: bool) -> None:
    """Repeats of arrays that may be Keras's or another's are some framework's habit; of Keras's, or where they are
    stated, its own."""
    case = correct_case("gru", convention="keras")
    beliefs = (Belief("keras"), Belief("torch"))[: 1 if decided else 2]
    evidence = replace(case.reading.evidence, conventions=beliefs)
    case = case.with_reading(replace(case.reading, evidence=evidence, trace=replace(case.trace, padding="repeat")))
    some = "; some frameworks do this, and which of them these arrays are from is undecided (keras or torch)"
    assert _whose_habit(case, "repeat") == ("; keras does this" if decided else some)
    repeating = replace(case, layer=replace(case.layer, config=replace(case.config, padding="repeat")))
    assert _whose_habit(repeating, "repeat") == "; keras does this"


@pytest.mark.parametrize("has_c", [False, True])
def test_a_cell_state_of_one_layer_shows_that_no_layer_rectifies(has_c: bool) -> None:
    """Positive outputs may be of relu, whose units may all be shut; not beside a cell state, be it the top's alone."""
    outputs = np.random.default_rng(0).uniform(0.1, 1, (4, 6, 5))
    outputs[np.arange(6) >= np.array([6, 2, 4, 1])[:, None]] = 0
    top = outputs[np.arange(4), [5, 1, 3, 0]]
    case = correct_case("lstm", 2, lengths=np.array([6, 2, 4, 1]), steps=6)
    below, above = case.trace.tracks
    zero = np.where(np.arange(4)[:, None] == 1, 0, np.asarray(below.final))
    tracks = (
        replace(below, outputs=None, final=zero, cell=None),
        replace(above, outputs=outputs, final=top, cell=2 * top if has_c else None),
    )
    bare = replace(case, batch=None).with_weights(None, replace(case.config, cell=None))
    dump = bare.with_trace(replace(case.trace, tracks=tracks))
    assert never_written(dump, tracks[0]).tolist() == [False, has_c, False, False]


ORDERS = [([1, 2, 0, 3], False), ([2, 0, 1, 3], True), ([3, 0, 2, 1], False), ([1, 3, 2, 0], True)]


@pytest.mark.parametrize(("order", "outputs_moved"), ORDERS)
@pytest.mark.parametrize("directions", [1, 2])
def test_either_sort_by_length_tells_what_stands_in_another_order(
    order: list[int], outputs_moved: bool, directions: int
) -> None:
    """States of rows that were sorted by length, either way, were gathered before outputs were put back; where they are
    of the order that puts back, these outputs were not. Both directions' are named, taken at one step as they were."""
    lengths = np.array([3, 9, 6, 2])
    outputs = np.random.default_rng(0).uniform(-1, 1, (4, 9, 3 * directions))
    report = rnninspect.inspect(
        outputs, outputs[order, lengths - 1], lengths=lengths, convention="tf1", bidirectional=directions == 2
    )
    (finding,) = (f for f in report.findings if f.rule == "rows-permuted")
    assert finding.rows == [b for b in range(4) if order[b] != b or directions == 2]
    assert ("both directions" in finding.message) is (directions == 2)
    moved = "these outputs are in another order than states and lengths"
    assert finding.message.endswith(
        moved if outputs_moved else "it was gathered from outputs in another order than these"
    )
