"""A case without room for a mistake is refused with what it lacks, as `rnninspect demo` then says it in one line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.trace import Track
from rnninspect.core.weights import Weights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case, random_weights

ONES = np.array([1, 1, 1])


def with_whole_inputs() -> Case:
    case = correct_case()
    assert case.batch is not None
    return replace(case, batch=replace(case.batch, inputs=case.batch.inputs.astype(np.int64)))


def whole_states(track: Track) -> Track:
    return replace(track, final=None if track.final is None else track.final.astype(np.int64), cell=None)


def without_bias(weights: Weights) -> Weights:
    return replace(weights, layers=tuple(replace(w, bias=0 * w.bias) for w in weights.layers))


def narrowed(track: Track) -> Track:
    """Three units of five in the first layer, and in what reads backwards."""
    if track.layer and track.direction == "forward":
        return track
    return replace(track, outputs=None if track.outputs is None else track.outputs[..., :3], final=track.final[:, :3])  # type: ignore[index]


CASES = {
    "nonfinite-values: inputs of a floating type": with_whole_inputs,
    "outputs-are-cell-state: an LSTM without projection": lambda: correct_case("gru"),
    "outputs-are-cell-state: outputs in the order of time": lambda: correct_case().with_tracks(
        lambda t: replace(t, order="reversed")
    ),
    "precision-drift: float32 outputs": lambda: correct_case().with_tracks(
        lambda t: replace(t, outputs=t.outputs.astype(np.float64))  # type: ignore[union-attr]
    ),
    "directions-exchanged: two directions of one width": lambda: correct_case("gru", 2, 2).with_tracks(narrowed),
    "directions-interleaved: two units": lambda: correct_case("gru", 1, 2, units=1),
    "bias-dropped: a bias that is not zero": lambda: correct_case(
        "lstm", weights=without_bias(random_weights("lstm", 5, 5))
    ),
    "kernel-transposed: a square recurrent kernel": lambda: projected(),
    "restarted-within-row: a row of two steps, in the order of time": lambda: correct_case(lengths=ONES),
    "layers-share-state: layers of one width": lambda: correct_case("gru", 2).with_tracks(narrowed),
    "wrong-layer: layers of one width": lambda: correct_case("gru", 2).with_tracks(narrowed),
    "stale-initial-state: a row whose later steps can show": lambda: correct_case(lengths=ONES),
    "state-from-another-run: states of a floating type": lambda: correct_case().with_tracks(whole_states),
    "row-taken-for-step: more or fewer rows than steps": lambda: correct_case(lengths=np.arange(1, 8), steps=7),
}


def projected() -> Case:
    """The recurrent kernel of an LSTM with a projection is not square: no transposed one has its shape."""
    case = correct_case()
    assert case.weights is not None
    narrow = [replace(w, recurrent_kernel=w.recurrent_kernel[:, :3]) for w in case.weights.layers]
    return case.with_weights(replace(case.weights, layers=tuple(narrow)))


@pytest.mark.parametrize("named", CASES)
def test_a_mistake_that_has_no_room_says_what_it_needs(named: str) -> None:
    """What the case lacks for the mistake is said, and no array is made that does not hold it."""
    rule, lacking = named.split(": ")
    with pytest.raises(CannotInject, match=f"needs {lacking}"):
        rules()[rule].inject(CASES[named]())


def test_what_is_not_finite_is_put_in_a_row_that_has_steps() -> None:
    """Beside an empty row it goes to the longest, whose last step and state then hold it."""
    case = rules()["nonfinite-values"].inject(correct_case(lengths=np.array([0, 3, 7])))
    (track,) = case.trace.tracks
    assert track.outputs is not None
    assert track.final is not None
    assert np.argwhere(np.isnan(track.outputs).any(-1)).tolist() == [[2, 6]]
    assert np.isnan(track.final).any(-1).tolist() == [False, False, True]


def test_rows_of_two_steps_have_room_for_one_step_too_few() -> None:
    """A state of the first of two steps is one step short; rows of one step have none before it."""
    case = rules()["off-by-one-length"].inject(correct_case("gru", lengths=np.array([2, 1, 2])))
    (track,) = case.trace.tracks
    assert track.outputs is not None
    assert np.array_equal(track.final[[0, 2]], track.outputs[[0, 2], 0])  # type: ignore[index]
    with pytest.raises(CannotInject, match="rows of two or more steps"):
        rules()["off-by-one-length"].inject(correct_case("gru", lengths=ONES))
