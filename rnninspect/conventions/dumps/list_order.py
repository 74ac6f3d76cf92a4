"""The order of a list of every layer's two directions: layer by layer, or one direction's layers before the other's."""

from __future__ import annotations

from collections.abc import Sequence

from rnninspect.conventions.dumps.cell_behind import ends_in
from rnninspect.core.evidence import Slot
from rnninspect.core.trace import DIRECTIONS, Array


def is_by_direction(states: Sequence[Array], slots: Sequence[Slot], usual: bool) -> bool:
    """Whether a list of the h `[B, H]` of two directions runs over the forward layers, then over the backward ones, and
    not over the layers, both directions of each: fw 0, fw 1, bw 0, bw 1, as Keras's stacked cells do.

    It does where the top states so placed end the halves of the outputs, and those of the other order do not; else
    where the widths of the layers allow no other. `usual`: what it does where neither tells.
    """
    if len(states) < 4 or len(states) % 2:
        return usual
    half = len(states) // 2
    ends = [_end_in(halves_of(slots, states[-1]), (states[k], states[-1])) for k in (half - 1, -2)]
    if ends[0] != ends[1]:
        return ends[0]
    widths = [state.shape[-1] for state in states]
    fits = [widths[:half] == widths[half:], widths[::2] == widths[1::2]]
    return fits[0] if fits[0] != fits[1] else usual


def halves_of(slots: Sequence[Slot], last: Array) -> list[Array]:
    """The forward and the backward outputs `[B, T, H]` beside a state `[B, H]` of the backward top layer: one array
    each, or side by side in one; else nothing."""
    outputs = [slot for slot in slots if slot.role == "outputs"]
    by_direction = {slot.direction: slot.array for slot in outputs}
    if len(outputs) == 2 and set(by_direction) == set(DIRECTIONS):
        return [by_direction[direction] for direction in DIRECTIONS]
    if len(outputs) != 1 or outputs[0].direction is not None or outputs[0].array.ndim != 3:
        return []
    units = outputs[0].array.shape[-1] - last.shape[-1]
    return [outputs[0].array[..., :units], outputs[0].array[..., units:]] if units > 0 else []


def _end_in(halves: Sequence[Array], tops: Sequence[Array]) -> bool:
    """Whether each of the halves holds its top state `[B, H]` among the steps of most rows."""
    return bool(halves) and all(ends_in(half, top) for half, top in zip(halves, tops, strict=True))
