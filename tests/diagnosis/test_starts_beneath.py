"""Wrong weights and a wrong start at once: both are named, and neither where the other is all there is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.moved_rows import moved
from rnninspect.diagnosis.evidence.teacher_forcing import FEW_UNITS
from rnninspect.diagnosis.evidence.weight_search import disagreement
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.starts_beneath import starts_beneath
from tests.support.made import correct_case
from tests.support.pace import seconds_of

LENGTHS = np.array([6, 1, 8, 5, 7])
WEIGHTS = ["bias-dropped", "gate-order", "recurrent-activation"]


def run_of(cell: str, directions: int = 1) -> Case:
    return correct_case(cell, 1, directions, lengths=LENGTHS, steps=8, units=6)


def named(case: Case) -> set[str]:
    return {f.rule for f in judge(case, rules()).findings}


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("start", ["stale-initial-state", "restarted-within-row"])
@pytest.mark.parametrize(
    ("cell", "directions"),
    [("gru", 2), *(pytest.param(cell, 1, marks=pytest.mark.long) for cell in ("lstm", "rnn"))],
)
def test_both_are_named(cell: str, directions: int, start: str, weights: str) -> None:
    """Where weights are wrong and rows begin, or begin anew, in another state, each names the other."""
    case = run_of(cell, directions)
    if cell == "rnn" and weights != "bias-dropped":
        return  # one gate, and no activation of gates
    wrong = rules()[weights].inject(rules()[start].inject(case))
    findings = judge(wrong, rules()).findings
    together = {f.rule: f.evidence.get("together_with") for f in findings}
    assert together == {start: weights, weights: start}


def test_more_units_than_are_looked_at_first_with_two_biases() -> None:
    """Weights of which a few units are looked at first may keep two biases, as torch's do: both mistakes are named."""
    lengths = np.array([4, 1, 5, 3])
    case = correct_case("lstm", lengths=lengths, steps=5, units=FEW_UNITS + 3)
    assert case.weights is not None
    layers = tuple(replace(w, bias=w.bias / 2, recurrent_bias=w.bias / 2) for w in case.weights.layers)
    case = case.with_weights(replace(case.weights, layers=layers))
    wrong = rules()["gate-order"].inject(rules()["stale-initial-state"].inject(case))
    judged = judge(wrong, rules())
    assert {f.rule for f in judged.findings} == {"gate-order", "stale-initial-state"}
    assert not [reason for reason in judged.not_checked if "failed" in str(reason)]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_one_mistake_alone_stays_alone(cell: str) -> None:
    """Wrong weights alone, and a wrong start alone, are one finding."""
    case = run_of(cell)
    assert named(rules()["gate-order"].inject(case)) == {"gate-order"}
    assert named(rules()["stale-initial-state"].inject(case)) == {"stale-initial-state"}
    assert starts_beneath(case, rules()) == []


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_numbers_that_no_such_two_give(cell: str) -> None:
    """Outputs of other weights altogether are explained by no start."""
    case = run_of(cell)
    other = correct_case(cell, lengths=LENGTHS, steps=8, units=6, seed=9).weights
    assert starts_beneath(case.with_weights(other), rules()) == []
    random = np.random.default_rng(2).uniform(-0.8, 0.8, (5, 8, 6)).astype(np.float32)
    noise = case.with_tracks(lambda t: replace(t, outputs=random, final=None, cell=None))
    assert starts_beneath(noise, rules()) == []


@pytest.mark.parametrize(
    ("cell", "units", "directions"),
    [("lstm", 256, 1), pytest.param("gru", 256, 1, marks=pytest.mark.long), ("lstm", 128, 2)],
)
def test_the_search_is_bounded(cell: str, units: int, directions: int) -> None:
    """64 rows of 200 steps and 256 units of other weights: every change and start is tried within a second."""
    lengths = np.random.default_rng(0).integers(1, 201, 64)
    case = correct_case(cell, 1, directions, lengths=lengths, steps=200, units=units)
    other = correct_case(cell, 1, directions, lengths=lengths[:2] % 4 + 1, steps=4, units=units, seed=9).weights
    wrong = case.with_weights(other)
    assert disagreement(wrong) > 0
    listed: list[object] = []
    assert seconds_of(lambda: listed.extend(starts_beneath(wrong, rules()))) < 1
    assert listed == []


@pytest.mark.parametrize("cause", ["left-padded", "output-residual", "pooled-state", "rows-permuted"])
@pytest.mark.parametrize("start", ["rows-chunked", "stale-initial-state"])
def test_a_start_is_named_beneath_another_cause(start: str, cause: str) -> None:
    """With the cause undone, or the states as they ought to be, the start is what a run of the weights lacks."""
    right = run_of("gru")
    assert {start, cause} <= named(rules()[cause].inject(rules()[start].inject(right)))
    assert start not in named(rules()[cause].inject(right))


@pytest.mark.parametrize("weights", ["forget-bias", "gate-order", "bias-dropped"])
def test_rows_that_go_on_from_others_are_named_beside_wrong_weights(weights: str) -> None:
    """Most rows tell the change of the weights, and with it the others where they began."""
    right = run_of("lstm")
    wrong = rules()[weights].inject(rules()["rows-chunked"].inject(right))
    together = {f.rule: f.evidence.get("together_with") for f in judge(wrong, rules()).findings}
    assert together == {"rows-chunked": weights, weights: "rows-chunked"}
    assert named(rules()[weights].inject(right)) == {weights}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_steps_that_were_skipped_in_front_are_no_other_start(cell: str) -> None:
    """Proves that zeros before the data, where the lengths count from the front, were not computed from a state that
    nobody gave; a start in one still is."""
    case = correct_case(cell, lengths=np.array([6, 5, 1, 5]), units=4)
    assert case.batch is not None
    shift = 6 - case.trace.real_counts
    inputs = np.stack([np.roll(row, by, axis=0) for row, by in zip(case.batch.inputs, shift, strict=True)])
    in_front = replace(moved(case, shift), batch=replace(case.batch, inputs=inputs))
    rule = rules()["stale-initial-state"]
    assert not list(rule.check(in_front))
    assert list(rule.check(rule.inject(case)))
