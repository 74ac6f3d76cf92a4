"""What two dumps differ by: the mistakes that the second shows by itself first, which are laid to no other dump."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from rnninspect.core.finding import Finding
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.rows_of_other import drift
from rnninspect.diagnosis.rule import Rule
from rnninspect.diagnosis.told_by_other import what_dumps_differ_by
from rnninspect.diagnosis.unexplained import UNEXPLAINED_DIFFERENCE
from rnninspect.diagnosis.unseen_states import states_unlike_the_other
from rnninspect.measure.difference import state_differences

Judge = Callable[[Case], Sequence[Finding]]


def differences_of(
    case: Case, kept: Sequence[Rule], named: Sequence[Finding], rules: Mapping[str, Rule], judged: Judge
) -> list[Finding]:
    """What is wrong with the second dump alone, as warnings, and what is left that the dumps differ by, where no rule
    that compares was `named`. `judged`: the findings of another case."""
    mistakes = _mistakes_of_other(case, named, rules, judged)
    if any(rules[f.rule].compares for f in named if f.rule in rules):
        return mistakes
    spoiled = {row for f in mistakes for row in f.rows}
    if mistakes and _rows_apart(case) <= spoiled:
        return mistakes
    left = list(what_dumps_differ_by(case, kept))
    if case.other is None or mistakes or any(f.severity != "note" for f in [*named, *left]):
        return mistakes + left
    return left + list(states_unlike_the_other(case, UNEXPLAINED_DIFFERENCE))


def _mistakes_of_other(case: Case, named: Sequence[Finding], rules: Mapping[str, Rule], judged: Judge) -> list[Finding]:
    """The errors of the second dump alone that are not named already, where a state differs; else none is sought."""
    if case.other is None:
        return []
    limit = drift(case)  # two right runs differ by as much, and neither is to be read once more for it
    if not any(d.difference.max() > limit for d in state_differences(case.trace, case.other)):
        return []
    alone = replace(case.with_weights(None), batch=None, other=None, other_batch=None, chunk=None)
    errors = [f for f in judged(alone.with_trace(case.other)) if f.severity == "error"]
    ours = {f.rule for f in named}
    return [
        replace(f, severity="warning", message=f"the second dump, by itself: {f.message}", unexplained=[])
        for f in errors
        if f.rule in rules and f.rule not in ours
    ]


def _rows_apart(case: Case) -> set[int]:
    """The rows whose outputs differ by more than two right runs of one layer would."""
    limit = drift(case)
    apart = (((d.difference > limit) | d.nonfinite) & d.real for d in case.differences)
    return {int(row) for steps in apart for row in np.flatnonzero(steps.any(1))}
