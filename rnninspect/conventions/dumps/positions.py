"""Lists of states by position (`initial_state.0`, `carry.1.0`): which entry is which state of which layer."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from itertools import product

import numpy as np

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.cell_behind import (
    are_equal,
    are_own_steps,
    are_pairs,
    ends_in,
    is_behind,
    is_cell_first,
    may_be_a_pair,
    may_be_h_and_c,
    of_one_sign,
)
from rnninspect.conventions.dumps.list_order import is_by_direction
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import DIRECTIONS, Array
from rnninspect.engine import cells

_PAIRS: tuple[tuple[Role, Role], ...] = (("h", "c"), ("initial_h", "initial_c"))


def place_lists(
    slots: tuple[Slot, ...], config: LayerConfig, cell_first: bool | None = False, by_direction: bool | None = False
) -> tuple[Slot, ...]:
    """Give every slot with a `position` its role, layer and direction; the others pass as they are.

    A list runs over layers, then directions (`by_direction`: the other way round, unless the values tell; None: as they
    do), then h and c (`cell_first`: c and h; None: as the values tell) of a cell that has both (an LSTM); a nested list
    runs as if it were flat.
    """
    placed = [slot for slot in slots if slot.position is None]
    for h, c in _PAIRS:
        listed = [slot for slot in slots if slot.position is not None and slot.role == h]
        if _numbered_alike(listed, slots):
            placed += [replace(slot, layer=slot.position[0], position=None) for slot in listed if slot.position]
            continue
        if h == "initial_h" and _starts_of_layers(listed, placed):
            ordered = sorted(listed, key=lambda slot: slot.position or ())
            placed += [replace(slot, layer=number, position=None) for number, slot in enumerate(ordered)]
            continue
        for layer in dict.fromkeys(slot.layer for slot in listed):
            one = sorted((s for s in listed if s.layer == layer), key=lambda s: s.position or ())
            first = is_cell_first([s.array for s in one]) if cell_first is None else cell_first
            order = (c, h) if first else (h, c)
            placed += _placed(one, order, layer, config, slots, by_direction, may_be_layers=cell_first is not True)
    return tuple(placed)


def _numbered_alike(listed: list[Slot], slots: tuple[Slot, ...]) -> bool:
    """Whether outputs have the numbers of the list: `outputs.0` ends in `states.0`, and none of these is a c."""
    numbers = [slot.layer for slot in slots if slot.role == "outputs"]
    places = [slot.position for slot in listed]
    if any(slot.layer is not None for slot in listed):
        return False
    return len(numbers) > 1 and len(places) == len(numbers) and set(places) == {(number,) for number in numbers}


def _starts_of_layers(listed: list[Slot], placed: Sequence[Slot]) -> bool:
    """Whether as many initial states are listed as the final states h have layers, and these have no c and one
    direction each: both lists run alike."""
    layers = [slot.layer for slot in placed if slot.role == "h" and slot.direction is None]
    has_c = any(slot.role == "c" for slot in placed)
    return len(layers) == len(listed) > 1 and not has_c and set(layers) == set(range(len(layers)))


def unnamed_pair(slots: tuple[Slot, ...], config: LayerConfig) -> tuple[Slot, ...]:
    """`state.0` and `state.1` of one LSTM layer, a tuple without field names, as places in a list and not as layers."""
    has_c = _shows_c(slots) if config.cell is None else cells.get(config.cell).has_c
    if not has_c or config.layers not in (None, 1) or any(slot.role == "c" for slot in slots):
        return slots
    return tuple(
        replace(slot, layer=None, direction=None, position=(slot.layer,))
        if slot.role in ("h", "initial_h") and slot.layer is not None and slot.name.endswith(str(slot.layer))
        else slot
        for slot in slots
    )


def of_layers(slots: tuple[Slot, ...], config: LayerConfig) -> tuple[Slot, ...]:
    """The slots with a list as the h of every layer where the values say so, whichever framework's order it had."""
    listed = sorted((s for s in slots if s.role == "h" and s.position is not None), key=lambda s: s.position or ())
    if not listed or listed[0].layer is not None or config.layers == 1:
        return slots
    few_tell = config.layers is None and config.cell is not None and cells.get(config.cell).has_c
    if _directions(listed[0], config, slots) > 1 or not are_layers([s.array for s in listed], 1, slots, few_tell):
        return slots
    numbers = {slot.name: number for number, slot in enumerate(listed)}
    return tuple(
        replace(slot, layer=numbers[slot.name], position=None) if slot.name in numbers else slot for slot in slots
    )


def _shows_c(slots: tuple[Slot, ...]) -> bool:
    """Whether of two numbered states one is the last step of the one outputs, and the other can be its c alone."""
    outputs, states = ([slot for slot in slots if slot.role == role] for role in ("outputs", "h"))
    if len(outputs) != 1 or [slot.layer for slot in states] != [0, 1] or any(slot.direction for slot in states):
        return False
    h = [slot.array for slot in states if are_own_steps(outputs[0].array, slot.array)]
    c = [slot.array for slot in states if not any(slot.array is array for array in h)]
    return len(h) == 1 and are_pairs(h, c) and not are_pairs(c, h) and of_one_sign(h[0], c[0])


