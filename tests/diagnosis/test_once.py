"""Results kept once a case: never mixed between cases, never kept longer than the case."""

from __future__ import annotations

import gc
import weakref

import pytest

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.once import once
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case, random_weights


def test_a_case_is_asked_once_and_every_other_case_anew() -> None:
    """Proves that a case that was changed, or made again of the same parts, gets its own result."""
    asked: list[Case] = []

    @once
    def largest(case: Case) -> float:
        """The largest output."""
        asked.append(case)
        return float(case.facts[0].outputs.max())

    case = correct_case()
    halved = case.with_trace(correct_case(seed=1).trace)
    assert largest(case) == largest(case) != largest(halved) == largest(halved)
    again = case.with_weights(case.weights)
    assert largest(again) == largest(case)
    assert asked == [case, halved, again]
    assert largest.__doc__ == "The largest output."


def test_arguments_tell_results_apart() -> None:
    """Proves that a result is kept under its arguments too, by place and by name."""
    asked: list[tuple[int, int]] = []

    @once
    def add(case: Case, left: int, right: int = 0) -> int:
        asked.append((left, right))
        return left + right

    case = correct_case()
    assert [add(case, 1), add(case, 1, 2), add(case, 2, 1), add(case, 1, right=2), add(case, 1)] == [1, 3, 3, 3, 1]
    assert asked == [(1, 0), (1, 2), (2, 1), (1, 2)]


def test_what_raises_is_asked_again() -> None:
    """Proves that a failure is not kept as a result, and that None is."""
    asked: list[Case] = []

    @once
    def fails_first(case: Case) -> None:
        asked.append(case)
        if len(asked) == 1:
            raise ValueError("not yet")

    case = correct_case()
    with pytest.raises(ValueError, match="not yet"):
        fails_first(case)
    assert [fails_first(case), fails_first(case)] == [None, None]
    assert len(asked) == 2


def test_a_judged_case_is_let_go() -> None:
    """Proves that nothing which the rules keep by case holds the case: no leak over the files of a long run."""
    right = correct_case("lstm", weights=random_weights("lstm", 5, 5, forget_bias=0.0))
    wrong = [rule.inject(right) for name, rule in rules().items() if name in ("forget-bias", "rows-permuted")]
    assert len(wrong) == 2
    cases = [right, right.with_weights(random_weights("lstm", 5, 5, seed=3)), *wrong]
    for case in cases:
        judge(case, rules())
    held = [weakref.ref(case) for case in cases]
    del right, wrong, cases, case
    gc.collect()
    assert [ref() for ref in held] == [None] * len(held)
