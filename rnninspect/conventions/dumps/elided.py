"""Arrays of which a print-out shows the first and last entries alone (`...`): what is there is made to fit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.core.wording import argument
from rnninspect.errors import ShapeError

STATES: tuple[Role, ...] = ("h", "c", "initial_h", "initial_c")
HOW = "print all of it: torch.set_printoptions(profile='full'), np.set_printoptions(threshold=sys.maxsize)"
Gaps = Mapping[int, int]  # by axis, how many entries stand before the `...`


def show_alike(slots: tuple[Slot, ...], elided: Mapping[str, Gaps], config: LayerConfig) -> tuple[Slot, ...]:
    """Cut states to the rows and units that elided outputs show; inputs go, which no step can be told of.

    Args: `slots` in their roles; `elided` by the names of arrays; `config`, which may state layers and directions.
    Returns: the slots, outputs and states of the same rows and units.
    Raises: ShapeError where lengths cannot be counted along an elided time axis, or where units of two directions or
    layers cannot be told apart.
    """
    outputs = next((s for s in slots if s.role == "outputs" and s.name in elided and s.array.ndim == 3), None)
    if outputs is None:
        return slots
    gaps = elided[outputs.name]
    rows, steps = (1, 0) if config.time_major else (0, 1)
    if steps in gaps:
        counted = next((s for s in slots if s.role in ("lengths", "mask")), None)
        if counted is not None:
            raise ShapeError(
                f"{outputs.name} is elided (`...`) along its steps, so that {counted.role} cannot be counted on them; "
                f"{HOW}"
            )
    kept = [slot for slot in slots if slot.role not in ("inputs", "mask")]
    return tuple(
        _state_as_shown(slot, outputs, elided, rows, config)
        if slot.role in STATES
        else replace(slot, array=_cut(slot.array, 0, outputs.array.shape[rows], gaps.get(rows)))
        if slot.role == "lengths"
        else slot
        for slot in kept
    )


def _state_as_shown(slot: Slot, outputs: Slot, elided: Mapping[str, Gaps], rows: int, config: LayerConfig) -> Slot:
    gaps, state_gaps, state = elided[outputs.name], elided.get(slot.name, {}), slot.array
    if state.ndim not in (2, 3):
        return slot
    if 2 in gaps and state.ndim == 3 and state.shape[0] % 2 == 0 and config.layers is None and config.direction is None:
        raise ShapeError(
            f"{outputs.name} is elided (`...`) along its units, and {slot.name} {list(state.shape)} may hold 2 layers "
            f"or 2 directions: state {argument('layers')} or {argument('direction')}, or {HOW}"
        )
    if state.ndim - 2 not in state_gaps:
        state = _cut(state, state.ndim - 2, outputs.array.shape[rows], gaps.get(rows))
    if state.ndim - 1 not in state_gaps:
        state = _cut(state, state.ndim - 1, outputs.array.shape[2], gaps.get(2))
    return replace(slot, array=state)


def _cut(array: Array, axis: int, shown: int, first: int | None) -> Array:
    """The first and last entries of an axis, as many as are shown; all where nothing is elided.

    >>> _cut(np.arange(9), 0, 6, 3)
    array([0, 1, 2, 6, 7, 8])
    """
    if first is None or array.shape[axis] <= shown:
        return array
    size = array.shape[axis]
    return np.take(array, [*range(first), *range(size - (shown - first), size)], axis)
