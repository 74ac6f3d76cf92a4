"""Roles that a name claims for an array and that another array fills better: a state called as outputs are, outputs
called as inputs are, h and c under each other's names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from rnninspect.conventions.dumps.cell_behind import FEWER, are_own_steps, is_behind
from rnninspect.conventions.dumps.names import is_usual
from rnninspect.conventions.dumps.shapes import fits_as_state
from rnninspect.core.evidence import Slot
from rnninspect.core.trace import Array

_C = {"c", "ct", "cn", "cx", "cell", "cells"}  # words of a name that speak of c
_H = {"h", "ht", "hn", "hx", "hidden"}
_NOT_C = {*_H, "out", "output", "outputs"}  # a cell's output is h


def without_states(free: Mapping[str, Array], arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays of no role yet, without what usual names call outputs and is a state of larger ones: `memory` may be an
    encoder's outputs, and the c of a state beside it.

    An array is a state where another has its very shape, as h and c have, and both fit as the final state of a third.
    """
    return {
        name: array
        for name, array in free.items()
        if not (is_usual("outputs", name) and _has_twin(name, arrays) and _has_steps(name, arrays))
    }


def _has_twin(name: str, arrays: Mapping[str, Array]) -> bool:
    array = arrays[name]
    return any(
        n != name and a.shape == array.shape and a.dtype.kind == "f" and not _starts(n) for n, a in arrays.items()
    )


def _has_steps(name: str, arrays: Mapping[str, Array]) -> bool:
    array = arrays[name]
    larger = [a for n, a in arrays.items() if a.size > array.size and not is_usual("inputs", n)]
    return any(fits_as_state(array, steps) for steps in larger)


def _starts(name: str) -> bool:
    return is_usual("initial_h", name) or is_usual("initial_c", name) or is_usual("inputs", name)


def may_be_outputs(name: str, array: Array, slots: Iterable[Slot]) -> bool:
    """Whether `[B, T, D*H]` that a name calls inputs may be the outputs: others are inputs, and a state fits it."""
    slots = list(slots)
    inputs = [slot for slot in slots if slot.role == "inputs"]
    states = [slot.array for slot in slots if slot.role == "h"]
    if not is_usual("inputs", name) or not inputs or any(slot.name == name for slot in inputs):
        return False
    return any(fits_as_state(state, array) for state in states)


def h_under_another_name(h: Array, arrays: Mapping[str, Array], outputs: Array) -> list[str]:
    """The arrays that are steps of the outputs `[B, T, D*H]`, and of which what is called h can only be the c."""
    return [n for n, a in arrays.items() if is_behind(a, h, FEWER) and _are_steps(a, outputs)]


def _are_steps(state: Array, outputs: Array) -> bool:
    """Whether a state `[B, D*H]` or `[L*D, B, H]` holds steps of the outputs, in one direction at least."""
    planes = list(state) if state.ndim == 3 else [state]
    if planes[0].shape[-1] == outputs.shape[-1] and any(are_own_steps(outputs, plane) for plane in planes):
        return True
    half = outputs.shape[-1] // 2
    if outputs.shape[-1] % 2 or planes[0].shape[-1] not in (half, 2 * half):
        return False
    return any(
        are_own_steps(outputs[..., columns], plane[..., columns] if plane.shape[-1] == 2 * half else plane)
        for columns in (slice(half), slice(half, None))
        for plane in planes
    )


def as_named(slots: tuple[Slot, ...], arrays: Mapping[str, Array]) -> tuple[Slot, Slot] | None:
    """(h, c) as their names say, where what was taken for h says c, or says nothing beside an h, and an array that says
    otherwise can be nothing but the c behind it: the two were exchanged when they were saved. None where they were not.
    """
    states = [slot for slot in slots if slot.role == "h"]
    if len(states) != 1 or _says_h(states[0].name):
        return None
    is_c = says_c(states[0].name)
    taken = [slot for slot in slots if slot.role not in ("h", "c")]
    behind = [
        name
        for name, array in arrays.items()
        if not any(slot.name == name for slot in taken) and not _starts(name)
        if is_letter_apart(states[0].name, name) or (not says_c(name) and (is_c or _says_h(name)))
        if is_behind(states[0].array, array, FEWER)
    ]
    if len(behind) != 1:
        return None
    return Slot("h", behind[0], arrays[behind[0]]), replace(states[0], role="c")


def is_letter_apart(c: str, h: str) -> bool:
    """Whether two names are those of c and h by one letter alone.

    >>> is_letter_apart("cy", "hy"), is_letter_apart("run/last_C", "run/last_H"), is_letter_apart("ch", "hc")
    (True, True, False)
    """
    different = [pair for pair in zip(c, h, strict=False) if pair[0] != pair[1]]
    return len(c) == len(h) and len(different) == 1 and different[0] in (("c", "h"), ("C", "H"))


def says_c(name: str) -> bool:
    """Whether a name speaks of a cell state.

    >>> [says_c(name) for name in ("cT", "final_c", "cell_vec", "cell_output", "context", "h")]
    [True, True, True, False, False, False]
    """
    return is_usual("c", _short(name)) or bool(_words(name) & _C and not _words(name) & _NOT_C)


def _says_h(name: str) -> bool:
    """Whether a name speaks of h, and not of a state alone."""
    return bool(_words(name) & _H) and not says_c(name)


def _words(name: str) -> set[str]:
    return {word.lower() for word in re.split(r"[._\d]+", _short(name))}


def _short(name: str) -> str:
    return re.split(r"[/#]", name)[-1]
