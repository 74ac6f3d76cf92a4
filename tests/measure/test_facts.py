"""Facts of a track: status, expected steps, padding classes, evidence; on data that can tell right from wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core import tiles
from rnninspect.core.trace import Array, Trace, Track, prefix_mask
from rnninspect.measure.facts import TrackFacts, measure
from rnninspect.measure.padding import padding_classes
from rnninspect.measure.scan import scan

LENGTHS = np.array([4, 1, 6, 3, 0])
STEPS = 6


def right_trace(direction: str = "forward", order: str = "time", seed: int = 0) -> Trace:
    """A correct single-track run with distinct outputs, zeroed padding, uneven lengths, one full and one empty row."""
    rng = np.random.default_rng(seed)
    mask = prefix_mask(LENGTHS, STEPS)
    stored = mask[:, ::-1] if order == "reversed" else mask
    outputs = np.where(stored[..., None], rng.uniform(0.1, 0.9, (5, STEPS, 10)), 0.0).astype(np.float32)
    track = Track(0, direction, outputs, None, order=order)  # type: ignore[arg-type]
    trace = Trace(mask, (track,), LENGTHS, padding="zero")
    ends = np.maximum(trace.expected_steps(track), 0)
    final = outputs[np.arange(5), ends].copy()
    final[4] = 0
    return replace(trace, tracks=(replace(track, final=final),))


def facts_of(trace: Trace, **tolerance: float) -> TrackFacts:
    facts = measure(trace, trace.tracks[0], **tolerance)
    assert facts is not None
    return facts


@pytest.mark.parametrize(
    ("direction", "order", "expected"),
    [
        ("forward", "time", [3, 0, 5, 2, -1]),
        ("backward", "time", [0, 0, 0, 0, -1]),
        ("backward", "within", [3, 0, 5, 2, -1]),
        ("backward", "reversed", [5, 5, 5, 5, -1]),
    ],
)
def test_expected_step_by_direction_and_order(direction: str, order: str, expected: list[int]) -> None:
    """Forward ends at length - 1, backward at 0; reversed time puts the end at the last stored step."""
    facts = facts_of(right_trace(direction, order))
    assert facts.expected.tolist() == expected
    assert [facts.statuses[b] for b in range(4)] == ["match"] * 4
    assert facts.statuses[4] == "no-evidence"
    assert not facts.mismatched.any()


def test_blocks_do_not_change_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring row by row gives the same facts as measuring at once."""
    trace = right_trace()
    whole = facts_of(trace)
    monkeypatch.setattr(tiles, "TILE_BYTES", 1)
    rows = facts_of(trace)
    for name in ("equal", "zero", "repeats", "nonfinite", "nearest", "distance", "uniform"):
        assert np.array_equal(getattr(whole, name), getattr(rows, name)), name
    assert whole.padding == rows.padding


def with_final(trace: Trace, final: Array) -> Trace:
    return replace(trace, tracks=(replace(trace.tracks[0], final=final),))


def test_status_words() -> None:
    """elsewhere, none, near, ambiguous and match are told apart."""
    trace = right_trace()
    outputs, final = trace.tracks[0].outputs, trace.tracks[0].final
    assert outputs is not None
    assert final is not None
    changed, state = outputs.copy(), final.copy()
    state[0] = outputs[0, 1]  # another real step
    state[2] += 0.001  # near, within a tolerance
    changed[3, 0] = changed[3, 2]  # two real steps equal the state
    trace = replace(trace, tracks=(replace(trace.tracks[0], outputs=changed, final=state),))
    exact = facts_of(trace)
    assert [exact.statuses[b] for b in range(5)] == ["elsewhere", "match", "none", "ambiguous", "no-evidence"]
    near = facts_of(trace, atol=0.01)
    assert near.statuses[2] == "near"
    assert near.mismatched.tolist() == [True, False, False, False, False]
    assert exact.mismatched.tolist() == [True, False, True, False, False]


def test_uniform_rows_are_no_evidence() -> None:
    """A row whose steps are all equal matches everywhere, which says nothing."""
    trace = right_trace()
    outputs, final = trace.tracks[0].outputs, trace.tracks[0].final
    assert outputs is not None
    assert final is not None
    changed, state = outputs.copy(), final.copy()
    changed[2] = 0.5
    state[2] = 0.5
    facts = facts_of(replace(trace, tracks=(replace(trace.tracks[0], outputs=changed, final=state),)))
    assert facts.statuses[2] == "no-evidence"


