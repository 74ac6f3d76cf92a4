"""States that are outputs but for their last bits, as compiled code leaves them, are read as these outputs."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect
from rnninspect.core.evidence import Slot
from rnninspect.measure import last_bits
from rnninspect.measure.last_bits import without_last_bits
from rnninspect.report.report import Report
from tests.support.made import correct_case

ROWS = np.array([2, 0, 1, 4, 3])


def nudged(array: np.ndarray, every: int = 3) -> np.ndarray:
    """Every third number a bit beside itself, as many as in a state of one compiled call; `every`: or more."""
    beside = array.copy()
    beside.flat[::every] = np.nextafter(beside.flat[::every], np.float32(2))
    return beside


def both() -> dict[str, np.ndarray]:
    """A right run of two directions, its states a bit beside their outputs."""
    case = correct_case("gru", 1, 2, convention="keras")
    outputs = np.concatenate([t.outputs for t in case.trace.tracks], -1)  # type: ignore[arg-type]
    state = np.concatenate([nudged(t.final) for t in case.trace.tracks], -1)  # type: ignore[arg-type]
    return {"enc_out": outputs, "state_h": state}


def named(report: Report) -> list[str]:
    return [f.rule for f in report.findings if f.severity != "note"]


LENGTHS = np.array([4, 1, 7, 3, 6])


@pytest.mark.parametrize("lengths", [{}, {"lengths": LENGTHS}])
@pytest.mark.parametrize("directions", [{}, {"bidirectional": True}])
def test_a_right_run_is_not_accused(directions: dict[str, bool], lengths: dict[str, np.ndarray]) -> None:
    """Neither a second run nor an unknown mistake is seen in what rounding leaves, directions stated or not."""
    report = rnninspect.inspect(both(), **directions, **lengths)  # type: ignore[arg-type]
    assert named(report) == []
    assert "but for the last bits" in str(report.to_dict()["notes"])


@pytest.mark.parametrize("rows", [ROWS, np.arange(5)])
def test_a_mistake_is_named_and_mended_as_without_them(rows: np.ndarray) -> None:
    """Rows in another order are that, with no second cause beside it, and are put back."""
    arrays = both()
    wrong = {**arrays, "state_h": arrays["state_h"][rows]}
    about = {"lengths": LENGTHS, "bidirectional": True}
    assert named(rnninspect.inspect(wrong, **about)) == (["rows-permuted"] if rows is ROWS else [])
    fixed = rnninspect.fix(wrong, **about)
    np.testing.assert_allclose(fixed.arrays["state_h"], arrays["state_h"], atol=1e-6)


def test_another_run_is_still_told() -> None:
    """The twin: states that are farther from their outputs than rounding."""
    arrays = both()
    drift = 1 + 1e-5 * np.cos(np.arange(arrays["state_h"].size)).reshape(arrays["state_h"].shape)
    far = {**arrays, "state_h": (arrays["state_h"] * drift).astype(np.float32)}
    assert named(rnninspect.inspect(far, lengths=LENGTHS, bidirectional=True)) == ["state-from-another-run"]


def test_a_second_run_that_differs_by_as_little_is_still_told() -> None:
    """What tells two runs from one is not how far the states are, but that hardly a number of them is an output."""
    case = correct_case("gru")
    track = case.trace.tracks[0]
    assert track.outputs is not None
    assert track.final is not None
    report = rnninspect.inspect(track.outputs, nudged(track.final, every=1), lengths=case.trace.lengths)
    assert named(report) == ["state-from-another-run"]


@pytest.mark.parametrize(("moved", "rules"), [(14, []), (20, ["state-from-another-run"])])
def test_few_numbers_of_two_directions_are_counted_together(moved: int, rules: list[str]) -> None:
    """Of the directions' states apart, one may have fewer exact numbers than a second run of many has; where hardly a
    number of one is exact, its state is of another run."""
    case = correct_case("gru", 1, 2, convention="keras")
    (forward, h), (backward, h_back) = [(t.outputs, t.final) for t in case.trace.tracks]
    assert h is not None
    assert h_back is not None
    beside = h_back.copy()
    at = np.random.default_rng(0).permutation(h.size)[: moved * h.size // 20]
    beside.flat[at] = np.nextafter(beside.flat[at], np.float32(2))
    report = rnninspect.inspect([forward, backward, nudged(h), beside], lengths=LENGTHS, convention="keras")
    assert named(report) == rules


def slots(outputs: np.ndarray, state: np.ndarray) -> tuple[Slot, ...]:
    return Slot("outputs", "outputs", outputs), Slot("h", "h", state)


def test_only_near_numbers_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact states, those of other numbers, of whole numbers, and beside very large outputs stay as they are."""
    outputs = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    state = outputs[:, -1]
    closer = without_last_bits(slots(outputs, nudged(state)))
    assert closer is not None
    np.testing.assert_array_equal(closer[0][1].array, state)
    assert 0 < closer[1] < 1e-6
    assert without_last_bits(slots(outputs, state)) is None
    assert without_last_bits(slots(outputs, state + np.float32(0.01))) is None
    assert without_last_bits(slots(outputs, np.full((4, 6), np.nan, dtype=np.float32))) is None
    assert without_last_bits(slots(outputs.astype(int), state.astype(int))) is None
    monkeypatch.setattr(last_bits, "MOST", 10)
    assert without_last_bits(slots(outputs, nudged(state))) is None
