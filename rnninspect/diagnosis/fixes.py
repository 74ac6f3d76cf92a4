"""The code that mends a mistake: a framework's own where it holds a better one, else the rule's on plain arrays."""

from __future__ import annotations

from rnninspect.conventions.base import Convention
from rnninspect.diagnosis.rule import Rule


def fix_for(
    rule: Rule,
    convention: Convention | None,
    decided: bool = True,
    time_major: bool = False,
    code: str | None = None,
) -> str:
    """What to do about `rule` in this framework; the rule's own fix, in numpy, where the framework is not known.

    Where `convention` is only the likeliest, not `decided`, its fix stands below the rule's own as a labelled comment.
    `time_major`: the layer's arrays are `[T, B, H]`, so that a framework's code must not state the batch first. `code`:
    the rule's own fix as it fits a case; None: as it stands in the rule.
    """
    plain = rule.fix if code is None else code
    theirs = None if convention is None else convention.fix(rule.name, time_major)
    if convention is None or theirs is None:
        return plain
    if decided:
        return theirs
    return "\n".join([plain, *(f"# if these are {convention.name}'s: {line}" for line in theirs.splitlines())])
