"""Outputs that a mistake changed, beside states that another one did: a run of the weights tells what they were.

Asked only where states are left that nothing explains. Where a run gives the outputs as they are, its states are set
beside these. Else each mistake that is in outputs is undone; where a run then gives them, they are the layer's own
again, and the other rules see the states beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.cover import explained_by, mismatched_places
from rnninspect.diagnosis.evidence.agreement import only_rows
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.rule import Proposal, Rule, Undone
from rnninspect.diagnosis.states_by_run import states_by_run
from rnninspect.diagnosis.steps_by_states import steps_by_states
from rnninspect.diagnosis.two_causes import is_too_large
from rnninspect.diagnosis.weights_rule import WeightsRule

FEW = 4  # rows on which each way is tried first


def outputs_by_run(case: Case, rules: Mapping[str, Rule]) -> list[Proposal]:
    """What explains every state that is off beside the outputs of a run of the weights, and the mistake in the outputs
    without which it gives them, where they are not its own; empty where there are no such two."""
    if case.weights is None or case.batch is None or case.other is not None or is_too_large(case):
        return []
    if agrees(case):
        return states_by_run(case, rules, frozenset())
    for rule in rules.values():
        for undone in rule.undo(case) if not isinstance(rule, WeightsRule) else ():
            if not _changes_outputs_alone(case, undone.case) or not _gives(undone.case):
                continue
            seconds = _of_states(undone.case, rule, rules)
            if seconds:
                return [_first(case, rule, undone, seconds[0]), *(_second(p, rule, undone) for p in seconds)]
    return []


def _changes_outputs_alone(case: Case, undone: Case) -> bool:
    """Whether undoing changed outputs, and neither what is run nor what it is run for."""
    if case.batch is not undone.batch or not np.array_equal(case.trace.mask, undone.trace.mask):
        return False
    tracks = list(zip(case.trace.tracks, undone.trace.tracks, strict=True))
    return any(a.outputs is not b.outputs for a, b in tracks) and all(a.final is b.final for a, b in tracks)


def _gives(case: Case) -> bool:
    """Whether a run gives all outputs: of a few rows, then of all."""
    longest = np.argsort(-case.trace.real_counts, kind="stable")[:FEW]
    return agrees(only_rows(case, longest)) and agrees(case)


def _of_states(case: Case, first: Rule, rules: Mapping[str, Rule]) -> list[Proposal]:
    """What one rule says of every state that is off beside these outputs, or beside those of a run that reads on."""
    left = mismatched_places(case)
    whole = []
    for rule in rules.values() if left else ():
        if rule is first or rule.compares or "weights" in rule.needs or rule.missing(case):
            continue
        proposals = [p for p in rule.check(case) if p.kind == "state" and p.certainty == "proven"]
        if proposals and left <= explained_by(proposals):
            whole.append(proposals)
    if not whole:
        told = frozenset((first.name, *first.implies))
        return (states_by_run(case, rules, told) or steps_by_states(case, rules, told)) if left else []
    best = max(whole, key=lambda proposals: max(p.strength for p in proposals))
    also = dict.fromkeys(p.rule for proposals in whole for p in proposals if p.rule != best[0].rule)
    return [replace(p, alternatives=tuple(also)[:2]) for p in best]


def _first(case: Case, rule: Rule, undone: Undone, second: Proposal) -> Proposal:
    message = (
        "{rows}: no single mistake gives these outputs and states from these weights; two together do, and this is one "
        f"of them: with {undone.how}, a run with these weights gives the outputs, and what remains is {second.rule}"
    )
    evidence = {"together_with": second.rule}
    return Proposal(rule.name, message, mismatched_places(case), rule.severity, evidence=evidence)


def _second(p: Proposal, rule: Rule, undone: Undone) -> Proposal:
    message = f"{{rows}}: with {undone.how} ({rule.name}), {p.message.removeprefix('{rows}: ')}"
    return replace(p, message=message, evidence=p.evidence | {"together_with": rule.name})
