"""Which array of a dump is what: by the framework's names, by usual ones, and where names fail by shape and value.

Where several arrays could be one thing, each is a guess of its own, and the numbers decide between them later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice, product

from rnninspect.conventions.base import DIRECTION_WORDS, Convention
from rnninspect.conventions.dumps.cell_behind import are_own_steps, is_behind
from rnninspect.conventions.dumps.halves import states_of_halves
from rnninspect.conventions.dumps.inverted import PADDING_NAME
from rnninspect.conventions.dumps.layer_names import natural_order
from rnninspect.conventions.dumps.names import OTHER_THINGS, PLAIN_NAMES, USUAL_NAMES
from rnninspect.conventions.dumps.numbered_pairs import are_beside_their_stack, as_directions
from rnninspect.conventions.dumps.positions import as_values_tell, note_of_order, of_layers, place_lists
from rnninspect.conventions.dumps.rightful import h_under_another_name, may_be_outputs, without_states
from rnninspect.conventions.dumps.shapes import are_full_lengths, is_mask, is_prefix, is_taken, match_name, suits
from rnninspect.conventions.dumps.siblings import layers_of, siblings
from rnninspect.conventions.dumps.sides import is_of_other_layer, is_of_other_side, of_own_side
from rnninspect.conventions.dumps.unread import WORDS
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.frozen import frozen
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.formats.base import ANONYMOUS

MOST_GUESSES = 24


@frozen(eq=False)
class Guess:
    """One way of giving arrays their roles; `notes` say what no name told.

    `by_shape`: outputs or h, where no name told them. `doubtful`: further arrays that could be h, where no plain name
    told it. `whose_known`: the framework is stated. `order_known`: stacks of h and c are in its order.
    """

    slots: tuple[Slot, ...]
    notes: tuple[str, ...] = ()
    by_shape: tuple[Role, ...] = ()
    doubtful: tuple[str, ...] = ()
    whose_known: bool = True
    order_known: bool = True


def assign_roles(
    convention: Convention,
    arrays: Mapping[str, Array],
    config: LayerConfig,
    named: Mapping[Role, Slot] | None = None,
    anonymous: Role = "outputs",
    returned: tuple[Slot, ...] = (),
) -> tuple[Slot, ...]:
    """Every array that has a role by its name; what was `named` wins, then the convention's names, then common ones.

    `anonymous` is the role of the array without a name (outputs in `compare`, inputs in `run`). `returned` are slots
    made already, several a role where there are several layers or directions.
    """
    arrays = convention.prepare(arrays, config)
    return _placed(convention, _by_names(convention, arrays, named or {}, anonymous, returned), config)


def guess_roles(
    convention: Convention,
    arrays: Mapping[str, Array],
    config: LayerConfig,
    named: Mapping[Role, Slot] | None = None,
    returned: tuple[Slot, ...] = (),
    whose_known: bool = True,
    order_known: bool | None = None,
) -> list[Guess]:
    """Every way of giving the arrays their roles: by names alone where they suffice, else by shape and value too.

    `whose_known`: the framework is stated. `order_known`: lists of h and c are in its order (None: where it is stated);
    else the values tell the order.
    """
    arrays = convention.prepare(arrays, config)
    order_known = whose_known if order_known is None else order_known
    slots = _by_names(convention, arrays, named or {}, "outputs", returned)
    left = {name: a for name, a in arrays.items() if not is_taken(name, a, slots)}
    outputs, states = (list(_candidates(role, left, slots)) for role in ("outputs", "h"))
    if len(outputs) == 1:  # it is no state beside itself
        states = [slot for slot in states if slot.name != outputs[0].name]
    halves = states_of_halves(outputs or [slot for slot in slots if slot.role == "outputs"], states)
    if halves:
        left, outputs, states = {n: a for n, a in left.items() if not is_taken(n, a, halves)}, [], []
        slots = (*slots, *(slot for slot in halves if not is_taken(slot.name, slot.array, slots)))
    choices: list[Sequence[Slot | None]] = [outputs, states]
    guesses = []
    for picked in islice(_likeliest_first(choices), MOST_GUESSES):
        more = [slot for slot in picked if slot is not None]
        if len({slot.name for slot in more}) < len(more):
            continue
        by_shape = tuple(slot.role for slot in more)
        beside = [s for s in slots if s.role not in ("lengths", "mask", "inputs") or not is_of_other_side(s.name, more)]
        placed_so_far = [*beside, *more]
        taken = {slot.name for slot in more}
        rest = {n: a for n, a in left.items() if n not in taken and not is_of_other_side(n, more)}
        more += list(_of_values(rest, placed_so_far))
        notes = tuple(taken_by(s, "numbers" if s.role == "c" else "shape") for s in more)
        notes += tuple(taken_by(s, "numbers") for s in halves)
        told = (*beside, *more) if whose_known else of_layers((*beside, *more), config)
        placed = _placed(convention, told, config)
        open_names = [s.name for s in slots if s.name[-1:].isdigit() and s.role not in (named or {})]
        listed = {*open_names, *(s.name for s in slots if s.position is not None)}
        if not order_known:
            ordered = as_values_tell(placed, listed)
            notes += note_of_order(placed, ordered, convention.name, convention.cell_first)
            placed = ordered
        doubtful = () if named and "h" in named else _further_states(convention, rest, placed)
        guesses.append(Guess(placed, notes, by_shape, doubtful, whose_known, order_known))
    return guesses


def _likeliest_first(choices: list[Sequence[Slot | None]]) -> Iterator[tuple[Slot | None, ...]]:
    """Outputs and state in every combination; where they are too many, first those of which the one holds the other."""
    every = product(*(candidates or (None,) for candidates in choices))
    if len(choices[0]) * len(choices[1]) <= MOST_GUESSES:
        return every

    def holds(picked: tuple[Slot | None, ...]) -> bool:
        outputs, state = picked
        return outputs is not None and state is not None and are_own_steps(outputs.array, state.array)

    return iter(sorted(every, key=lambda picked: not holds(picked)))


def _further_states(convention: Convention, rest: Mapping[str, Array], slots: tuple[Slot, ...]) -> tuple[str, ...]:
    """Arrays without a role that have the state's shape, where its own name is no plain one."""
    states = [slot for slot in slots if slot.role == "h"]
    plain = (*convention.names.get("h", ()), *PLAIN_NAMES["h"])
    if len(states) != 1 or any(match_name(pattern, states[0].name) for pattern in plain):
        return ()
    return tuple(n for n, a in rest.items() if a.shape == states[0].array.shape and not is_taken(n, a, slots))


