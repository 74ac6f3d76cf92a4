"""What a cause hid beside the states: padding and steps, looked at once more where its mistake is undone.

Asked only where one cause explains every state that is off, and one way of undoing it leaves every state right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import Proposal, Rule
from rnninspect.diagnosis.two_causes import is_too_large
from rnninspect.diagnosis.weights_rule import WeightsRule


def facts_beneath(case: Case, cause: Rule, rules: Mapping[str, Rule], named: frozenset[str]) -> Iterator[Proposal]:
    """What other rules say of the outputs once `cause` is undone, but for what it implies or is `named` already."""
    if is_too_large(case):
        return
    for undone in cause.undo(case):
        if any(facts.mismatched.any() for facts in undone.case.facts):
            continue
        for rule in rules.values():
            if rule.name in named or rule.name in cause.implies or not _reads_outputs(rule, undone.case):
                continue
            for p in rule.check(undone.case):
                if p.kind != "state" and p.certainty == "proven":
                    message = f"with {undone.how} ({cause.name}), {p.message}"
                    yield replace(p, message=message, evidence=p.evidence | {"beneath": cause.name})
        return


def _reads_outputs(rule: Rule, case: Case) -> bool:
    """Whether a rule speaks of the outputs by themselves: what runs and second dumps tell, they told already."""
    if isinstance(rule, WeightsRule) or rule.compares or "weights" in rule.needs:
        return False
    return not rule.missing(case)
