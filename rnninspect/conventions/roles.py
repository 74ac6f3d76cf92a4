"""Names to roles: which array of a dump is the outputs, which the final state, for which layer and direction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rnninspect.conventions.base import COMMON_NAMES, DIRECTION_WORDS, Convention, Role, Slot, Statement
from rnninspect.formats.base import ANONYMOUS
from rnninspect.trace import Array

# A pattern may hold the groups `layer` (a number), `name` (a layer's own name) and `direction` (a word).


def assign_roles(
    convention: Convention,
    arrays: Mapping[str, Array],
    statement: Statement,
    stated: Mapping[Role, Slot] | None = None,
    anonymous: Role = "outputs",
) -> tuple[Slot, ...]:
    """Every array that has a role, by the convention's names, then by common names; what was `stated` wins.

    `anonymous` is the role of the array without a name (outputs in `compare`, inputs in `run`).
    """
    stated = stated or {}
    slots: list[Slot] = list(stated.values())
    for role in COMMON_NAMES:
        if role in stated:
            continue
        slots.extend(_by_name(role, arrays, convention.names.get(role, ())) or _first(role, arrays))
    taken = {slot.role for slot in slots}
    if ANONYMOUS in arrays and anonymous not in taken:
        slots.append(Slot(anonymous, ANONYMOUS, arrays[ANONYMOUS]))
    return convention.place(tuple(slots), statement)


def fit_of_names(convention: Convention, arrays: Iterable[str]) -> int:
    """How many of the names are the framework's own: what `auto` sorts the conventions by."""
    patterns = [re.compile(p) for role in convention.names.values() for p in role]
    return sum(any(p.fullmatch(name) for p in patterns) for name in arrays)


def _by_name(role: Role, arrays: Mapping[str, Array], patterns: tuple[str, ...]) -> list[Slot]:
    slots: list[Slot] = []
    for pattern in patterns:
        order: dict[str, int] = {}  # a layer's own name counts by its first appearance
        for name, array in arrays.items():
            match = re.fullmatch(pattern, name)
            if not match:
                continue
            groups = match.groupdict()
            layer = int(groups["layer"]) if groups.get("layer") else None
            if groups.get("name"):
                layer = order.setdefault(groups["name"], len(order))
            word = groups.get("direction")
            slots.append(Slot(role, name, array, layer, DIRECTION_WORDS[word] if word else None))
        if slots:
            return slots
    return slots


def _first(role: Role, arrays: Mapping[str, Array]) -> list[Slot]:
    for pattern in COMMON_NAMES[role]:
        for name, array in arrays.items():
            if re.fullmatch(pattern, name):
                return [Slot(role, name, array)]
    return []