@lru_cache(maxsize=1 << 12)  # each name is asked of every framework, once for each that it might be of
def matches(convention: Convention, name: str) -> bool:
    """Whether it is a name that the framework's own arrays have."""
    return any(match_name(p, name) for role in convention.names.values() for p in role)


def _by_names(
    convention: Convention,
    arrays: Mapping[str, Array],
    named: Mapping[Role, Slot],
    anonymous: Role,
    returned: tuple[Slot, ...],
) -> tuple[Slot, ...]:
    order = _layer_names(convention, arrays)
    slots: list[Slot] = [*named.values(), *returned]
    taken_roles = {slot.role for slot in slots}
    free = {name: a for name, a in arrays.items() if not any(a is s.array for s in named.values())}
    masks = {name: a for name, a in free.items() if suits("mask", a)}
    for role in PLAIN_NAMES:
        if role not in taken_roles:
            untaken = {n: a for n, a in free.items() if not is_taken(n, a, tuple(slots))}
            likely = masks if role == "mask" else untaken if role in ("initial_h", "initial_c") else free
            by_name = _by_name(role, likely, convention.names.get(role, ()), order)
            slots.extend(by_name or _siblings(role, likely, PLAIN_NAMES[role], slots) or _first(role, likely))
    for role in USUAL_NAMES:
        if role not in {slot.role for slot in slots}:
            left = {n: a for n, a in free.items() if not is_taken(n, a, tuple(slots)) and suits(role, a)}
            left = of_own_side(role, left, slots)
            left = without_states(left, free) if role == "outputs" else left
            slots.extend(_siblings(role, left, USUAL_NAMES[role], slots) or _usual(role, left))
    slots = [slot for slot in slots if slot.role in taken_roles or not is_of_other_layer(slot, slots)]
    if ANONYMOUS in arrays and anonymous not in {slot.role for slot in slots}:
        slots.append(Slot(anonymous, ANONYMOUS, arrays[ANONYMOUS]))
    return tuple(slots)


def _placed(convention: Convention, slots: tuple[Slot, ...], config: LayerConfig) -> tuple[Slot, ...]:
    placed = convention.place(slots, config)
    if any(slot.position is not None for slot in placed):
        placed = place_lists(placed, config, convention.cell_first)
    return as_directions(placed, config)


def _siblings(role: Role, arrays: Mapping[str, Array], patterns: tuple[str, ...], slots: list[Slot]) -> list[Slot]:
    """Arrays of the role by layer and direction; outputs by layer only where states are by the same layers.

    `slots`: those that have a role already; outputs by layer among them say that a list of states is by layer too.
    """
    family = siblings(role, arrays, patterns)
    if role == "outputs" and any(slot.layer is not None for slot in family):
        states = siblings("h", arrays, (*PLAIN_NAMES["h"], *USUAL_NAMES["h"]))
        states = states or _usual("h", {name: a for name, a in arrays.items() if suits("h", a)})  # `state.0.h`
        return family if layers_of(family) == layers_of(states) or are_beside_their_stack(family, arrays) else []
    layers_of_outputs = {slot.layer for slot in slots if slot.role == "outputs"}
    if family and layers_of_outputs == layers_of(family):
        return [s if s.position is None else replace(s, layer=s.position[0], position=None) for s in family]
    return family


