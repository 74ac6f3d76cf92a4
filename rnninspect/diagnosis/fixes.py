"""The code that mends a mistake: a framework's own where it holds a better one, else the rule's on plain arrays."""

from __future__ import annotations

from rnninspect.conventions.base import Convention
from rnninspect.diagnosis.rule import Rule


def fix_for(rule: Rule, convention: Convention | None, decided: bool = True) -> str:
    """What to do about `rule` in this framework; the rule's own fix, in numpy, where the framework is not known.

    Where `convention` is only the likeliest, not `decided`, its fix stands below the rule's own as a labelled comment.
    """
    if convention is not None and not decided:
        theirs = convention.fixes.get(rule.name, rule.fix)
        beside = [f"# if these are {convention.name}'s: {line}" for line in theirs.splitlines()]
        return rule.fix if theirs == rule.fix else "\n".join([rule.fix, *beside])
    return rule.fix if convention is None else convention.fixes.get(rule.name, rule.fix)
