"""Decisions that a small mistake in the code would turn round unnoticed: each is asked where the answers differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.diagnosis.evidence.teacher_forcing import forced
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.starts_beneath import starts_beneath
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
