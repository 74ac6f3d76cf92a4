"""Lists of states by position (`initial_state.0`, `carry.1.0`): which entry is which state of which layer."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import DIRECTIONS
from rnninspect.engine import cells

_PAIRS: tuple[tuple[Role, Role], ...] = (("h", "c"), ("initial_h", "initial_c"))


def place_lists(
    slots: tuple[Slot, ...], config: LayerConfig, cell_first: bool = False, by_direction: bool = False
) -> tuple[Slot, ...]:
    """Gives every slot with a `position` its role, layer and direction; the others pass as they are.

    A list runs over layers, then directions (`by_direction`: the other way round), then h and c (`cell_first`: c and h)
    of a cell that has both (an LSTM); a nested list runs as if it were flat.
    """
    placed = [slot for slot in slots if slot.position is None]
    for h, c in _PAIRS:
        listed = [slot for slot in slots if slot.position is not None and slot.role == h]
        for layer in dict.fromkeys(slot.layer for slot in listed):
            one = sorted((s for s in listed if s.layer == layer), key=lambda s: s.position or ())
            placed += _placed(one, (c, h) if cell_first else (h, c), layer, config, slots, by_direction)
    return tuple(placed)


def unnamed_pair(slots: tuple[Slot, ...], config: LayerConfig) -> tuple[Slot, ...]:
    """`state.0` and `state.1` of one LSTM layer, a tuple without field names, as places in a list and not as layers."""
    has_c = config.cell is not None and cells.get(config.cell).has_c
    if not has_c or config.layers not in (None, 1) or any(slot.role == "c" for slot in slots):
        return slots
    return tuple(
        replace(slot, layer=None, direction=None, position=(slot.layer,))
        if slot.role in ("h", "initial_h") and slot.layer is not None and slot.name.endswith(str(slot.layer))
        else slot
        for slot in slots
    )


def _placed(
    listed: list[Slot],
    pair: tuple[Role, Role],
    layer: int | None,
    config: LayerConfig,
    slots: tuple[Slot, ...],
    by_direction: bool,
) -> list[Slot]:
    directions = 1 if listed[0].array.ndim == 3 else _directions(listed[0], config, slots)
    roles = pair if _has_c(len(listed), directions, config, slots) else (listed[0].role,)
    layers = max(1, len(listed) // (directions * len(roles)))
    keys = list(product(range(layers), DIRECTIONS[:directions], roles))
    if by_direction:
        keys.sort(key=lambda key: DIRECTIONS.index(key[1]))  # stable: within a direction as before
    return [
        replace(
            slot,
            role=role,
            position=None,
            layer=layer if layer is not None or layers == 1 else level,
            direction=direction if directions > 1 else None,
        )
        for slot, (level, direction, role) in zip(listed, keys, strict=False)
    ]


def _directions(first: Slot, config: LayerConfig, slots: tuple[Slot, ...]) -> int:
    """As stated, as other names say, or by the width of the outputs."""
    if config.directions is not None:
        return len(config.directions)
    named = {slot.direction for slot in slots if slot.direction is not None}
    if named:
        return len(named)
    width = first.array.shape[-1]
    outputs = [slot.array.shape[-1] for slot in slots if slot.role == "outputs"]
    return 2 if outputs and outputs[-1] == 2 * width else 1


def _has_c(count: int, directions: int, config: LayerConfig, slots: tuple[Slot, ...]) -> bool:
    if config.cell is not None:
        return cells.get(config.cell).has_c
    return any(slot.role == "c" for slot in slots) or count == 2 * directions * (config.layers or 1)
