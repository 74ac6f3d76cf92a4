"""Decisions that a small mistake in the code would turn round unnoticed: each is asked where the answers differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.core.layer_config import LayerConfig
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.evidence.teacher_forcing import forced
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.starts_beneath import starts_beneath
from rnninspect.diagnosis.supposed import what_if
from tests.support.made import correct_case, random_weights


@pytest.mark.parametrize("row", [1, 2, 4])
def test_the_fix_of_a_row_taken_for_a_step_gives_every_rows_own(row: int) -> None:
    """As many rows as steps: whether the axes are read as exchanged or not, the fix is one for the axes as stated."""
    outputs = np.random.default_rng(6).normal(size=(5, 5, 4))
    lengths = np.array([2, 5, 3, 1, 4])
    outputs[np.arange(5)[None] >= lengths[:, None]] = 0
    report = rnninspect.inspect(outputs, outputs[row], lengths=lengths, batch_first=True)
    assert report.findings[0].rule == "row-taken-for-step"
    names = {"np": np, "outputs": outputs, "lengths": lengths, "B": 5}
    exec(report.findings[0].fix, names)
    assert np.array_equal(names["h"], [row[n - 1] for row, n in zip(outputs, lengths, strict=True)])  # type: ignore[arg-type]


def test_the_row_that_may_end_earlier_is_the_one_that_is_named() -> None:
    """Without lengths, and outputs that a run of the weights gives: the state of a step before the last is untold."""
    torch.manual_seed(0)
    gru, inputs = torch.nn.GRU(3, 4, batch_first=True), torch.randn(3, 6, 3)
    outputs, state = gru(inputs)
    state = state.clone()
    state[0, 1] = outputs[1, 2]
    report = rnninspect.inspect(outputs, state, inputs=inputs, weights=gru.state_dict(), convention="torch")
    assert report.verdict == "unjudged"
    assert "final state of row 1 (of 3)" in str(report.untested)


def test_a_backward_row_of_one_step_begins_in_its_initial_state() -> None:
    """Fed with the dump's own outputs, a right run gives itself, from an initial state and in a row of one step too."""
    case = correct_case("rnn", directions=2, weights=random_weights("rnn", 5, 5, directions=2))
    assert case.batch is not None
    initial = np.random.default_rng(3).normal(size=(2, 5, 5)).astype(np.float32)
    begun = case.with_tracks(lambda t: replace(t, initial=initial[int(t.direction == "backward")]))
    ran = begun.with_trace(begun.run(case.batch))
    for facts in ran.facts:
        weights = next(w for w in case.weights.layers if w.direction == facts.track.direction)  # type: ignore[union-attr]
        again = forced(ran, facts)(weights)
        assert np.allclose(again[facts.mask], facts.outputs[facts.mask], atol=1e-5), facts.track.direction


def test_two_rows_can_tell_a_start_beneath_weights() -> None:
    """Two rows with steps enough show a start that the weights hide; one alone could be anything."""
    for rows, told in ((2, True), (1, False)):
        lengths = np.array([7, 6, 1, 1, 1] if rows == 2 else [7, 1, 1, 1, 1])
        case = rules()["stale-initial-state"].inject(correct_case("gru", lengths=lengths))
        both = rules()["gate-order"].inject(case)
        assert bool(starts_beneath(both, rules())) is told


@pytest.mark.parametrize("both", [True, False])
def test_inputs_that_are_not_a_number_in_both_dumps_do_not_differ(both: bool) -> None:
    """A missing value (NaN) that both runs were given is the same input; one that a single run was given is not."""
    torch.manual_seed(1)
    one, other = (torch.nn.GRU(3, 4, batch_first=True) for _ in range(2))
    missing = torch.randn(3, 6, 3)
    missing[1, 2] = np.nan
    dumps = []
    for layer, inputs in ((one, missing), (other, missing if both else missing.nan_to_num())):
        with torch.no_grad():
            outputs, state = layer(inputs)
        dumps.append({"outputs": outputs.numpy(), "state": state.numpy(), "inputs": inputs.numpy()})
    report = rnninspect.inspect(dumps[0], lengths="full", against=dumps[1])
    assert ("inputs-differ" in [finding.rule for finding in report.findings]) is not both


