"""Wrong weights beneath another mistake: no run of them can show them until that one is undone.

Asked only where a run of the weights disagrees with the dump and nothing says why. States that a cause explains are
taken as they ought to be; then each mistake that touches what a run is compared by (outputs, inputs, lengths, the
states that rows began with) is undone in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.agreement import only_rows
from rnninspect.diagnosis.evidence.parameter_fit import fitted_bias
from rnninspect.diagnosis.evidence.weight_search import agrees, fixed, may_mend
from rnninspect.diagnosis.facts_beneath import with_right_states
from rnninspect.diagnosis.rule import Proposal, Rule, Undone
from rnninspect.diagnosis.weights_rule import WeightsRule, everywhere

FEW = 6  # rows on which each way is tried first
MOST_STEPS = 32  # of a stack in two directions: longer ones are not read for every change


@frozen(eq=False)
class _Way:
    """A mistake undone, and its rule; None where states alone were put right."""

    rule: Rule | None
    undone: Undone


def weights_beneath(case: Case, rules: Mapping[str, Rule], named: frozenset[str]) -> list[Proposal] | None:
    """What a run of the weights disagrees by, beneath the causes `named` or one more: the weights' own mistake, and
    that one more; none where no such two bring the two together, and None where the causes alone do."""
    if case.batch is None or case.weights is None or case.other is not None or agrees(case):
        return []
    told = named.union(*(rules[name].implies for name in named))  # and their symptoms
    right = with_right_states(case)
    for way in _ways(case, right, rules, named):
        few = only_rows(way.undone.case, _few(way.undone.case))
        if agrees(few):
            if way.rule is not None and agrees(way.undone.case):
                return None if way.rule.name in told else [_alone(case, way.rule, way.undone)]
        elif _may_be_quick(case) and _may_mend(case, way, few):
            changes = list(_weights_of(case, way, rules, told))
            if changes:
                return changes
    for way in _ways_beneath(right, rules, named, told):
        few = only_rows(way.undone.case, _few(way.undone.case))
        if way.rule is not None and agrees(few) and agrees(way.undone.case):
            return [_alone(case, way.rule, way.undone)]
    return []


def _ways(case: Case, right: Case, rules: Mapping[str, Rule], named: frozenset[str]) -> Iterator[_Way]:
    """The case with its states put `right`, where they were not, and with one mistake undone: one of the lengths only
    where it is named, since other steps are compared then; which they were the states tell, before they are right."""
    if right is not case:
        yield _Way(None, Undone("the states as they ought to be", right))
    for rule in rules.values():
        if isinstance(rule, WeightsRule):
            continue
        as_found = rule.undo(case) if rule.name in named and right is not case else ()
        for undone in (*rule.undo(right), *as_found):
            if not _changes_the_comparison(right, undone.case):
                continue
            if rule.name in named or np.array_equal(undone.case.trace.mask, right.trace.mask):
                yield _Way(rule, replace(undone, case=with_right_states(undone.case)))


def _ways_beneath(
    right: Case, rules: Mapping[str, Rule], named: frozenset[str], told: frozenset[str]
) -> Iterator[_Way]:
    """The case with one mistake that is `named` undone, and then one more that is not `told` by it."""
    for cause in (rules[name] for name in named if not isinstance(rules[name], WeightsRule)):
        for before in cause.undo(right):
            for rule in rules.values():
                if isinstance(rule, WeightsRule) or rule.name in told:
                    continue
                for undone in rule.undo(before.case):
                    if np.array_equal(undone.case.trace.mask, before.case.trace.mask):
                        both = f"{before.how} ({cause.name}) and {undone.how}"
                        yield _Way(rule, Undone(both, with_right_states(undone.case)))


def _changes_the_comparison(case: Case, undone: Case) -> bool:
    """Whether undoing changed more than final states."""
    if case.batch is not undone.batch or not np.array_equal(case.trace.mask, undone.trace.mask):
        return True
    pairs = zip(case.trace.tracks, undone.trace.tracks, strict=True)
    return any(a.outputs is not b.outputs or a.initial is not b.initial for a, b in pairs)


def _few(case: Case) -> np.ndarray:
    """`[N]`: rows that are tried first: long ones, and the shortest, in which padding shows most."""
    order = np.argsort(-case.trace.real_counts, kind="stable")
    return order if order.size <= FEW else np.concatenate([order[: FEW - 2], order[-2:]])


def _may_be_quick(case: Case) -> bool:
    """Whether changes of the weights can be tried on a few steps: a stack of two directions needs all of them, which
    are then to be few."""
    return case.trace.layers == 1 or case.trace.directions == 1 or case.trace.steps <= MOST_STEPS


def _may_mend(case: Case, way: _Way, few: Case) -> bool:
    """Whether a change of the weights explains a few rows, or a bias does with outputs and inputs unchanged."""
    if may_mend(few):
        return fixed(few) is not None
    inputs = [None if batch is None else batch.inputs for batch in (case.batch, way.undone.case.batch)]
    tracks = zip(case.trace.tracks, way.undone.case.trace.tracks, strict=True)
    as_they_were = inputs[0] is inputs[1] and all(a.outputs is b.outputs for a, b in tracks)
    return as_they_were and fitted_bias(few) is not None


def _weights_of(case: Case, way: _Way, rules: Mapping[str, Rule], told: frozenset[str]) -> Iterator[Proposal]:
    """The weights' mistake in the whole case, and the mistake that was undone, where it is not told yet."""
    how = way.undone.how if way.rule is None else f"{way.undone.how} ({way.rule.name})"
    for rule in rules.values():
        if not isinstance(rule, WeightsRule) or rule.missing(way.undone.case):
            continue
        for p in rule.check(way.undone.case):
            if p.certainty != "proven":
                continue
            together = {} if way.rule is None else {"together_with": way.rule.name}
            yield replace(p, message=f"with {how}, {p.message}", evidence=p.evidence | together)
            if way.rule is not None and way.rule.name not in told:
                yield _beside(case, way.rule, way.undone, rule)
            return


def _beside(case: Case, rule: Rule, undone: Undone, weights: Rule) -> Proposal:
    message = (
        "no single mistake gives these outputs from these weights; two together do, and this is one of them: with "
        f"{undone.how}, what remains is {weights.name}"
    )
    places, evidence = everywhere(case), {"together_with": weights.name}
    return Proposal(rule.name, message, places, rule.severity, kind="fact", evidence=evidence)


def _alone(case: Case, rule: Rule, undone: Undone) -> Proposal:
    message = f"{{rows}}: with {undone.how}, a run with these weights gives the dump; without this change none does"
    return Proposal(rule.name, message, everywhere(case), rule.severity, kind="fact")
