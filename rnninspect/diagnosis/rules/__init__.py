"""The mistakes that rnninspect names, one file each. A new file with a RULE is a new rule.

A folder holds rules that need the same evidence, each in a file of its own name. Their files are imported once a case
has that evidence, or once a rule is asked for by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache

from rnninspect.core.modules_in import modules_in
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import Rule
from rnninspect.errors import UnknownNameError

# What every rule of a folder needs.
NEEDS = {
    "cell_state": ("outputs", "cell state"),
    "two_directions": ("outputs", "two directions"),
    "weights": ("outputs", "inputs", "weights"),
}


class Rules(Mapping[str, Rule]):
    """Rules by name. `modules`: where each is below this package; it is imported when the rule is asked for."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._modules = modules
        self._needs = {name: NEEDS.get(module.rpartition(".")[0], ()) for name, module in modules.items()}

    def __getitem__(self, name: str) -> Rule:
        return _imported(self._modules[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def missing(self, name: str, case: Case) -> list[str]:
        """The evidence that a rule needs and the case does not hold, as its folder says or else the rule itself."""
        return case.lacks(self._needs[name]) or self[name].missing(case)


@cache
def _imported(module: str) -> Rule:
    rule: Rule = importlib.import_module(f"{__name__}.{module}").RULE
    return rule


@cache
def rules() -> Rules:
    """Every rule by its name, in order."""
    modules = {}
    for file in modules_in(__path__):
        rule = getattr(importlib.import_module(f"{__name__}.{file}"), "RULE", None)
        if rule is not None:
            modules[rule.name] = file
    for folder in NEEDS:
        for file in modules_in(f"{path}/{folder}" for path in __path__):
            modules[file.replace("_", "-")] = f"{folder}.{file}"
    return Rules(dict(sorted(modules.items())))


def get(name: str) -> Rule:
    """The rule of that name; UnknownNameError lists the known ones."""
    if name not in rules():
        raise UnknownNameError("rule", name, list(rules()), "`rnninspect list rules`")
    return rules()[name]
