"""Roles by shape alone, for a dump whose names do not tell outputs and state, or tell the wrong ones.

`hidden` may be all steps and `output` the last one, `hs` the state beside `memory`: names only suggest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.names import OTHER_THINGS, is_usual
from rnninspect.conventions.dumps.rightful import as_named
from rnninspect.conventions.dumps.roles import MOST_GUESSES, Guess, guess_roles
from rnninspect.conventions.dumps.shapes import fits_as_state
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array

_PLACE = regex(r"\d+(?:\.\d+)*")
_NEITHER: tuple[Role, ...] = ("lengths", "mask", "initial_h", "initial_c")


@dataclass(frozen=True)
class Renamed:
    """Arrays in other roles than those that names or numbers gave them, and a note that says so."""

    slots: Mapping[Role, Slot]
    note: str


def is_told(guess: Guess) -> bool:
    """Whether names told outputs and state, and their shapes allow it; several arrays of a role are always told."""
    if guess.by_shape:
        return False
    outputs, states = ([s.array for s in guess.slots if s.role == role] for role in ("outputs", "h"))
    if len(outputs) != 1 or len(states) != 1:
        return bool(outputs and states)
    return (outputs[0].ndim != 3 and states[0].ndim != 3) or fits_as_state(states[0], outputs[0])


def guesses_by_shape(
    convention: Convention,
    arrays: Mapping[str, Array],
    config: LayerConfig,
    named: Mapping[Role, Slot],
    whose_known: bool,
) -> Iterator[Guess]:
    """Every pair of arrays of which one can be the other's final state, whatever their names say of these two roles.

    What is `named` stays; so does what a name tells of another role. The other roles are then told by names as usual.
    Where nothing else can be the outputs, or of one step alone (c as a state of h), what a name calls inputs may be
    (`x, h = gru(x)`).
    None where there are very many: one of the first few would be taken for the only one.
    """
    outputs, states = (_may_be(role, arrays, named) for role in ("outputs", "h"))
    pairs = _pairs(outputs, states)
    if "outputs" not in named and not any(pair[0].array.size > pair[1].array.size for pair in pairs):
        called_inputs = [slot for slot in _of_other_names("outputs", arrays, named) if _says_inputs(slot.name)]
        pairs += _pairs(
            called_inputs, [slot for slot in states if not is_usual("c", slot.name) or as_named((slot,), arrays)]
        )
    for pair in pairs if len(pairs) <= MOST_GUESSES else ():
        told = {**named, "outputs": pair[0], "h": pair[1]}
        notes = tuple(
            f"{slot.name} {list(slot.array.shape)} is taken as the {word}, by its shape and numbers"
            for slot, word in zip(pair, ("outputs", "final state"), strict=True)
            if slot.role not in named
        )
        for guess in guess_roles(convention, arrays, config, told, whose_known=whose_known):
            yield replace(guess, notes=(*notes, *guess.notes))


def guesses_renamed(
    convention: Convention,
    arrays: Mapping[str, Array],
    config: LayerConfig,
    named: Mapping[Role, Slot],
    renamed: Renamed | None,
    whose_known: bool,
) -> Iterator[Guess]:
    """The arrays in those roles, the others as names tell them; nothing of None."""
    if renamed is None:
        return
    for guess in guess_roles(convention, arrays, config, {**named, **renamed.slots}, whose_known=whose_known):
        yield replace(guess, notes=(renamed.note, *guess.notes))


def are_of_places(slots: tuple[Slot, ...]) -> bool:
    """Whether outputs and states have no names but their places in what was saved (`0`, `1.0`): of a call that returns
    its states first, these are others than of one that returns its outputs first."""
    return all(_PLACE.fullmatch(slot.name) for slot in slots if slot.role in ("outputs", "h"))


def exchanged(slots: tuple[Slot, ...], named: Mapping[Role, Slot]) -> Renamed | None:
    """Outputs and final state exchanged, as `h_n, output = gru(x)` names them: where what names made the outputs is the
    smaller of the two, has the axes of a state of the other, and nobody stated either. None elsewhere."""
    outputs, states = ([s for s in slots if s.role == role] for role in ("outputs", "h"))
    if len(outputs) != 1 or len(states) != 1 or {"outputs", "h"} & set(named):
        return None
    steps, state = replace(states[0], role="outputs"), replace(outputs[0], role="h")
    if steps.array.size <= state.array.size or not fits_as_state(state.array, steps.array):
        return None
    note = (
        f"the names are exchanged: {steps.name} {list(steps.array.shape)} is taken as the outputs and {state.name} "
        f"{list(state.array.shape)} as the final state, as shapes and numbers show"
    )
    return Renamed({"outputs": steps, "h": state}, note)


def exchanged_cell(slots: tuple[Slot, ...], named: Mapping[Role, Slot], arrays: Mapping[str, Array]) -> Renamed | None:
    """h and c as their names say, where numbers alone made the c of them h; None where they did not."""
    pair = None if {"h", "c"} & set(named) else as_named(slots, arrays)
    outputs = [slot for slot in slots if slot.role == "outputs"]
    if pair is None or len(outputs) != 1:
        return None
    h, c = pair
    note = (
        f"{h.name} {list(h.array.shape)} is taken as the final state and {c.name} as the cell state, as their names "
        "say: by its numbers each is the other"
    )
    return Renamed({"outputs": outputs[0], "h": h, "c": c}, note)


def _pairs(outputs: list[Slot], states: list[Slot]) -> list[tuple[Slot, Slot]]:
    return [(o, h) for o, h in product(outputs, states) if o.array is not h.array and fits_as_state(h.array, o.array)]


def _may_be(role: Role, arrays: Mapping[str, Array], named: Mapping[Role, Slot]) -> list[Slot]:
    """The array that was named for the role, else every one whose name speaks of nothing but outputs or states."""
    if role in named:
        return [named[role]]
    return [slot for slot in _of_other_names(role, arrays, named) if not _says_inputs(slot.name)]


def _of_other_names(role: Role, arrays: Mapping[str, Array], named: Mapping[Role, Slot]) -> list[Slot]:
    """Every array that was named for nothing and whose name speaks of neither lengths, mask nor another thing."""
    taken = [slot.array for slot in named.values()]
    return [
        Slot(role, name, array)
        for name, array in arrays.items()
        if not any(array is one for one in taken)
        and not any(is_usual(other, name) for other in _NEITHER)
        and not re.fullmatch(OTHER_THINGS, name)
    ]


def _says_inputs(name: str) -> bool:
    return is_usual("inputs", name)