@pytest.mark.parametrize(
    ("listed", "suggested"),
    [([5, 2, 4, 3], True), ([0, 2, 1, 3], False), ([5, 8, 4, 3], False), ([1.5, 2.5, 3.0, 2.0], False)],
)
def test_lengths_are_suggested_by_whole_numbers_of_steps_alone(listed: list[float], suggested: bool) -> None:
    """Class labels from 0 on, numbers beyond the last step, and fractions are no lengths of anything."""
    outputs = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
    arrays = {"outputs": outputs, "h": outputs[:, -1].copy(), "labels": np.array(listed)}
    case = build_case.read_case(arrays, LayerConfig(), "torch")
    assert [w.lengths for w in what_if(case, rules())] == ([listed] if suggested else [])


def test_left_padding_that_was_computed_is_told_by_where_both_directions_end() -> None:
    """An unmasked layer of two directions over rows padded in front: the forward state is of the last step, and the
    backward one was taken where the data begin. Neither padding is blank, so the states alone tell it."""
    lengths, steps = np.array([9, 4, 7, 2]), 9
    torch.manual_seed(0)
    layer, inputs = torch.nn.GRU(3, 4, batch_first=True, bidirectional=True), torch.randn(4, steps, 3)
    inputs[torch.arange(steps) < torch.tensor(steps - lengths)[:, None]] = 0
    with torch.no_grad():
        outputs, state = layer(inputs)
    state[1] = outputs[torch.arange(4), torch.tensor(steps - lengths), 4:]
    (finding,) = rnninspect.inspect(outputs, state, lengths=lengths).findings
    assert (finding.rule, finding.rows) == ("left-padded", [1, 2, 3])


@pytest.mark.parametrize(("steps", "asked"), [(1, False), (2, True)])
def test_lengths_are_asked_for_where_rows_can_differ_in_them(steps: int, asked: bool) -> None:
    """Rows of one step have their final step there; of two steps, whose state it is hangs on the lengths."""
    outputs = np.random.default_rng(0).normal(size=(5, steps, 3))
    checked = rnninspect.inspect(outputs, outputs[:, -1]).not_checked
    assert ("rows-permuted" in [entry.rule for entry in checked]) is asked


@pytest.mark.parametrize(
    ("layers", "directions", "copied", "original"),
    [(1, 2, "direction-duplicated", "lengths-ignored"), (2, 1, "layers-share-state", "off-by-one-length")],
)
def test_a_wrong_state_that_was_copied_is_explained_besides_the_copy(
    layers: int, directions: int, copied: str, original: str
) -> None:
    """One direction's (layer's) state is wrong, and the other holds the same: a copy, and what is wrong with it."""
    wrong = rules()[original].inject(correct_case("gru", layers, directions, convention="torch"))
    findings = judge(rules()[copied].inject(wrong), rules()).findings
    assert {finding.rule for finding in findings} == {copied, original}


@pytest.mark.parametrize(("symbol", "because"), [(0.0, "are zero after them"), (0.5, "repeat one vector after them")])
def test_inputs_that_suggest_lengths_are_said_to_be_zero_where_they_are(symbol: float, because: str) -> None:
    """Padding of zeros and padding of an embedded symbol are told apart, though one row has no padding at all."""
    torch.manual_seed(0)
    lengths, inputs = [6, 3, 4, 2], torch.randn(4, 6, 3)
    for row, length in enumerate(lengths):
        inputs[row, length:] = symbol
    report = rnninspect.inspect(torch.nn.GRU(3, 4, batch_first=True)(inputs), inputs=inputs)
    assert [(w.lengths, w.because) for w in report.what_if] == [(lengths, f"the inputs {because}")]


def test_inputs_of_other_features_differ_in_every_row() -> None:
    """Two dumps of layers over other features are of other inputs, and both numbers of features are said."""
    torch.manual_seed(0)
    dumps = []
    for features in (5, 3):
        inputs = torch.randn(3, 6, features)
        with torch.no_grad():
            outputs, state = torch.nn.GRU(features, 4, batch_first=True)(inputs)
        dumps.append({"outputs": outputs.numpy(), "h_n": state.numpy(), "inputs": inputs.numpy()})
    (finding,) = rnninspect.inspect(dumps[0], lengths="full", against=dumps[1]).findings
    assert (finding.rule, finding.rows) == ("inputs-differ", [0, 1, 2])
    assert "(5 features here and 3 there)" in finding.message


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_state_that_is_not_finite_beside_finite_outputs(number: float) -> None:
    """Where no output holds the NaN that the state holds, that is what is said, of that row alone."""
    outputs = np.random.default_rng(0).uniform(-1, 1, (4, 6, 3))
    state = outputs[:, -1].copy()
    state[1, 2] = number
    finding = rnninspect.inspect(outputs, state, lengths="full").findings[0]
    assert (finding.rule, finding.rows) == ("nonfinite-values", [1])
    assert "every output is finite, but the final state is not" in finding.message