def _usual(role: Role, arrays: Mapping[str, Array]) -> list[Slot]:
    """The arrays that the first usual pattern with a hit names: several by layer and direction, else one alone."""
    for pattern in USUAL_NAMES[role]:
        hits = [(m, name, a) for name, a in arrays.items() if (m := match_name(pattern, name))]
        if any(value for m, _, _ in hits for value in m.groupdict().values()):
            return [_slot(role, m, name, a, []) for m, name, a in hits]
        if len(hits) == 1:
            return [_slot(role, hits[0][0], hits[0][1], hits[0][2], [])]
        if hits:
            return []  # several: shape and value decide
    return []


def _candidates(role: Role, arrays: Mapping[str, Array], slots: tuple[Slot, ...]) -> Iterator[Slot]:
    """Arrays that may be the outputs, or the final state, where no name tells which is."""
    if any(slot.role == role for slot in slots):
        return
    for name, array in arrays.items():
        axes = (role == "outputs") is (array.ndim > 2) or (role == "h" and array.ndim == 3)
        if not axes or not suits(role, array):
            continue
        usual = any(match_name(p, name) for p in USUAL_NAMES[role])
        other = any(match_name(p, name) for r in USUAL_NAMES if r != role for p in (*USUAL_NAMES[r], *PLAIN_NAMES[r]))
        freed = role == "outputs" and may_be_outputs(name, array, slots)
        if (usual or not other or freed) and not re.fullmatch(OTHER_THINGS, name):
            yield Slot(role, name, array)


def _of_values(arrays: Mapping[str, Array], slots: list[Slot]) -> Iterator[Slot]:
    """Lengths, a mask and c that only shape and value tell, where one array alone can be that."""
    outputs = next((s.array for s in slots if s.role == "outputs" and s.array.ndim == 3), None)
    if outputs is None:
        return
    taken_roles = {slot.role for slot in slots}
    axes = [outputs.shape[:2], outputs.shape[1::-1]]
    rows = {n for s in slots if s.role == "h" for n in s.array.shape[:-1]}
    axes = [(b, t) for b, t in dict.fromkeys(axes) if b in rows]
    free = {n: a for n, a in arrays.items() if not re.fullmatch(OTHER_THINGS, n)}
    if not taken_roles & {"lengths", "mask"}:
        lengths = [n for n, a in free.items() if any(are_full_lengths(a, b, t) for b, t in axes)]
        masks = [n for n, a in free.items() if any(a.shape == shape and is_prefix(a) for shape in axes)]
        if len(lengths) == 1:
            yield Slot("lengths", lengths[0], arrays[lengths[0]])
        elif masks := masks or [
            n for n, a in arrays.items() if {a.shape, a.shape[::-1]} & {*axes} and _is_of_padding(n, a)
        ]:
            yield from (Slot("mask", name, arrays[name]) for name in masks if len(masks) == 1)
    states = [s.array for s in slots if s.role == "h"]
    if "c" not in taken_roles and len(states) == 1:
        cells = [n for n, a in free.items() if is_behind(states[0], a)]
        cells = cells or h_under_another_name(states[0], free, outputs)
        if len(cells) == 1:
            yield Slot("c", cells[0], arrays[cells[0]])


def _is_of_padding(name: str, array: Array) -> bool:
    """Whether it is 0 and 1 under a name that masks of padding have; what is true in it, the numbers tell."""
    return is_mask(array) and re.fullmatch(PADDING_NAME, name) is not None


def taken_by(slot: Slot, what: str) -> str:
    """The note on an array whose role no name told; `what`: what of it did."""
    role = f"{slot.direction} {WORDS[slot.role]}" if slot.direction else WORDS[slot.role]
    return f"{slot.name} {list(slot.array.shape)} is taken as the {role}, by its {what}"


def _layer_names(convention: Convention, arrays: Mapping[str, Array]) -> list[str]:
    """The names of layers in the dump, bottom first: a name's place in it is its layer, whatever the role."""
    matches_of_names = (match_name(p, name) for name in arrays for role in convention.names.values() for p in role)
    return natural_order(m["name"] for m in matches_of_names if m and m.groupdict().get("name"))


def _by_name(role: Role, arrays: Mapping[str, Array], patterns: tuple[str, ...], order: list[str]) -> list[Slot]:
    """The arrays that the first pattern with a hit names."""
    for pattern in patterns:
        hits = [(m, name, array) for name, array in arrays.items() if (m := match_name(pattern, name))]
        if hits:
            return [_slot(role, match, name, array, order) for match, name, array in hits]
    return []


def _slot(role: Role, match: re.Match[str], name: str, array: Array, order: list[str]) -> Slot:
    groups = {key: value for key, value in match.groupdict().items() if value}
    layer = int(groups["layer"]) if "layer" in groups else None
    if "name" in groups:
        layer = order.index(groups["name"])
    direction = DIRECTION_WORDS[groups["direction"]] if "direction" in groups else None
    position = tuple(int(n) for n in re.findall(r"\d+", groups["position"])) if "position" in groups else None
    return Slot(role, name, array, layer, direction, position)


def _first(role: Role, arrays: Mapping[str, Array]) -> list[Slot]:
    for pattern in PLAIN_NAMES[role]:
        for name, array in arrays.items():
            if match_name(pattern, name):
                return [Slot(role, name, array)]
    return []
