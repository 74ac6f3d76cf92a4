"""Two numbered states, beside two outputs or one as wide as both: two layers, or (forward, backward) of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from rnninspect.conventions.dumps.cell_behind import FEW, are_own_steps
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.regex import regex
from rnninspect.core.trace import DIRECTIONS, Array

_NUMBERED = regex(r".*[._/][01](?:[._/](?:h|c|hidden|cell|[01]))?")  # `outputs.0`, `state_1`, `state.0.c`
_STACK = regex(r"h_n|(?:final_)?states?|hidden|hn|h")
_LAYER = regex(r"(?:.*[._/])?(?:l|layer_?)[._/]?[01](?:[._/].*)?")


def are_numbered_pairs(slots: tuple[Slot, ...]) -> bool:
    """Whether outputs and states h are two arrays each, told apart by a 0 and a 1 that nobody called a layer's; or the
    states two planes of one."""
    outputs, states = ([slot for slot in slots if slot.role == role] for role in ("outputs", "h"))
    return is_numbered_pair(outputs) and (is_numbered_pair(states) or _is_stack_of_two(states))


def are_beside_their_stack(outputs: list[Slot], arrays: Mapping[str, Array]) -> bool:
    """Whether numbered outputs stand beside one stack `h_n` of as many planes `[B, H]`, and each ends in one."""
    stacks = [array for name, array in arrays.items() if _STACK.fullmatch(name) and array.ndim == 3]
    if len(stacks) != 1 or any(s.direction is not None for s in outputs) or len(stacks[0]) != len(outputs):
        return False
    return all(any(are_own_steps(one.array, plane) for plane in stacks[0]) for one in outputs)


def as_directions(slots: tuple[Slot, ...], config: LayerConfig) -> tuple[Slot, ...]:
    """The slots with 0 and 1 taken for forward and backward, as `bidirectional_dynamic_rnn` returns both, where two
    directions were stated, or a state is the first step of one of the outputs and none is the first of the other's."""
    both = len(config.directions or ()) == len(DIRECTIONS)
    if config.layers not in (None, 1) or (config.directions and not both):
        return slots
    if are_numbered_pairs(slots):
        told = both or (config.layers is None and _one_reads_backwards(slots))
    else:
        told = _are_of_halves(slots)
    if not told:
        return slots
    return tuple(
        replace(slot, layer=None, direction=DIRECTIONS[slot.layer]) if slot.layer in (0, 1) else slot for slot in slots
    )


def is_numbered_pair(slots: list[Slot]) -> bool:
    """Whether these are two arrays told apart by a 0 and a 1 that nobody called a layer's."""
    numbered = all(_NUMBERED.fullmatch(slot.name) and not _LAYER.fullmatch(slot.name) for slot in slots)
    return numbered and [slot.layer for slot in slots if slot.direction is None] == [0, 1]


def _is_stack_of_two(states: list[Slot]) -> bool:
    return len(states) == 1 and states[0].array.ndim == 3 and len(states[0].array) == len(DIRECTIONS)


def _are_of_halves(slots: tuple[Slot, ...]) -> bool:
    """Whether of two numbered states each is half as wide as the one outputs, and they are no states of two layers:
    the second the upper one's, of one direction, and the first of neither."""
    outputs, states = ([s for s in slots if s.role == role] for role in ("outputs", "h"))
    if len(outputs) != 1 or outputs[0].array.ndim != 3 or outputs[0].layer is not None or not is_numbered_pair(states):
        return False
    widths = {2 * slot.array.shape[-1] for slot in states if slot.array.ndim == 2}
    if widths != {outputs[0].array.shape[-1]}:
        return False
    halves = np.split(outputs[0].array, 2, axis=-1)
    lower, upper = ([are_own_steps(half, slot.array) for half in halves] for slot in states)
    return any(lower) or not any(upper)


def _one_reads_backwards(slots: tuple[Slot, ...]) -> bool:
    """Whether of two outputs one begins in most rows with a state, and the other does not."""
    outputs, states = (_arrays(slots, role) for role in ("outputs", "h"))
    states = list(states[0]) if len(states) == 1 and states[0].ndim == 3 else states
    begins = [any(_begins_with(array, state) for state in states) for array in outputs]
    return sum(begins) == 1


def _arrays(slots: tuple[Slot, ...], role: Role) -> list[Array]:
    return [slot.array for slot in slots if slot.role == role]


def _begins_with(outputs: Array, states: Array) -> bool:
    """Whether most rows of `[B, H]` are step 0 of outputs `[B, T, H]` or `[T, B, H]`, and these have further steps."""
    if outputs.ndim != 3 or states.ndim != 2 or outputs.shape[-1] != states.shape[-1]:
        return False
    for axis in (0, 1):
        if outputs.shape[axis] != len(states) or outputs.shape[1 - axis] < 2:
            continue
        few = np.moveaxis(outputs, axis, 0)[:FEW]
        rows = states[:FEW].any(-1) & few[:, 1:].any((1, 2))  # a row of one real step begins where it ends
        equal = (few[:, 0] == states[:FEW]).all(-1)
        if rows.sum() > 1 and equal[rows].mean() > 0.5:
            return True
    return False
