"""Outputs that one mistake changed, beside what another one did: a run of the weights tells both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.trace import Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.outputs_by_run import outputs_by_run
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.steps_by_states import steps_by_states
from tests.support.made import correct_case
from tests.support.pairs import findings, made

LSTM, GRU = ("lstm", 1, 1), ("gru", 1, 1)
TOGETHER = [
    # states that were read on over padding, beside outputs that hold c, an added input, or padding that repeats
    ("lengths-ignored", "outputs-are-cell-state", LSTM),
    ("lengths-ignored", "output-residual", GRU),
    ("lengths-ignored", "padding-repeats-last-output", GRU),
    # a pool of outputs that were dropped since
    ("pooled-state", "output-dropout", GRU),
    # c in the outputs, with which c in h's place agrees, and beneath which padding repeats h
    ("cell-hidden-swapped", "outputs-are-cell-state", LSTM),
    ("padding-repeats-last-output", "outputs-are-cell-state", LSTM),
    # inputs that go on behind the outputs, whose every c is run again
    ("truncated-time-axis", "outputs-are-cell-state", LSTM),
    # one buffer, which no run gives, beneath dropout and a sum
    ("outputs-aliased", "output-dropout", GRU),
    ("outputs-aliased", "output-residual", GRU),
    # a step left out, or rows that start anew, which no outputs show and final states do
    ("mask-hole", "output-dropout", GRU),
    ("mask-hole", "outputs-are-cell-state", LSTM),
    ("restarted-within-row", "outputs-aliased", GRU),
    # rounding beneath which only the finer dump tells the weights
    ("precision-drift", "recurrent-activation", GRU),
    # inputs that were viewed before they were padded on
    ("inputs-reshaped-not-transposed", "truncated-time-axis", GRU),
]


@pytest.mark.parametrize(("first", "second", "shape"), TOGETHER)
def test_both_are_named_by_a_run(first: str, second: str, shape: tuple[str, int, int]) -> None:
    """With weights both mistakes are named, and nothing is left unexplained."""
    judged = findings(made(shape, first, second, weighed=True))
    assert {first, second} <= {name for f in judged for name in (f.rule, *f.alternatives)}, judged
    assert not any(f.unexplained or f.rule.startswith("unexplained") for f in judged)


@pytest.mark.parametrize("mistake", ["output-residual", "output-dropout", "outputs-are-cell-state"])
def test_states_of_nowhere_are_given_no_cause(mistake: str) -> None:
    """Noise in the place of the states, beside outputs that a run gives once a mistake is undone: no cause is named."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (5, 5)).astype(np.float32)
    lost = made(LSTM, mistake, weighed=True).with_tracks(lambda t: replace(t, final=noise))
    assert outputs_by_run(lost, rules()) == []


def test_final_states_tell_of_a_step_left_out_only_where_one_was() -> None:
    """Beside dropped outputs a right run, one whose states are moved by little more than rounding, and states of
    nowhere are given neither a hole nor a restart; a hole is, in its row and at its step."""
    hole = steps_by_states(made(GRU, "mask-hole", "output-dropout", weighed=True), rules(), frozenset())
    assert [(p.rule, p.steps, sorted(b for _, _, b in p.places)) for p in hole] == [("mask-hole", (1,), [2])]
    right = made(GRU, "output-dropout", weighed=True)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (5, 5)).astype(np.float32)
    moved = np.array([0, 0, 3e-4, 0, 0], np.float32)[:, None]
    for change in (0 * noise, moved, noise):
        off = right.with_tracks(lambda t, by=change: replace(t, final=np.asarray(t.final) + by))  # type: ignore[misc]
        assert steps_by_states(off, rules(), frozenset()) == []


def test_the_finer_of_two_right_dumps_tells_nothing() -> None:
    """A rounding of a right run beside the run itself is a drift alone; so it is where weights were to be told."""
    assert [f.rule for f in findings(made(GRU, "precision-drift", weighed=True))] == ["precision-drift"]


def test_outputs_hold_c_only_where_every_step_does() -> None:
    """A run undoes outputs that hold its c: none where one step holds something else, nor where they are h."""
    rule, right = rules()["outputs-are-cell-state"], made(LSTM, weighed=True)
    wrong = rule.inject(right)
    (undone, *_) = rule.undo(wrong)
    before, after = right.trace.tracks[0].outputs, undone.case.trace.tracks[0].outputs
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(after, before, atol=1e-6)

    def other_step(track: Track) -> Track:
        outputs = np.array(track.outputs)
        outputs[2, 1] *= 1.5
        return replace(track, outputs=outputs)

    for case in (wrong.with_tracks(other_step), right):
        assert all(u.case.trace.tracks[0].outputs is case.trace.tracks[0].outputs for u in rule.undo(case))


def test_inputs_that_go_on_behind_the_outputs_are_no_view() -> None:
    """The twin of inputs that were viewed before they were padded on: these are read as they are, and only cut."""
    assert [f.rule for f in findings(made(GRU, "truncated-time-axis", weighed=True))] == ["truncated-time-axis"]


def buffer_of(case: Case) -> Case:
    """The case with its last outputs at every real step, and zeros behind."""
    return rules()["outputs-aliased"].inject(case).with_padding_at_zero()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_one_buffer_whose_padding_was_zeroed(cell: str) -> None:
    """One buffer in every real step is told whatever the padding holds, with weights or without."""
    case = correct_case(cell)
    for shown in (case, case.with_weights(None)):
        assert [f.rule for f in judge(buffer_of(shown), rules()).findings] == ["outputs-aliased"]


def test_steps_that_are_equal_by_themselves_are_no_buffer() -> None:
    """The twins: inputs that do not vary, rows of one step, and one row of many whose steps differ."""
    right = correct_case("gru").with_weights(None)
    assert right.batch is not None
    still = replace(right.batch, inputs=np.repeat(right.batch.inputs[:, :1], right.trace.steps, 1))
    assert judge(replace(buffer_of(right), batch=still), rules()).findings == []
    short = correct_case("gru", lengths=np.array([1, 1, 1]), steps=4).with_weights(None)
    assert judge(short, rules()).findings == []

    def first_row_moves(track: Track) -> Track:
        outputs = np.array(track.outputs)
        outputs[0, 0] *= 0.5
        return replace(track, outputs=outputs)

    moving = buffer_of(right).with_tracks(first_row_moves)
    assert "outputs-aliased" not in {f.rule for f in judge(moving, rules()).findings}
