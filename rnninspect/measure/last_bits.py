"""States that are outputs but for their last bits: compiled code rounds what leads to a state in another way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Slot
from rnninspect.core.trace import Array

MOST = 1 << 20  # numbers of outputs that are put in order at most
BITS = 2.0  # of the last place of the largest number: what XLA's fusing moves, and no second run of other kernels
MANY = 0.4  # share of the states' numbers that are outputs exactly in one call, measured 0.6, of few 0.45; in two, 0.2
SOME = 0.25  # share in every single state but for one number: its few may be less lucky than all together
MOSTLY = 0.75  # share that must be outputs once the others are taken for them


def without_last_bits(slots: tuple[Slot, ...]) -> tuple[tuple[Slot, ...], float] | None:
    """The slots, the states h `[…]` with every number taken for the output that it is but for its last bits, and by how
    much at most; None where none is so, or too few are."""
    outputs = [slot.array for slot in slots if slot.role == "outputs"]
    states = [slot.array for slot in slots if slot.role == "h"]
    if not states or any(a.dtype.kind != "f" or a.dtype.itemsize < 4 for a in (*outputs, *states)):
        return None
    if not 0 < sum(a.size for a in outputs) <= MOST:
        return None
    numbers = np.sort(np.concatenate([np.asarray(a, dtype=np.float64).ravel() for a in outputs]))
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size or not _are_of_one_call(states, numbers):
        return None
    taken = {id(state): _taken(state, numbers) for state in states}
    moved = max(gap for _, gap in taken.values())
    if not moved or not all(_are_outputs(array, numbers, MOSTLY) for array, _ in taken.values()):
        return None
    return tuple(replace(s, array=taken[id(s.array)][0]) if s.role == "h" else s for s in slots), moved


def _taken(state: Array, numbers: Array) -> tuple[Array, float]:
    """The state with each of its numbers as the nearest of `numbers` `[N]` that is so near, and the largest move."""
    wide = np.asarray(state, dtype=np.float64)
    finite = np.abs(wide[np.isfinite(wide)])
    limit = BITS * float(np.finfo(state.dtype).eps) * float(finite.max(initial=0.0))
    at = np.searchsorted(numbers, wide)
    below, above = numbers[np.maximum(at - 1, 0)], numbers[np.minimum(at, numbers.size - 1)]
    with np.errstate(invalid="ignore"):
        nearest = np.where(np.abs(wide - below) < np.abs(above - wide), below, above)
        gap = np.abs(nearest - wide)
        near = gap <= limit
    return np.where(near, nearest, wide).astype(state.dtype), float(gap[near].max(initial=0.0))


def _are_of_one_call(states: list[Array], numbers: Array) -> bool:
    """Whether so many of the states' numbers together are among `numbers` `[N]`, and not hardly any of one state's."""
    together = np.concatenate([np.asarray(state, dtype=np.float64).ravel() for state in states])
    return _are_outputs(together, numbers, MANY) and all(
        _are_outputs(state, numbers, SOME - 1 / state.size) for state in states if state.size
    )


def _are_outputs(state: Array, numbers: Array, share: float) -> bool:
    """Whether such a share of the state's numbers is among `numbers` `[N]`."""
    wide = np.asarray(state, dtype=np.float64).ravel()
    at = np.minimum(np.searchsorted(numbers, wide), numbers.size - 1)
    return bool(wide.size and (numbers[at] == wide).mean() >= share)
