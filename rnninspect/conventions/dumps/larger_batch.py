"""States of more rows than the outputs have: each row several times, as for beams or samples, or those of a larger
batch, of which the outputs hold the first or the last rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Role, Slot
from rnninspect.core.trace import Array, Ints

OF_ROWS: tuple[Role, ...] = ("h", "c", "initial_h", "initial_c")


def with_rows_of_outputs(slots: tuple[Slot, ...], time_major: bool) -> tuple[tuple[Slot, ...], str]:
    """The states `[…, N, H]` cut to the rows that the outputs `[B, T, W]` are of, and a note on it; as they are, and no
    note, where they have no more rows, or the numbers do not show which they are.

    That each row stands several times in turn is shown by rows that differ from one another, or else are steps of the
    outputs; the first or last rows of a larger batch, of two rows or more, where every one equals its last real step.
    """
    outputs = [slot.array for slot in slots if slot.role == "outputs"]
    states = [slot for slot in slots if slot.role == "h"]
    lengths = next((np.asarray(slot.array).reshape(-1) for slot in slots if slot.role == "lengths"), None)
    if len(outputs) != 1 or outputs[0].ndim != 3 or len(states) != 1 or states[0].array.ndim not in (2, 3):
        return slots, ""
    state = states[0].array
    count = state.shape[-2]
    if not state.size or not outputs[0].size:
        return slots, ""
    for axis in (1, 0) if time_major else (0, 1):
        views = outputs[0].swapaxes(0, axis)
        size = len(views)
        alone = size == 1 and state.shape[:-2] == (1,)  # else the layers of one row
        if not (1 < size < count or (alone and count > 1)) or (lengths is not None and lengths.size != size):
            continue
        for rows, how in _candidates(state, size):
            held = state[..., rows, :]
            differ = how == "several" and bool((held != held[..., :1, :]).any(-1)[..., 1:].any(0).all()) and size > 1
            if differ or _are_of(views, held, None if how == "several" else lengths, how):
                return tuple(_cut(slot, rows, count) for slot in slots), _note(states[0], size, how, count)
    return slots, ""


def _candidates(state: Array, size: int) -> Iterator[tuple[Ints, str]]:
    count = state.shape[-2]
    times = count // size
    planes = state.reshape(-1, count, state.shape[-1])
    if count == times * size and (planes == np.repeat(planes[:, ::times], times, 1)).all():
        yield np.arange(size) * times, "several"
    elif size > 1:
        yield np.arange(size), "first"
        yield np.arange(count - size, count), "last"


def _are_of(outputs: Array, state: Array, lengths: Array | None, how: str) -> bool:
    """Whether some plane of the state `[…, B, H]` is made of steps of its own rows of `outputs` `[B, T, W]`: of any,
    where each row stands several times, else of the last real ones."""
    units = state.shape[-1]
    if units > outputs.shape[2] or (how != "several" and lengths is None):
        return False
    for plane in state.reshape(-1, *state.shape[-2:]):
        if not plane.any(-1).all():
            continue
        steps = outputs[..., :units]
        if lengths is not None:
            steps = steps[np.arange(len(steps)), np.clip(lengths.astype(np.int64) - 1, 0, steps.shape[1] - 1)][:, None]
        if (steps == plane[:, None]).all(-1).any(1).all():
            return True
    return False


def _cut(slot: Slot, rows: Ints, count: int) -> Slot:
    array = slot.array
    if slot.role not in OF_ROWS or array.ndim < 2 or array.shape[-2] != count:
        return slot
    return replace(slot, array=array[..., rows, :])


def _note(state: Slot, size: int, how: str, count: int) -> str:
    name = f"{state.name or 'the state'} {list(state.array.shape)}"
    if how == "several":
        return f"{name} holds every row of the batch {count // size} times in turn, as for beams or samples: read once"
    return f"{name} has {count} rows, of which the outputs are of the {how} {size}: the others are not compared"
