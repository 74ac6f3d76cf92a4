"""Tuples that `np.savez` stacked to one array: (h, c) as `[2, L*D, B, H]`, (forward, backward) as `[2, B, T, H]`.

A lone array with two halves may as well hold two layers: the numbers say which, and where they do not, the form that
has these axes by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.cell_behind import FEW, FEWER, are_own_steps, is_behind
from rnninspect.core.evidence import Slot
from rnninspect.core.frozen import frozen
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import DIRECTIONS, Array
from rnninspect.engine import cells

MANY = 24  # where they might as well be two layers
Form = tuple[tuple[Slot, ...], str]


@frozen(eq=False)
class _Halves:
    """h and c out of one array, `[…, B, H]` each, whichever came first: along an axis of two, or in turn (None)."""

    h: Array
    c: Array
    axis: int | None
    cell_first: bool


def with_pair_shown(
    slots: tuple[Slot, ...], convention: Convention, config: LayerConfig, order_known: bool = False
) -> Iterator[Form]:
    """The slots with a lone state `[2, …]` or `[L, 2, B, H]` as h and c where its numbers show that it is both: h is
    made of steps of the outputs, c is not, and may be the c behind this h; or where one state stands in both places.

    `order_known`: it is held to be in the framework's order, so that the other one is a mistake to be seen.
    """
    for halves in _halves(slots, config):
        if _is_shown(halves, _outputs(slots), convention) or _is_doubled(halves, _outputs(slots), config):
            exchanged = order_known and _is_of_other_order(halves, convention)
            yield _apart(slots, _exchanged(halves) if exchanged else halves)
            return


def is_stacked_otherwise(slots: tuple[Slot, ...], convention: Convention, config: LayerConfig) -> bool:
    """Whether a lone state shows h and c in another order than the framework's."""
    shown = (halves for halves in _halves(slots, config) if _is_shown(halves, _outputs(slots), convention))
    halves = next(shown, None)
    return halves is not None and _is_of_other_order(halves, convention)


def with_pair_by_axes(slots: tuple[Slot, ...], convention: Convention, config: LayerConfig) -> Iterator[Form]:
    """The slots with a lone state of four axes as h and c, in the order that they come in: what is left where it cannot
    be layers and directions."""
    for halves in _halves(slots, config):
        if _is_usual(halves, convention):
            yield _apart(slots, halves)


def with_directions_apart(slots: tuple[Slot, ...], config: LayerConfig) -> Iterator[Form]:
    """The slots with outputs of four axes in each form that holds one direction or two: `[2, B, T, H]`, `[T, D, B, H]`
    and `[B, T, D, H]`; the one whose forward steps the states are comes first, of several the one in which most
    states are steps of their own direction, and of equals (one row or one step) the one that
    inputs, lengths and states are of."""
    outputs = [slot for slot in slots if slot.role == "outputs"]
    if len(outputs) != 1 or outputs[0].array.ndim != 4:
        return
    array, name = outputs[0].array, outputs[0].name or "outputs"
    others = tuple(slot for slot in slots if slot is not outputs[0])
    forms: list[Form] = []
    if array.shape[0] == 2:
        note = f"{name} {list(array.shape)} is read as (forward, backward), stacked"
        pair = (replace(outputs[0], array=half, direction=d) for half, d in zip(array, DIRECTIONS, strict=True))
        forms.append(((*pair, *others), note))
    if array.shape[1] in (1, 2):
        note = f"{name} {list(array.shape)} is read as [T, D, B, H]"
        by_time = [array[:, k] if config.time_major else array[:, k].swapaxes(0, 1) for k in range(array.shape[1])]
        ways = DIRECTIONS if len(by_time) == 2 else (None,)
        each = (replace(outputs[0], array=half, direction=d) for half, d in zip(by_time, ways, strict=True))
        forms.append(((*each, *others), note))
    if array.shape[2] in (1, 2):
        axes = "[T, B, D, H]" if config.time_major else "[B, T, D, H]"
        whole = replace(outputs[0], array=array.reshape(*array.shape[:2], -1))
        forms.append(((whole, *others), f"{name} {list(array.shape)} is read as {axes}"))
    yield from sorted(
        forms, key=lambda form: (not _ends_in_states(form[0]), -_share_of_ends(form[0]), _disagree(form[0], config))
    )


def _halves(slots: tuple[Slot, ...], config: LayerConfig) -> Iterator[_Halves]:
    """Every way in which a lone state can hold h and c, where the outputs are one array and the cell has a c."""
    states = [slot for slot in slots if slot.role == "h"]
    if len(states) != 1 or any(slot.role == "c" for slot in slots) or _outputs(slots) is None:
        return
    if config.cell is not None and not cells.get(config.cell).has_c:
        return
    whole = states[0].array
    if whole.dtype.kind != "f" or states[0].layer is not None or states[0].direction is not None:
        return
    for axis in (0, 1)[: max(0, whole.ndim - 2)]:
        if whole.ndim > 4 or whole.shape[axis] != 2 or (config.layers == 2 and whole.ndim == 3):
            continue
        yield from _both_orders(whole, axis)
    if whole.ndim == 3 and len(whole) > 2 and len(whole) % 2 == 0:
        yield from _both_orders(whole, None)


