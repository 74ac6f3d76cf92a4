"""Wrong weights beside outputs that no run can be compared with are told by the final states, and no others are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.weights_by_states import weights_by_states
from tests.support.made import correct_case
from tests.support.pairs import correct, findings, made

NAMED = [
    ("output-dropout", "gate-order", ("gru", 1, 1)),
    ("output-dropout", "bias-dropped", ("gru", 2, 2)),
    ("outputs-aliased", "update-gate-flipped", ("gru", 2, 1)),
    ("outputs-are-cell-state", "forget-bias", ("lstm", 1, 2)),
    ("output-dropout", "kernel-transposed", ("lstm", 1, 1)),
]


@pytest.mark.parametrize(("first", "second", "shape"), NAMED)
def test_weights_are_told_by_states_alone(first: str, second: str, shape: tuple[str, int, int]) -> None:
    """What is wrong with the outputs is named, and the weights' mistake that a run of them leaves in the states."""
    judged = findings(made(shape, first, second, weighed=True))
    assert {first, second} <= {name for f in judged for name in (f.rule, *f.alternatives)}


@pytest.mark.parametrize("name", ["output-dropout", "outputs-aliased", "outputs-are-cell-state", "output-residual"])
def test_right_weights_beside_wrong_outputs_are_not_accused(name: str) -> None:
    """Of one mistake in the outputs nothing is said of the weights, with which a run ends in the states."""
    judged = findings(made(("lstm", 1, 1), name, weighed=True))
    assert [f.rule for f in judged] == [name]


def test_states_that_no_change_gives_tell_nothing() -> None:
    """States of other rows, and weights that nobody's slip gives, are no mistake of the weights; long rows are not
    run for every change."""
    permuted = made(("gru", 1, 1), "output-dropout", "rows-permuted", weighed=True)
    assert weights_by_states(permuted) == []
    wrong = rules()["gate-order"].inject(correct(("gru", 1, 1)))
    assert [p.rule for p in weights_by_states(wrong)] == ["gate-order"]
    long = rules()["gate-order"].inject(correct_case("gru", 1, 1, lengths=np.full(3, 80), steps=80))
    assert weights_by_states(long) == []


@pytest.mark.parametrize("third", ["cell-overwritten-by-hidden", "zero-length-row"])
def test_a_cause_that_leaves_the_states_h_alone_hides_no_weights(third: str) -> None:
    """Beside outputs with dropout, c that was overwritten or an empty row: the states h still tell the weights."""
    judged = findings(made(("lstm", 1, 1), third, "output-dropout", "gate-order", weighed=True))
    assert {f.rule for f in judged} == {third, "output-dropout", "gate-order"}


def test_only_states_that_are_there_must_be_those_of_a_run() -> None:
    """The top state alone tells weights too; one of another width is of no run, and without weights nothing is told."""
    case = made(("gru", 2, 1), "output-dropout", "gate-order", weighed=True)
    top = case.with_tracks(lambda t: t if t.layer else replace(t, final=None))
    assert [p.rule for p in weights_by_states(top)] == ["gate-order"]
    narrow = case.with_tracks(lambda t: t if t.layer else replace(t, final=t.final[:, :3]))  # type: ignore[index]
    assert weights_by_states(narrow) == []
    assert weights_by_states(case.with_weights(None)) == []


@pytest.mark.parametrize(
    ("shape", "first", "second"),
    [
        (("gru", 1, 1), "update-gate-flipped", "gru-reset-variant"),
        (("gru", 1, 1), "bias-dropped", "kernel-transposed"),
        (("lstm", 1, 2), "forget-bias", "kernel-transposed"),
        (("lstm", 2, 1), "forget-bias", "recurrent-activation"),
    ],
)
def test_two_conversions_forgotten_at_once_are_both_named(shape: tuple[str, int, int], first: str, second: str) -> None:
    """Weights of another framework lack two conversions: no one brings the run and the dump together, two do."""
    assert [f.rule for f in findings(made(shape, first, second, weighed=True))] == sorted([first, second])
