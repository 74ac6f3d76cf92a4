"""What could be named of two mistakes is told by injecting others: the measure of pairs excuses no real miss."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support.alike import alike, injected
from tests.support.pair_classes import class_of
from tests.support.pairs import correct

CLASSES = [
    ("mask-hole", "outputs-aliased", ("gru", 1, 1), "one"),  # every output is the state, whatever the outputs were
    ("last-column-as-final-state", "left-padded", ("lstm", 1, 1), "other pair"),  # states of zeros
    ("rows-permuted", "rows-dropped", ("gru", 1, 2), "lost"),  # the state of a row whose outputs are dropped
    ("lengths-ignored", "output-residual", ("gru", 1, 1), "other pair"),  # every step that was read has its input
    ("lengths-ignored", "padding-repeats-last-output", ("gru", 1, 1), "lost"),  # the state of a step that is another
    ("left-padded", "padding-computed", ("gru", 1, 1), "lost"),  # the state of a step that was overwritten since
    ("precision-drift", "inputs-differ", ("gru", 1, 1), "lost"),  # the dump that it differs from was replaced
    ("padding-computed", "left-padded", ("gru", 1, 1), "one"),  # the last column of some unmasked run
    ("pooled-state", "output-dropout", ("gru", 1, 1), "lost"),  # a mean of numbers that were dropped
    ("directions-exchanged", "direction-missing", ("gru", 1, 2), "one"),  # one half, whichever
    ("directions-exchanged", "direction-duplicated", ("gru", 1, 2), "one"),
    ("flat-gather-wrong-stride", "state-never-written", ("gru", 1, 2), "one"),  # zeros that were zeros before
    ("last-column-as-final-state", "padding-computed", ("gru", 1, 2), "other pair"),  # states of zeros
    ("lengths-ignored", "pooled-state", ("gru", 1, 2), "other pair"),  # padding computed in another run
    ("direction-missing", "direction-duplicated", ("lstm", 1, 2), "lost"),  # no state of the top layer
    ("off-by-one-length", "output-residual", ("gru", 1, 1), "missed"),  # a sum can be undone
    ("output-dropout", "padding-computed", ("gru", 1, 1), "missed"),  # of padding that was zero, nothing is gone
    ("off-by-one-length", "rows-permuted", ("gru", 1, 1), "missed"),  # were it not named
]
WEIGHED = [
    ("off-by-one-length", "rows-chunked", ("gru", 1, 1), "lost"),  # its one state is where a row of one step began
    ("inputs-reshaped-not-transposed", "rows-dropped", ("gru", 1, 1), "lost"),  # the other rows' inputs
    ("left-padded", "restarted-within-row", ("gru", 1, 1), "other pair"),  # what is left of it is in padding
    ("off-by-one-length", "rows-dropped", ("gru", 1, 1), "missed"),  # were it not named: the row that is kept shows it
    ("rows-permuted", "output-dropout", ("gru", 1, 1), "missed"),
    ("restarted-within-row", "kernel-transposed", ("gru", 1, 1), "lost"),  # steps of zeros need no recurrent kernel
    ("restarted-within-row", "gate-order", ("gru", 1, 1), "missed"),  # were it not named
    ("initial-state-unused", "row-taken-for-step", ("gru", 1, 1), "lost"),  # the inputs of a run are gone
]


def some(cases: list[tuple[str, str, tuple[str, int, int], str]]) -> list[Any]:
    """Two cases of each class; the others by `pytest -m long`."""
    before = Counter[str]()
    marked = []
    for case in cases:
        before[case[-1]] += 1
        marked.append(case if before[case[-1]] <= 2 else pytest.param(*case, marks=pytest.mark.long))
    return marked


@pytest.mark.parametrize(("first", "second", "shape", "kind"), some(WEIGHED))
def test_the_class_of_two_mistakes_with_weights(
    first: str, second: str, shape: tuple[str, int, int], kind: str
) -> None:
    """Of a run that was made anew, rows that were left out and padding alone, too little tells the first mistake."""
    right, all_rules = correct(shape), rules()
    case = all_rules[second].inject(all_rules[first].inject(right))
    findings = [] if kind == "missed" else judge(case, all_rules).findings
    assert class_of(right, case, all_rules[first], all_rules[second], findings).kind == kind


@pytest.mark.parametrize(("first", "second", "shape", "kind"), some(CLASSES))
def test_the_class_of_two_mistakes(first: str, second: str, shape: tuple[str, int, int], kind: str) -> None:
    """One mistake suffices, two others are named, too little is left, or the tool missed them."""
    right, all_rules = correct(shape), rules()
    case = all_rules[second].inject(all_rules[first].inject(right)).with_weights(None)
    findings = [] if kind == "missed" else judge(case, all_rules).findings
    assert class_of(right, case, all_rules[first], all_rules[second], findings).kind == kind


def test_cases_are_alike_to_within_the_room_that_is_given() -> None:
    """A state moved by less than the room is alike; one mistake is not another."""
    right = correct(("gru", 1, 1))
    drifted = injected(rules()["state-from-another-run"], right)
    assert drifted is not None
    assert not alike(drifted, right)
    assert alike(drifted, right, room=0.1)
    assert alike(right, right)
    assert injected(rules()["cell-hidden-swapped"], right) is None
