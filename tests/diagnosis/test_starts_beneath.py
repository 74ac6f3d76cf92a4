"""Wrong weights and a wrong start at once: both are named, and neither where the other is all there is."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.teacher_forcing import first_units_follow
from rnninspect.diagnosis.evidence.weight_search import disagreement, small
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.starts_beneath import starts_beneath
from tests.support.made import correct_case, random_weights

LENGTHS = np.array([6, 1, 8, 5, 7])
WEIGHTS = ["bias-dropped", "gate-order", "recurrent-activation"]


def run_of(cell: str, directions: int = 1) -> Case:
    return correct_case(cell, 1, directions, lengths=LENGTHS, steps=8, units=6)


def named(case: Case) -> set[str]:
    return {f.rule for f in judge(case, rules()).findings}


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("start", ["stale-initial-state", "restarted-within-row"])
@pytest.mark.parametrize(("cell", "directions"), [("lstm", 1), ("gru", 2), ("rnn", 1)])
def test_both_are_named(cell: str, directions: int, start: str, weights: str) -> None:
    """Where weights are wrong and rows begin, or begin anew, in another state, each names the other."""
    case = run_of(cell, directions)
    if cell == "rnn" and weights != "bias-dropped":
        return  # one gate, and no activation of gates
    wrong = rules()[weights].inject(rules()[start].inject(case))
    findings = judge(wrong, rules()).findings
    together = {f.rule: f.evidence.get("together_with") for f in findings}
    assert together == {start: weights, weights: start}


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


@pytest.mark.parametrize(("cell", "units", "directions"), [("lstm", 256, 1), ("gru", 256, 1), ("lstm", 128, 2)])
def test_the_search_is_bounded(cell: str, units: int, directions: int) -> None:
    """64 rows of 200 steps and 256 units of other weights: every change and start is tried within a second."""
    lengths = np.random.default_rng(0).integers(1, 201, 64)
    case = correct_case(cell, 1, directions, lengths=lengths, steps=200, units=units)
    other = correct_case(cell, 1, directions, lengths=lengths[:2] % 4 + 1, steps=4, units=units, seed=9).weights
    wrong = case.with_weights(other)
    assert disagreement(wrong) > 0
    spent = []
    for _ in range(2):  # another's work on this machine slows one of them
        began = time.process_time()
        assert starts_beneath(wrong, rules()) == []
        spent.append(time.process_time() - began)
    assert min(spent) < 1


@pytest.mark.parametrize("scale", [0.1, 1.0, 2.0])
def test_a_few_units_tell_of_a_start_at_any_size_of_the_weights(scale: float) -> None:
    """The look at a few units of a few rows rejects no true start, be the gates linear or all but saturated."""
    for seed in range(8):
        drawn = random_weights("lstm", 12, 12, seed=seed)
        layers = tuple(
            replace(w, input_kernel=w.input_kernel * scale, recurrent_kernel=w.recurrent_kernel * scale)
            for w in drawn.layers
        )
        case = correct_case(
            "lstm", lengths=LENGTHS, steps=8, units=12, weights=replace(drawn, layers=layers), seed=seed
        )
        assert first_units_follow(small(rules()["stale-initial-state"].inject(case), 5)), seed
