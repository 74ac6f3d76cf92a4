"""Wrong weights beneath a wrong start: rows that begin, or begin anew, in a state that nobody stated.

No run shows either while the other stands, and such a start cannot be undone, since its state is not in the dump. So
every change of the weights is made first, on a few rows, and the rules of starts are asked what remains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Bools
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.agreement import given_by_all
from rnninspect.diagnosis.evidence.first_step import begins_off
from rnninspect.diagnosis.evidence.small_cases import small
from rnninspect.diagnosis.evidence.teacher_forcing import fewest_steps, first_units_follow
from rnninspect.diagnosis.evidence.weight_changes import Change, changes_of
from rnninspect.diagnosis.evidence.weight_search import agrees, compared, tolerance
from rnninspect.diagnosis.facts_beneath import with_right_states
from rnninspect.diagnosis.rule import Place, Proposal, Rule, Undone
from rnninspect.diagnosis.weights_rule import WeightsRule, everywhere

STALE = "stale-initial-state"
CHUNKED = "rows-chunked"
STARTS = ("restarted-within-row", STALE)
STEPS = 5  # on which each change is tried first
MOST_STEPS = 64  # of a stack in two directions, which needs all of them: longer ones are not read for every change


def starts_beneath(case: Case, rules: Mapping[str, Rule], named: frozenset[str] = frozenset()) -> list[Proposal]:
    """The wrong start beneath one of the causes `named`; or the weights' mistake and the start beneath it, where one
    change of the weights leaves a wrong start alone."""
    if case.weights is None or case.batch is None or case.other is not None or agrees(case):
        return []
    asked = [rules[name] for name in STARTS if name in rules and not rules[name].missing(case)]
    chunked = [rules[CHUNKED]] if CHUNKED in rules and not rules[CHUNKED].missing(case) else []
    beneath = _beneath_causes(case, [rules[name] for name in sorted(named)], [*chunked, *asked])
    if beneath or case.layer.weights_as_run:
        return beneath
    few, weights = small(case, STEPS), case.weights
    stale = [rule for rule in asked if rule.name == STALE]  # what else starts anew began rightly
    if not _can_tell(few) or any(t.initial is not None for t in case.trace.tracks):
        return []
    changes = [change for change in changes_of(case.weights) if not change.alone]
    begin_off = begins_off(few, changes, lambda change: change.apply(weights), tolerance(few))
    for change, off in zip(changes, begin_off, strict=True):
        changed = _changed(few, change)
        some = not off[few.trace.real_counts > 1].all() and _gives_some(changed)
        if agrees(changed) and not some:
            continue
        for rule in chunked if some else ():
            if whole := _remaining(_changed(case, change), rule):
                return [_beside(case, change, rule), *(_with(p, change) for p in whole)]
        for rule in () if agrees(changed) else stale if off[_is_long(few)].any() else asked:
            if _may_start_so(changed, rule) and _remaining(changed, rule):
                whole = _remaining(_changed(case, change), rule)
                if whole:
                    return [_beside(case, change, rule), *(_with(p, change) for p in whole)]
    return []


def _beneath_causes(case: Case, causes: list[Rule], asked: list[Rule]) -> list[Proposal]:
    """What the rules `asked` say once a cause is undone and the states are as they ought to be, if that explains every
    row that a run does not give."""
    for cause in causes:
        right = with_right_states(case, cells=not any(facts.mismatched.any() for facts in case.facts))
        ways = [Undone("the states as they ought to be", right)] if right is not case and cause.in_states else []
        for undone in (*ways, *(cause.undo(case) if not isinstance(cause, WeightsRule) else ())):
            bare = with_right_states(undone.case)
            bare = replace(bare, layer=replace(bare.layer, weights_as_run=True))
            few = small(bare, STEPS)
            others = [rule for rule in asked if rule.name not in (cause.name, *cause.implies)]
            for rule in others:
                if not rule.missing(bare) and _may_remain(few, rule) and (whole := _remaining(bare, rule)):
                    return [_after(p, undone, cause) for p in whole]
    return []


def _may_remain(few: Case, rule: Rule) -> bool:
    """Whether a few rows let a start be all that is wrong: where rows go on from others, some do not."""
    if rule.name == CHUNKED:
        return _gives_some(few)
    return _can_tell(few) and _may_start_so(few, rule) and bool(_remaining(few, rule))


def _after(p: Proposal, undone: Undone, cause: Rule) -> Proposal:
    message = f"{{rows}}: with {undone.how} ({cause.name}), {p.message.removeprefix('{rows}: ')}"
    return replace(p, message=message, evidence=p.evidence | {"beneath": cause.name})


def _gives_some(few: Case) -> bool:
    """Whether a run gives some row of several steps as a whole."""
    return bool((given_by_all(few, few.reference) & (few.trace.real_counts > 1)).any())


def _can_tell(few: Case) -> bool:
    """Whether two rows have more steps than a start needs to show itself, and none so many that a try takes long."""
    assert few.weights is not None
    return few.trace.steps <= MOST_STEPS and int((few.trace.real_counts > fewest_steps(few.weights)).sum()) >= 2


def _changed(case: Case, change: Change) -> Case:
    """The case with the weights changed, in which no further change is looked for."""
    assert case.weights is not None
    changed = case.with_weights(change.apply(case.weights))
    return replace(changed, layer=replace(changed.layer, weights_as_run=True))


def _may_start_so(few: Case, rule: Rule) -> bool:
    """Whether a fit of all units is worth its time, told by a few of them."""
    return rule.name != STALE or first_units_follow(few)


def _remaining(changed: Case, rule: Rule) -> list[Proposal]:
    """What the rule says once the weights are changed, if that explains every row that a run of them does not give."""
    if agrees(changed):
        return []
    proposals = [p for p in rule.check(changed) if p.severity != "note"]
    explained = frozenset[Place]().union(*(p.places for p in proposals))
    return proposals if explained and _not_given(changed) <= explained else []


def _not_given(case: Case) -> frozenset[Place]:
    """The rows that a run does not give, of as many steps as a start needs to show itself."""
    limit, enough = tolerance(case), _is_long(case)
    return frozenset(
        (d.track.layer, d.track.direction, int(b))
        for d in compared(case, case.reference)
        for b in np.flatnonzero((np.where(d.real, d.difference, 0.0) > limit).any(1) & enough)
    )


def _is_long(case: Case) -> Bools:
    """`[B]`: rows of as many steps as a start needs to show itself."""
    assert case.weights is not None
    return np.asarray(case.trace.real_counts >= fewest_steps(case.weights))


def _with(p: Proposal, change: Change) -> Proposal:
    message = f"{{rows}}: with {change.description} ({change.rule}), {p.message.removeprefix('{rows}: ')}"
    return replace(p, message=message, evidence=p.evidence | {"together_with": change.rule})


def _beside(case: Case, change: Change, rule: Rule) -> Proposal:
    message = (
        "no single mistake gives these outputs from these weights; two together do, and this is one of them: with "
        f"{change.description}, what remains is {rule.name}"
    )
    evidence = {"change": change.description, "together_with": rule.name}
    return Proposal(change.rule, message, everywhere(case), kind="fact", evidence=evidence)
