"""Arrays that no role was found for: what they look like, and how to name them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from rnninspect.conventions.dumps.inverted import PADDING_NAME
from rnninspect.conventions.dumps.names import OTHER_THINGS, PLAIN_NAMES, USUAL_NAMES, is_usual
from rnninspect.conventions.dumps.shapes import are_lengths, fits_as_state, is_mask, is_taken, match_name, suits
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.trace import Array
from rnninspect.core.wording import argument

WORDS: dict[Role, str] = {
    "outputs": "outputs",
    "h": "final state",
    "c": "cell state",
    "initial_h": "initial state",
    "initial_c": "initial cell state",
    "inputs": "inputs",
    "lengths": "lengths",
    "mask": "mask",
}
OPTIONS: dict[Role, str] = {
    "outputs": "outputs",
    "h": "state",
    "c": "cell_state",
    "inputs": "inputs",
    "lengths": "lengths",
    "mask": "mask",
}


# What frameworks call an attribute of a layer, and the option that states it.
FLAGS = {"batch_first", "bidirectional", "time_major", "go_backwards", "keep_order", "state_batch_first"}
STATED = {"num_layers": "layers", "n_layers": "layers", "layers": "layers", **{name: name for name in FLAGS}}


def unread(arrays: Mapping[str, Array], slots: tuple[Slot, ...], rows: int, steps: int, units: int) -> Iterator[str]:
    """A sentence for every array that has no role: what it looks like, and the option that would name it so."""
    name_of_role = {slot.role: slot.name for slot in slots}
    for name, array in arrays.items():
        if is_taken(name, array, slots):
            continue
        role = _looks_like(name, array, rows, steps, units)
        shown = f"{name or 'the unnamed array'} {list(array.shape)} was not read"
        namesake = namesake_of(name, slots)
        if namesake is not None and namesake.array.shape == array.shape:
            instead = f"{argument(OPTIONS[namesake.role], name)} chooses it instead"
            yield f"{shown}; {namesake.name}, which has its name and shape, is the {WORDS[namesake.role]} ({instead})"
        elif is_usual("mask", name) and not suits("mask", array):
            yield f"{shown}: a mask of steps is [B, T], and this one is none (a dropout's?)"
        elif role == "mask" and re.fullmatch(PADDING_NAME, name):
            yield f"{shown}: no number tells what is true in it; give a mask that is true at real steps, or the lengths"
        elif role is None and (option := _option(name, array)):
            yield f"{shown}; to state it: {option}"
        elif role is None:
            yield f"{shown}; neither its name nor its shape says what it is"
        elif name_of_role.get(role):
            instead = f"{argument(OPTIONS[role], name)} chooses it instead"
            yield f"{shown}; {name_of_role[role]} is the {WORDS[role]} ({instead})"
        else:
            yield f"{shown}; it looks like {WORDS[role]}: {argument(OPTIONS[role], name)}"


def _option(name: str, array: Array) -> str:
    """How to state what a number of this name says of a layer; empty where it is none such."""
    option = STATED.get(name.rpartition("/")[2].rpartition(".")[2])
    if option is None or array.ndim or not np.isfinite(array):
        return ""
    number = array.item()
    if number != int(number):
        return ""
    return argument(option, bool(number) if option in FLAGS else int(number))


def namesake_of(name: str, slots: tuple[Slot, ...]) -> Slot | None:
    """The slot whose name this one is with a number behind it (`h_2` of `h`), as texts that print one twice give it."""
    numbered = re.fullmatch(r"(.+)_\d+", name)
    return next((s for s in slots if numbered and s.name == numbered[1] and s.role in OPTIONS), None)


def printed_again(printed: Iterable[str], arrays: Mapping[str, Array], slots: tuple[Slot, ...]) -> str:
    """That a text prints an array with a role again, under one name and shape and with other numbers, or outputs and a
    state of another batch; empty where it does not. Which of them is the call's, no name tells."""
    printed = list(printed)
    for name in printed:
        first = None if name not in arrays or is_taken(name, arrays[name], slots) else namesake_of(name, slots)
        if first is not None and first.array.shape == arrays[name].shape:
            return f"{first.name} is printed more than once, with other numbers: the first is used, {name} was not read"
    for outputs, state in _further_batches(printed, arrays, slots):
        return f"{outputs} and {state} are printed besides, of another batch: the first is used, these were not read"
    return ""


def _further_batches(
    printed: Iterable[str], arrays: Mapping[str, Array], slots: tuple[Slot, ...]
) -> Iterator[tuple[str, str]]:
    """Names of outputs and a state that fit one another, and are the namesakes of those that have the roles."""
    left = [name for name in printed if name in arrays and not is_taken(name, arrays[name], slots)]
    by_role: dict[Role, dict[str, str]] = {"outputs": {}, "h": {}}
    for name in left:
        first = namesake_of(name, slots)
        if first is not None and first.role in by_role:
            by_role[first.role][name.rpartition("_")[2]] = name
    for number, outputs in by_role["outputs"].items():
        state = by_role["h"].get(number)
        if state is not None and fits_as_state(arrays[state], arrays[outputs]):
            yield outputs, state


def _looks_like(name: str, array: Array, rows: int, steps: int, units: int) -> Role | None:
    for names in (PLAIN_NAMES, USUAL_NAMES):
        for role in OPTIONS:
            if any(match_name(p, name) for p in names[role]) and suits(role, array):
                return role
    if array.shape == (rows,) and are_lengths(array, steps):
        return "lengths"
    if array.shape == (rows, steps) and is_mask(array):
        return "mask"
    if array.dtype.kind != "f" or array.ndim not in (2, 3) or re.fullmatch(OTHER_THINGS, name):
        return None
    if array.ndim == 3 and array.shape[:2] in ((rows, steps), (steps, rows)):
        return "inputs"
    return "h" if rows in array.shape[:2] and array.shape[-1] in (units, 2 * units) else None