def _both_orders(whole: Array, axis: int | None) -> Iterator[_Halves]:
    first, second = _parts(whole, axis)
    yield _Halves(first, second, axis, cell_first=False)
    yield _Halves(second, first, axis, cell_first=True)


def _is_of_other_order(halves: _Halves, convention: Convention) -> bool:
    """Whether the framework returns the other one first. Of one that returns c first only pairs by layer are held to
    its order: it has no stacks, and who makes one takes h and c by their names."""
    if halves.cell_first == convention.cell_first:
        return False
    return halves.cell_first or halves.axis == 1


def _exchanged(halves: _Halves) -> _Halves:
    return replace(halves, h=halves.c, c=halves.h, cell_first=not halves.cell_first)


def _parts(whole: Array, axis: int | None) -> tuple[Array, Array]:
    """The two halves along an axis, or every second plane: `[h, c, h, c]` of two directions or layers, stacked."""
    if axis is None:
        return whole[0::2], whole[1::2]
    first, second = np.moveaxis(whole, axis, 0)
    return first, second


def _apart(slots: tuple[Slot, ...], halves: _Halves) -> Form:
    """The slots with the state as h and c, and an initial state of the same axes taken apart alike."""
    whole = next(slot for slot in slots if slot.role == "h")
    apart: list[Slot] = []
    for slot in slots:
        alone = not any(s.role == "initial_c" for s in slots)
        if slot is whole:
            apart += [replace(slot, array=halves.h), replace(slot, role="c", array=halves.c)]
        elif slot.role == "initial_h" and alone and slot.array.shape == whole.array.shape:
            pair = _parts(slot.array, halves.axis)
            h, c = pair[::-1] if halves.cell_first else pair
            apart += [replace(slot, array=h), replace(slot, role="initial_c", array=c)]
        else:
            apart.append(slot)
    order = "(c, h)" if halves.cell_first else "(h, c)"
    each = {0: "", 1: ", one a layer", None: " in turn"}[halves.axis]
    return tuple(apart), f"{whole.name or 'the state'} {list(whole.array.shape)} is read as {order}, stacked{each}"


def _is_usual(halves: _Halves, convention: Convention) -> bool:
    """Whether four axes come so: whole stacks as (h, c) of every framework that has them, a layer's pair in its own
    order."""
    return (
        halves.axis is not None
        and halves.h.ndim == 3
        and halves.cell_first == (convention.cell_first if halves.axis == 1 else False)
    )


