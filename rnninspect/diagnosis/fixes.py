"""The code that mends a mistake: a framework's own where it holds a better one, else the rule's on plain arrays."""

from __future__ import annotations

from rnninspect.conventions.base import Convention
from rnninspect.diagnosis.rule import Rule


def fix_for(rule: Rule, convention: Convention | None) -> str:
    """What to do about `rule` in this framework; the rule's own fix, in numpy, where the framework is not known."""
    return rule.fix if convention is None else convention.fixes.get(rule.name, rule.fix)
