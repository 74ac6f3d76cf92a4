"""Names to roles: which array of a dump is the outputs, which the final state, for which layer and direction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rnninspect.conventions.base import COMMON_NAMES, DIRECTION_WORDS, Convention
from rnninspect.conventions.dumps.layer_names import natural_order
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.formats.base import ANONYMOUS

# A pattern may hold the groups `layer` (a number), `name` (a layer's own name), `direction` (a word) and `position`
# (a place in a list of states, nested or not: `2`, `0.1`).


def assign_roles(
    convention: Convention,
    arrays: Mapping[str, Array],
    config: LayerConfig,
    stated: Mapping[Role, Slot] | None = None,
    anonymous: Role = "outputs",
    returned: tuple[Slot, ...] = (),
) -> tuple[Slot, ...]:
    """Every array that has a role, by the convention's names, then by common names; what was `stated` wins.

    `anonymous` is the role of the array without a name (outputs in `compare`, inputs in `run`). `returned` are slots
    made already, several a role where there are several layers or directions.
    """
    stated = stated or {}
    arrays = convention.prepare(arrays, config)
    order = _layer_names(convention, arrays)
    slots: list[Slot] = [*stated.values(), *returned]
    known = {slot.role for slot in slots}
    for role in COMMON_NAMES:
        if role in known:
            continue
        slots.extend(_by_name(role, arrays, convention.names.get(role, ()), order) or _first(role, arrays))
    taken = {slot.role for slot in slots}
    if ANONYMOUS in arrays and anonymous not in taken:
        slots.append(Slot(anonymous, ANONYMOUS, arrays[ANONYMOUS]))
    return convention.place(tuple(slots), config)


def fit_of_names(convention: Convention, arrays: Iterable[str]) -> int:
    """How many of the names are the framework's own: what `auto` sorts the conventions by."""
    patterns = [p for role in convention.names.values() for p in role]
    return sum(any(_match(p, name) for p in patterns) for name in arrays)


def _layer_names(convention: Convention, arrays: Mapping[str, Array]) -> list[str]:
    """The names of layers in the dump, bottom first: a name's place in it is its layer, whatever the role."""
    matches = (_match(p, name) for name in arrays for role in convention.names.values() for p in role)
    return natural_order(m["name"] for m in matches if m and m.groupdict().get("name"))


def _by_name(role: Role, arrays: Mapping[str, Array], patterns: tuple[str, ...], order: list[str]) -> list[Slot]:
    """The arrays that the first pattern with a hit names."""
    for pattern in patterns:
        matches = [(m, name, array) for name, array in arrays.items() if (m := _match(pattern, name))]
        if matches:
            return [_slot(role, match, name, array, order) for match, name, array in matches]
    return []


def _match(pattern: str, name: str) -> re.Match[str] | None:
    """The match of the whole name, or of the name with its slashes (HDF5 groups, Flax trees) as dots."""
    return re.fullmatch(pattern, name) or (re.fullmatch(pattern, name.replace("/", ".")) if "/" in name else None)


def _slot(role: Role, match: re.Match[str], name: str, array: Array, order: list[str]) -> Slot:
    groups = {key: value for key, value in match.groupdict().items() if value}
    layer = int(groups["layer"]) if "layer" in groups else None
    if "name" in groups:
        layer = order.index(groups["name"])
    direction = DIRECTION_WORDS[groups["direction"]] if "direction" in groups else None
    position = tuple(int(n) for n in re.findall(r"\d+", groups["position"])) if "position" in groups else None
    return Slot(role, name, array, layer, direction, position)


def _first(role: Role, arrays: Mapping[str, Array]) -> list[Slot]:
    for pattern in COMMON_NAMES[role]:
        for name, array in arrays.items():
            if _match(pattern, name):
                return [Slot(role, name, array)]
    return []