def _is_shown(halves: _Halves, outputs: Array | None, convention: Convention) -> bool:
    """Whether h is made of steps of the outputs and c of none, and c is one behind this h; in a stack of four axes a
    wrong h is one too, whose c cannot be told: two layers would have to be wrong in two ways."""
    if outputs is None:
        return False
    units = halves.h.shape[-1]
    if outputs.shape[-1] not in (units, 2 * units):
        return False
    directions = outputs.shape[-1] // units
    if halves.h.ndim > 2 and len(halves.h) < directions:
        return False  # one plane each: they are the two directions of one layer
    h, c = (part if part.ndim == 2 else part[-directions] for part in (halves.h, halves.c))
    if directions == 1 and h.ndim == halves.h.ndim and _are_made_of_steps(h, c, outputs, units // 2):
        return is_behind(halves.h, halves.c, FEWER)  # both directions side by side
    forward = outputs[..., :units]
    if not _are_made_of_steps(h, c, outputs, units):
        return False
    four_axes = halves.h.ndim > 2 and not halves.cell_first  # else two layers of one direction, in reverse order
    if is_behind(halves.h, halves.c, 1 if four_axes else FEWER):
        # two layers in (bottom, top) order are as usual as (c, h): of a few numbers, or of one sign, nothing tells
        as_layers = halves.cell_first and not convention.cell_first and halves.h.ndim == 2
        return not as_layers or (is_behind(h, c, MANY) and np.unique(np.sign(h[h != 0])).size > 1)
    lost = (~h.any(-1) & c.any(-1)).any()  # a state of zeros beside a c: padding was taken for it
    return bool(_is_usual(halves, convention) and (lost or not are_own_steps(forward, h)))


def _is_doubled(halves: _Halves, outputs: Array | None, config: LayerConfig) -> bool:
    """Whether both halves are one state, made of steps of the outputs, and they cannot be two layers or directions that
    share it: by what is stated, or by their axes."""
    h = halves.h
    if outputs is None or halves.cell_first or not np.array_equal(h, halves.c) or not h.any():
        return False
    units = h.shape[-1]
    directions = outputs.shape[-1] // units if units and outputs.shape[-1] in (units, 2 * units) else 0
    if not directions or (h.ndim == 3 and len(h) < directions) or (h.ndim == 2 and directions == 2):
        return False
    top = h if h.ndim == 2 else h[-directions]
    if _share_of_steps(top, outputs[..., :units]) < 0.5:
        return False
    if config.layers == 1 or (config.cell is not None and cells.get(config.cell).has_c):
        return True
    if halves.axis is None:
        return not (h == h[:1]).all()  # else every layer's
    by_layer_and_direction = (config.layers == 2) if halves.axis == 0 else directions == 2
    return h.ndim == 3 and not by_layer_and_direction


def _are_made_of_steps(h: Array, c: Array, outputs: Array, width: int) -> bool:
    """Whether the first `width` units of most h `[B, H]` are those of steps of the outputs, and of no c."""
    h, c, steps = (array[..., :width] for array in (h, c, outputs))
    return width > 0 and _share_of_steps(c, steps) == 0 and _share_of_steps(h, steps) >= 0.5


def _share_of_steps(states: Array, steps: Array) -> float:
    """The share of rows `[B, H]` that equal a step of the outputs, of whichever row; zeros tell nothing."""
    some = states[np.flatnonzero(states.any(-1))[:FEW]]
    return float(np.mean([(steps == state).all(-1).any() for state in some])) if len(some) else 0.0


def _outputs(slots: tuple[Slot, ...]) -> Array | None:
    arrays = [slot.array for slot in slots if slot.role == "outputs"]
    return arrays[0] if len(arrays) == 1 and arrays[0].ndim == 3 else None


def _disagree(slots: tuple[Slot, ...], config: LayerConfig) -> int:
    """How many of inputs, lengths and states are of other rows, or other steps, than the outputs by the axes of the
    layer."""
    outputs = [slot.array for slot in slots if slot.role == "outputs"]
    rows = outputs[0].shape[1 if config.time_major else 0]
    by_role = {role: [s.array for s in slots if s.role == role] for role in ("inputs", "lengths", "h")}
    of_others = [array.shape[:2] != outputs[0].shape[:2] for array in by_role["inputs"] if array.ndim > 1]
    of_others += [len(array) != rows for array in by_role["lengths"] if array.ndim == 1]
    for state in by_role["h"]:
        directions = max(len(outputs), outputs[0].shape[-1] // max(1, state.shape[-1]))
        planes = (
            [n for n, of_rows in (state.shape[:2], state.shape[1::-1]) if of_rows == rows] if state.ndim == 3 else [1]
        )
        of_others.append(not any(n == directions * (config.layers or n) for n in planes))
    return sum(of_others)


def _share_of_ends(slots: tuple[Slot, ...]) -> float:
    """The share of the states `[D, B, H]`, one a direction, that are steps of their own row and direction of the
    outputs; zeros tell nothing. 0 where the states are no such stack."""
    outputs = [slot.array for slot in slots if slot.role == "outputs"]
    states = [slot.array for slot in slots if slot.role == "h"]
    if len(states) != 1 or states[0].ndim != 3:
        return 0.0
    if len(outputs) == 1 and outputs[0].shape[-1] == 2 * states[0].shape[-1]:
        outputs = np.split(outputs[0], 2, axis=-1)
    if len(states[0]) < len(outputs) or any(steps.shape[-1] != states[0].shape[-1] for steps in outputs):
        return 0.0
    pairs = zip(outputs, states[0][-len(outputs) :], strict=True)
    return sum(_share_of_own_steps(steps, plane[:FEW]) for steps, plane in pairs)


def _share_of_own_steps(outputs: Array, states: Array) -> float:
    """The share of `[N, H]` that are steps of their own row of `[B, T, H]`, or `[T, B, H]`."""
    rows = np.flatnonzero(states.any(-1))
    axes = [axis for axis in (0, 1) if rows.size and outputs.shape[axis] > rows[-1]]
    own_steps = (np.take(outputs, rows, axis=axis).swapaxes(0, axis) for axis in axes)
    return max((float((steps == states[rows, None]).all(-1).any(1).mean()) for steps in own_steps), default=0.0)


def _ends_in_states(slots: tuple[Slot, ...]) -> bool:
    """Whether some `[B, H]` of the states are steps of the first outputs' own rows."""
    outputs = next(slot.array for slot in slots if slot.role == "outputs")
    planes = [
        slot.array.reshape(-1, *slot.array.shape[-2:]) for slot in slots if slot.role == "h" and slot.array.ndim > 1
    ]
    return any(are_own_steps(outputs[..., : plane.shape[-1]], plane) for stack in planes for plane in stack)
