"""Every mistake that is taught: those of recorded runs, and those that a probe finds in a model that runs."""

from __future__ import annotations

from typing import get_args

from rnninspect.diagnosis.rule import Group, Rule
from rnninspect.diagnosis.rules import rules
from rnninspect.errors import UnknownNameError
from rnninspect.invariance.lessons import taught
from rnninspect.invariance.probes import findings
from rnninspect.report import lessons


def course() -> list[tuple[str, Rule]]:
    """Every mistake with its group, in the order that teaches."""
    order = get_args(Group)
    return sorted([*lessons.course(), *taught()], key=lambda lesson: order.index(lesson[0]))


def mistakes() -> dict[str, Rule]:
    """Every mistake by its name."""
    return {**rules(), **findings()}


def get(name: str) -> Rule:
    """The mistake of that name; UnknownNameError where there is none."""
    if name not in mistakes():
        raise UnknownNameError("rule", name, list(mistakes()), "`rnninspect list rules`")
    return mistakes()[name]
