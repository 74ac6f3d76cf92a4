"""Writes what a fix made back into the arrays of the dump, in their own layout and under their own names.

The tracks of a case are views of the dump's arrays, so that most is written in place; what grows is put in anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from rnninspect.api.fix_names import Mended
from rnninspect.conventions.base import DIRECTION_WORDS
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.finding import Finding
from rnninspect.core.trace import Array, Direction
from rnninspect.diagnosis.case import Case
from rnninspect.errors import UserError

Arrays = dict[str, Array]
# Words for a direction in names, forward and backward.
WORDS = (("fw", "bw"), ("forward", "backward"), ("fwd", "bwd"), ("l", "r"), ("f", "b"))


def written(item: Mended, finding: Finding, case: Case, arrays: Arrays) -> Iterator[str]:
    """Write one mended array into the dump's, and give the names of those changed."""
    if item.track is None:
        yield from _written_for_all(item, finding, case, arrays)
        return
    target = getattr(item.track, item.field)
    if target is None:
        yield _joined(item, case, arrays)
    elif target.shape[1] != item.array.shape[1] and item.field == "outputs":
        yield from _lengthened("outputs", item.array.shape[1], case, arrays)
    else:
        name = _owner(target, arrays, finding)
        target[...] = item.array
        yield name


def exchanged(finding: Finding, case: Case, arrays: Arrays) -> Iterator[str]:
    """Put the dump's h under the name of its c and its c under that of its h, whose shapes differ; give the names."""
    states, cells = ([slot for slot in case.dump.slots if slot.role == role] for role in ("h", "c"))
    for h, c in zip(states, cells, strict=True):
        one, other = _owner(h.array, arrays, finding), _owner(c.array, arrays, finding)
        arrays[one], arrays[other] = arrays[other], arrays[one]
        yield from (one, other)


def remade_states(remade: Case, finding: Finding, case: Case, arrays: Arrays) -> str:
    """Put states of other shapes in the place of the one array that holds the dump's, and give its name.

    Raises UserError where several arrays hold them, or states are missing.
    """
    slots = [slot for slot in case.dump.slots if slot.role in ("h", "c")]
    states = [track.final for track in remade.trace.tracks]
    if len(slots) != 1 or remade.trace.layers > 1 or any(state is None for state in states):
        raise UserError(f"{finding.rule}: other states are missing too; run again: {finding.fix.partition(chr(10))[0]}")
    name = _owner(slots[0].array, arrays, finding)
    whole = np.concatenate([state for state in states if state is not None], -1).astype(arrays[name].dtype)
    arrays[name] = whole.reshape(*[1] * (arrays[name].ndim - 2), *whole.shape)
    return name


def turned_outputs(finding: Finding, case: Case, arrays: Arrays) -> Iterator[str]:
    """Transpose the dump's outputs along rows and steps; give their names."""
    for slot in (slot for slot in case.dump.slots if slot.role == "outputs"):
        name = _owner(slot.array, arrays, finding)
        arrays[name] = np.ascontiguousarray(arrays[name].swapaxes(0, 1))
        yield name


def _written_for_all(item: Mended, finding: Finding, case: Case, arrays: Arrays) -> Iterator[str]:
    if item.field == "inputs" and case.batch is not None:
        yield _owner(case.batch.inputs, arrays, finding)
        case.batch.inputs[...] = item.array
    elif item.field == "lengths":
        slot = _slot("lengths", case)
        if slot is None or (slot.array.dtype.kind not in "iu" and (slot.array > 1).sum() == 0):
            raise UserError(f"{finding.rule}: the lengths are not whole numbers; state them as counts of steps")
        array = arrays[_owner(slot.array, arrays, finding)]
        array[...] = item.array.reshape(array.shape)
        yield _owner(slot.array, arrays, finding)
    elif item.field == "mask":
        yield from _lengthened("mask", item.array.shape[1], case, arrays)


def _owner(array: Array, arrays: Arrays, finding: Finding) -> str:
    """The name of the array of the dump that this is a part of."""
    name = next((name for name, whole in arrays.items() if np.may_share_memory(whole, array)), None)
    if name is None:
        raise UserError(
            f"{finding.rule}: the arrays were read in another form (a packed sequence, rounded print-outs) and cannot "
            f"be written back; fix them in the program: {finding.fix.partition(chr(10))[0]}"
        )
    return name


def _slot(role: Role, case: Case) -> Slot | None:
    return next((slot for slot in case.dump.slots if slot.role == role), None)


def _named(slot: Slot, arrays: Arrays) -> str | None:
    return next((name for name, whole in arrays.items() if np.may_share_memory(whole, slot.array)), None)


def _lengthened(role: Role, steps: int, case: Case, arrays: Arrays) -> Iterator[str]:
    """Pad the arrays of a role with zeros behind, along the axis of time."""
    axes = re.findall(r"\(.*?\)|\S+", case.reading.outputs_axes)
    for slot in (s for s in case.dump.slots if s.role == role):
        name, missing = _named(slot, arrays), steps - case.trace.steps
        if name is None:  # lengthened already, for the other direction
            continue
        whole = arrays[name]
        axis = axes.index("T") if role == "outputs" else int(whole.shape[0] == case.trace.batch_size)
        axis = 0 if whole.ndim == 2 and role == "outputs" else axis
        if whole.shape[axis] == case.trace.steps:
            arrays[name] = np.pad(whole, [(0, missing if k == axis else 0) for k in range(whole.ndim)])
            yield name


def _of_direction(name: str, old: Direction, new: Direction) -> str | None:
    """The name with its word for a direction exchanged: `final_state.bw` -> `final_state.fw`."""
    to = {forward: backward for forward, backward in WORDS}
    to = to if new == "backward" else {backward: forward for forward, backward in to.items()}
    parts = re.split(r"([._/])", name)
    hits = [i for i, part in enumerate(parts) if part in to and DIRECTION_WORDS[part] == old]
    if len(hits) != 1:
        return None
    parts[hits[0]] = to[parts[hits[0]]]
    return "".join(parts)


def _joined(item: Mended, case: Case, arrays: Arrays) -> str:
    """Put the half of a state that was missing beside the other one, in the array that holds that."""
    half, track = item.array, item.track
    assert track is not None
    others = [s for s in case.dump.slots if s.role == "h" and s.layer in (None, track.layer)]
    others = [s for s in others if s.direction not in ((track.direction,))]
    name = _named(others[0], arrays) if len(others) == 1 else None
    if name is None or any(t.cell is not None for t in case.trace.tracks):
        raise UserError("direction-missing: other states are missing too: run again, and save those of both directions")
    whole = arrays[name]
    if others[0].direction is not None:
        other = _of_direction(name, others[0].direction, track.direction)
        if other is None or other in arrays:
            raise UserError(f"direction-missing: no name for the other half of {name}: run again, and save both")
        arrays[other] = half.reshape(whole.shape).astype(whole.dtype)
        return other
    pair = [half, whole.reshape(half.shape)][:: 1 if track.direction == "forward" else -1]
    if whole.ndim == 2:
        arrays[name] = np.concatenate(pair, -1).astype(whole.dtype)
    elif whole.ndim == 3 and 1 in whole.shape[:2]:
        arrays[name] = np.stack(pair, whole.shape.index(1)).astype(whole.dtype)
    else:
        arrays[name] = np.concatenate(pair, -1).reshape(-1).astype(whole.dtype)
    return name
