"""The mistakes that rnninspect names, one file each. A new file with a RULE is a new rule."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from rnninspect.diagnosis.rule import Rule
from rnninspect.errors import UnknownNameError


@cache
def rules() -> dict[str, Rule]:
    """Every rule by its name."""
    by_name = {}
    for module in pkgutil.iter_modules(__path__):
        rule = getattr(importlib.import_module(f"{__name__}.{module.name}"), "RULE", None)
        if rule is not None:
            by_name[rule.name] = rule
    return dict(sorted(by_name.items()))


def get(name: str) -> Rule:
    """The rule of that name; UnknownNameError lists the known ones."""
    if name not in rules():
        raise UnknownNameError("rule", name, list(rules()), "`rnninspect list rules`")
    return rules()[name]
