"""What was not checked, and which argument would let the most of it be checked."""

from __future__ import annotations

from collections import Counter

from rnninspect.core.frozen import frozen
from rnninspect.core.wording import argument, worded
from rnninspect.report.record import ReportRecord

# What can be given where a rule's evidence is missing, by the name of the evidence. A second direction cannot, nor can
# outputs: they were given, and hold the sum of two directions.
_ARGUMENTS = {
    "lengths": "lengths",
    "inputs": "inputs",
    "weights": "weights",
    "cell state": "cell_state",
    "second dump": "against",
}
_OF_COMMAND = {  # what a command has an option for; the others have all
    "run": ("lengths", "weights"),  # a run makes all else by itself
    "record": ("lengths",),  # the calls bring the rest
    "check": ("lengths",),
}


@frozen
class Unlock:
    """Arguments, by their Python names, that would let `rules` more rules be checked."""

    arguments: tuple[str, ...]
    rules: int

    def __str__(self) -> str:
        return " and ".join(worded(argument(name)) for name in self.arguments)


def best_unlock(report: ReportRecord) -> Unlock | None:
    """The arguments that let the most rules be checked, for each of them; None where none would."""
    if report.command == "demo":
        return None
    missing = Counter(frozenset(_missing(rule.reason)) for rule in report.not_checked)
    possible = _OF_COMMAND.get(report.command, tuple(_ARGUMENTS.values()))
    unlocks = []
    for needs in missing:
        names = [_ARGUMENTS.get(need, "") for need in needs]
        if needs and all(name in possible for name in names):
            gain = sum(count for others, count in missing.items() if others <= needs)
            unlocks.append(Unlock(tuple(sorted(names)), gain))
    return max(unlocks, key=lambda u: (u.rules / len(u.arguments), u.rules, u.arguments), default=None)


def _missing(reason: str) -> list[str]:
    """The evidence that a reason names.

    >>> _missing("needs two directions and inputs")
    ['two directions', 'inputs']
    """
    return reason.removeprefix("needs ").split(" and ")


def not_checked_line(report: ReportRecord) -> str:
    """How many rules were not checked, what lets the most of them be checked, and what lists them; '' for none."""
    count = len(report.not_checked)
    if not count or report.probes:  # of a probe its own line says why
        return ""
    unlock = best_unlock(report)
    counted = f"{count} rule{'' if count == 1 else 's'} not checked for lack of data"
    allows = f": {unlock} allow{'' if len(unlock.arguments) > 1 else 's'} {unlock.rules}" if unlock else ""
    return f"{counted}{allows}; {worded(argument('reasons_of', 'it' if count == 1 else 'them'))}"