def test_without_lengths_nothing_is_expected() -> None:
    """Without lengths or a mask a state that equals some step of its row is right, and one that equals none is off."""
    trace = right_trace()
    final = trace.tracks[0].final
    assert final is not None
    state = final.copy()
    state[1] += 1
    unknown = replace(with_final(trace, state), mask=np.ones((5, STEPS), dtype=np.bool_), lengths=None)
    facts = facts_of(unknown)
    assert not facts.expected_known
    assert facts.mismatched.tolist() == [False, True, False, False, False]


def test_a_row_of_zeros_may_have_no_real_step() -> None:
    """Where nothing says which steps are real, a state beside outputs that are all zero may be what the row began with;
    beside a batch of nothing but zeros, or with lengths, it is off."""
    trace = right_trace()
    final = trace.tracks[0].final
    assert final is not None
    state = final.copy()
    state[4] = 0.5
    unknown = replace(with_final(trace, state), mask=np.ones((5, STEPS), dtype=np.bool_), lengths=None)
    assert not facts_of(unknown).mismatched.any()
    assert facts_of(unknown).uninformative.tolist() == [False, False, False, False, True]
    full = replace(unknown, lengths=np.full(5, STEPS))
    assert facts_of(full).mismatched[4]
    nothing = replace(unknown.tracks[0], outputs=np.zeros_like(unknown.tracks[0].outputs))
    assert facts_of(replace(unknown, tracks=(nothing,))).mismatched.sum() == 5


@pytest.mark.parametrize(
    ("outputs", "real", "expected"),
    [
        ([1, 2, 3], [1, 1, 1], "none"),
        ([1, 2, 0, 0], [1, 1, 0, 0], "zero"),
        ([1, 2, 2, 2], [1, 1, 0, 0], "repeat"),
        ([0, 0, 1, 2], [0, 0, 1, 1], "zero"),
        ([0, 1, 1, 2], [0, 1, 0, 1], "repeat"),
        ([1, 2, 7, 7], [1, 1, 0, 0], "constant"),
        ([1, 2, 7, 8], [1, 1, 0, 0], "computed"),
        ([1, 2, 7], [1, 1, 0], "computed"),
        ([1, 2, np.nan, 0], [1, 1, 0, 0], "nonfinite"),
        ([0, 0, 0], [0, 0, 0], "zero"),
        ([5, 5, 5], [0, 0, 0], "constant"),
        ([7, 1, 7, 2], [0, 1, 0, 1], "constant"),
        ([7, 7, 1, 7, 8], [0, 0, 1, 0, 0], "computed"),
        ([0, 0, 1, 2, 2], [0, 0, 1, 1, 0], "repeat"),
    ],
)
def test_padding_classes(outputs: list[float], real: list[int], expected: str) -> None:
    """Each class of padding by a row that has it; leading masked steps are zero where others repeat."""
    array = np.array(outputs, dtype=np.float64)[:, None] * np.ones(2)
    mask = np.array(real, dtype=np.bool_)
    classes = padding_classes(array[None], mask[None], scan(array[None], array[None, 0]))
    assert classes == (expected,)


def test_one_padded_step_of_one_number_is_constant() -> None:
    """A fill is one number in all units of one padded step, where real ones hold several; a computed step is not."""
    array = np.array([[[0.1, 0.2], [0.3, -0.2], [-100.0, -100.0]], [[0.1, 0.2], [0.3, -0.2], [0.4, 0.1]]])
    mask = np.array([[True, True, False]] * 2)
    assert padding_classes(array, mask, scan(array, array[:, 1])) == ("constant", "computed")


def test_infinity_in_one_unit_is_found() -> None:
    """One infinite number in one step marks that step alone."""
    trace = right_trace()
    outputs = trace.tracks[0].outputs
    assert outputs is not None
    changed = outputs.copy()
    changed[2, 4, 9] = -np.inf
    facts = facts_of(replace(trace, tracks=(replace(trace.tracks[0], outputs=changed),)))
    assert np.argwhere(facts.nonfinite).tolist() == [[2, 4]]


def test_a_sum_that_overflows_is_not_infinity() -> None:
    """Large finite values, whose sum overflows, are not called infinite."""
    outputs = np.full((1, 4, 8), 3e38, dtype=np.float32)
    trace = Trace(np.ones((1, 4), dtype=np.bool_), (Track(0, "forward", outputs, outputs[:, -1]),), np.array([4]))
    assert not facts_of(trace).nonfinite.any()