def _placed(
    listed: list[Slot],
    pair: tuple[Role, Role],
    layer: int | None,
    config: LayerConfig,
    slots: tuple[Slot, ...],
    by_direction: bool | None,
    *,
    may_be_layers: bool,
) -> list[Slot]:
    arrays = [slot.array for slot in listed]
    if (top := _as_h_and_c(listed, pair, layer, config, slots)) is not None:
        return top
    directions = 1 if listed[0].array.ndim == 3 else _directions(listed[0], config, slots)
    directions = 2 if directions == 1 and _are_two_directions(arrays, config, slots) else directions
    may_be_layers = may_be_layers or directions > 1  # of one direction (c, h) ends in h as (h, h) does
    few_tell = config.layers is None and config.cell is not None and cells.get(config.cell).has_c
    paired = any(len(p) > 1 and p[-1] > 0 for p in (slot.position or () for slot in listed))  # h and c of each
    layers_alone = may_be_layers and config.layers != 1 and are_layers(arrays, directions, slots, few_tell, not paired)
    roles = pair if not layers_alone and _has_c(listed, directions, config, slots) else (listed[0].role,)
    layers = max(1, len(listed) // (directions * len(roles)))
    keys = list(product(range(layers), DIRECTIONS[:directions], roles))
    if by_direction is not False and layers > 1 and directions > 1:
        states = arrays[roles.index(listed[0].role) :: len(roles)]
        by_direction = is_by_direction(states, slots, usual=bool(by_direction))
    if by_direction:
        keys.sort(key=lambda key: DIRECTIONS.index(key[1]))  # stable: within a direction as before
    return [
        replace(
            slot,
            role=role,
            position=None,
            layer=layer if layer is not None or layers == 1 else level,
            direction=direction if directions > 1 else None,
        )
        for slot, (level, direction, role) in zip(listed, keys, strict=False)
    ]


def _as_h_and_c(
    listed: list[Slot], pair: tuple[Role, Role], layer: int | None, config: LayerConfig, slots: tuple[Slot, ...]
) -> list[Slot] | None:
    """Two arrays as h and c, where layers or directions are stated and the values, or as many planes as are stated, let
    them be nothing else: not the h of two layers; else None."""
    has_c = config.cell is None or cells.get(config.cell).has_c
    of_one = config.layers == 1 or (config.layers is None and config.directions is None)
    if len(listed) != 2 or of_one or not has_c or _has_own_c(listed[0], slots):
        return None
    first, second = (slot.array for slot in listed)
    are_whole = first.ndim == 3 and len(first) == (config.layers or 0) * _directions(listed[0], config, slots)
    if not are_whole and not is_behind(first, second) and not is_behind(second, first):
        return None
    return [replace(slot, role=role, position=None, layer=layer) for slot, role in zip(listed, pair, strict=True)]


def as_values_tell(slots: tuple[Slot, ...], listed: Set[str]) -> tuple[Slot, ...]:
    """The slots with h and c of lists exchanged where the values say that the list held them the other way round: those
    of final states, for a layer may begin in any h and c."""
    pairs = [(h, c) for h in slots for c in slots if (h.role, c.role) in _PAIRS and _alike(h, c)]
    pairs = [pair for pair in pairs if {pair[0].name, pair[1].name} <= listed]
    ended = [pair for pair in pairs if pair[0].role == "h"]
    h, c = [pair[0].array for pair in ended], [pair[1].array for pair in ended]
    if not are_pairs(c, h) or are_pairs(h, c):
        return slots
    other: dict[int, Role] = {id(a): b.role for pair in pairs for a, b in (pair, pair[::-1])}
    return tuple(replace(slot, role=other.get(id(slot), slot.role)) for slot in slots)


def note_of_order(placed: Sequence[Slot], ordered: Sequence[Slot], framework: str, cell_first: bool) -> tuple[str, ...]:
    """What to check where the values told another order of h and c than the framework's own; nothing where they did
    not."""
    h = next((new for old, new in zip(placed, ordered, strict=True) if new.role == "h" != old.role), None)
    if h is None:
        return ()
    first = "c" if cell_first else "h"
    return (
        f"{h.name} is taken as the final state h, since |h| <= |tanh(c)| holds only so; {framework} returns "
        f"{first} first: check that your code takes it for h too",
    )


def in_order_of(framework: Convention, returned: Sequence[Slot]) -> tuple[Slot, ...]:
    """The slots of a tuple of states, of which the values told that c comes first, with h and c in the order of a
    framework that returns h first; `returned`: in the order in which they stand."""
    if not note_of_turned(returned) or framework.cell_first:
        return tuple(returned)
    other: dict[int, Role] = {}
    for c, h in product(returned, returned):
        if (c.role, h.role) == ("c", "h") and _alike(h, c) and returned.index(c) < returned.index(h):
            other |= {id(c): "h", id(h): "c"}
    return tuple(replace(slot, role=other.get(id(slot), slot.role)) for slot in returned)


def note_of_turned(returned: Sequence[Slot]) -> tuple[str, ...]:
    """That a tuple of states of no known framework was taken as (c, h), as its values told; nothing where it was not.

    `returned`: its slots, in the order in which they stand.
    """
    pair = [slot for slot in returned if slot.role in ("h", "c")][:2]
    if [slot.role for slot in pair] != ["c", "h"] or not is_cell_first([slot.array for slot in pair]):
        return ()
    return (
        "the final state is taken as (c, h), c first, since |h| <= |tanh(c)| holds only so: check that your code takes "
        "it so too",
    )


def _alike(h: Slot, c: Slot) -> bool:
    return (h.layer, h.direction) == (c.layer, c.direction)


def are_layers(
    arrays: Sequence[Array],
    directions: int,
    slots: tuple[Slot, ...],
    few_tell: bool = True,
    may_be_by_direction: bool = True,
) -> bool:
    """Whether a list holds the h of every layer, and no c (a GRU's).

    The last entries, or the last one of each direction, are steps of the outputs then, of each direction's own; of one
    direction, and where one's layers come before the other's, no two neighbours can be an LSTM's h and c, for signs
    differ or |h| <= |c| holds neither way. `few_tell`: as few numbers as there are show these two, as where an LSTM was
    stated; else eight must, and fewer may look so by chance. `may_be_by_direction`: one's layers may come first, which
    they do not in a list of pairs.
    """
    if len(arrays) < 2 * directions or len(arrays) % directions or len({a.shape for a in arrays}) > 1:
        return False
    pairs = list(zip(arrays[::2], arrays[1::2], strict=False)) if directions == 1 else []
    if any((may_be_h_and_c if few_tell else may_be_a_pair)(*pair) or np.array_equal(*pair) for pair in pairs):
        return False
    outputs = [slot.array for slot in slots if slot.role == "outputs"]
    if len(outputs) == 1 and directions > 1:
        outputs = np.split(outputs[0], directions, axis=-1) if outputs[0].shape[-1] % directions == 0 else []
    if len(outputs) != directions or not any(o.any() for o in outputs):
        return False
    if all(ends_in(o, top) for o, top in zip(outputs, arrays[-directions:], strict=True)):
        return True
    if not may_be_by_direction:
        return False
    tops = arrays[len(arrays) // directions - 1 :: len(arrays) // directions]  # one direction's layers come first
    may_hold_c = any(may_be_h_and_c(*pair) for pair in zip(arrays[::2], arrays[1::2], strict=False))
    return not may_hold_c and all(ends_in(o, top) for o, top in zip(outputs, tops, strict=True))


def _directions(first: Slot, config: LayerConfig, slots: tuple[Slot, ...]) -> int:
    """As the widths of the outputs say where both directions lie side by side, as stated, as other names say."""
    width = first.array.shape[-1]
    outputs = [s.array.shape[-1] for s in slots if s.role == "outputs" and s.direction is None]
    merged = config.merge_mode not in ("concat", "none")
    if outputs and outputs[-1] == width and not merged:
        return 1  # one direction, or both in one array
    if config.directions is not None:
        return len(config.directions)
    named = {slot.direction for slot in slots if slot.direction is not None}
    return len(named) or (2 if merged or (outputs and outputs[-1] == 2 * width) else 1)


def _are_two_directions(arrays: list[Array], config: LayerConfig, slots: tuple[Slot, ...]) -> bool:
    """Whether a list `[h, h]`, or `[h, c, h, c]`, is of two directions, which were stated, beside outputs that merge
    both: h and c of one array each would be a pair, or one of these a step of the outputs."""
    if len(config.directions or ()) != 2 or config.layers not in (None, 1) or len({a.shape for a in arrays}) != 1:
        return False
    if len(arrays) == 2 and (config.cell == "lstm" or may_be_h_and_c(*arrays)):
        return False
    if len(arrays) not in (2, 4) or arrays[0].ndim != 2:
        return False
    outputs = [slot.array for slot in slots if slot.role == "outputs"]
    return len(outputs) == 1 and not any(are_own_steps(outputs[0], array) for array in arrays)


def _has_c(listed: Sequence[Slot], directions: int, config: LayerConfig, slots: tuple[Slot, ...]) -> bool:
    if len(listed) % (2 * directions) or _has_own_c(listed[0], slots):
        return False
    if config.cell is not None:
        return cells.get(config.cell).has_c
    if any(slot.role == "c" for slot in slots) or len(listed) == 2 * directions * (config.layers or 1):
        return True
    arrays = [slot.array for slot in listed]
    firsts, seconds = arrays[::2], arrays[1::2]
    doubled = len(arrays) > 2 and are_equal(firsts, seconds) and not are_equal(firsts[:-1], firsts[1:])
    return config.layers is None and (are_pairs(firsts, seconds) or are_pairs(seconds, firsts) or doubled)


def _has_own_c(first: Slot, slots: tuple[Slot, ...]) -> bool:
    """Whether the c of a list of states have names of their own, so that it holds none: `cells.0` beside `states.0`."""
    role = dict(_PAIRS).get(first.role)
    return any(slot.role == role and first.layer in (None, slot.layer) for slot in slots)
