"""Hypotheses about a layer that names and shapes leave open: which axis is time, how many layers, which directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.axes import rows_of
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.frozen import frozen
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Direction

BOTH: tuple[Direction, ...] = ("forward", "backward")


@frozen(eq=False)
class Shape:
    """One hypothesis about the layer: which axis is time, how many layers, which directions.

    `swapped`: the axes are not those stated, nor usual where none were. `alone`: the state is one direction's of every
    layer, `[L, B, H]`.
    """

    time_major: bool
    layers: int
    directions: tuple[Direction, ...]
    swapped: bool = False
    alone: bool = False


def shapes(
    convention: Convention,
    by_role: Mapping[Role, tuple[Slot, ...]],
    config: LayerConfig,
    whose_known: bool,
) -> Iterator[Shape]:
    """Every number of layers, directions and order of axes that the dump may have, the likeliest first."""
    named = tuple(d for d in BOTH if any(s.direction == d for s in (*by_role["outputs"], *by_role["h"])))
    if config.directions is None and config.merge_mode not in ("concat", "none"):
        named = BOTH
    directions = [config.directions] if config.directions else [named] if named else [("forward",), BOTH]
    usual = config.time_major if axes_stated(config) else convention.time_major or not whose_known
    unbatched = all(s.array.ndim == 2 for s in by_role["outputs"])
    for time_major, chosen in product((config.time_major, not config.time_major)[: 2 - unbatched], directions):
        shape = Shape(time_major, 1, chosen, time_major not in (config.time_major, usual))
        for layers in _layer_counts(convention, by_role, config, len(chosen), time_major):
            yield replace(shape, layers=layers)
        for layers in _layers_of_one_direction(by_role, config, len(chosen)):
            yield replace(shape, layers=layers, alone=True)


def _layers_of_one_direction(
    by_role: Mapping[Role, tuple[Slot, ...]], config: LayerConfig, directions: int
) -> list[int]:
    """How many layers there may be where a state of three axes holds one direction of two."""
    outputs, states = by_role["outputs"], by_role["h"]
    if directions != 2 or len(outputs) != 1 or len(states) != 1 or states[0].array.ndim != 3:
        return []
    if states[0].layer is not None or 2 * states[0].array.shape[2] != outputs[0].array.shape[-1]:
        return []
    planes = dict.fromkeys(states[0].array.shape[:2])
    return [n for n in planes if config.layers in (None, n)]


def axes_stated(config: LayerConfig) -> bool:
    """Whether somebody said which axis is time."""
    return config.axes_stated or config.time_major


def _layer_counts(
    convention: Convention,
    by_role: Mapping[Role, tuple[Slot, ...]],
    config: LayerConfig,
    directions: int,
    time_major: bool,
) -> list[int]:
    """The stated number of layers, else what names or the axes of the state allow: of its first two axes the one that
    is not the rows'."""
    if config.layers is not None:
        return [config.layers]
    named = [s.layer for s in (*by_role["outputs"], *by_role["h"]) if s.layer is not None]
    if named:
        return [1 + max(named)]
    state, outputs = by_role["h"][0].array, by_role["outputs"][0].array
    if state.ndim == outputs.ndim == 2 and directions == 2 and 2 * state.shape[1] == outputs.shape[1]:
        return [max(1, len(state) // 2)]  # a call without a batch axis: [L*D, H]
    if state.ndim == outputs.ndim == 2 and state.shape[1] == outputs.shape[1] and len(state) < len(outputs):
        return [len(state)] if directions == 1 else [1]  # [L, H]; of as many rows as steps it may be the state of each
    column = state.ndim == 3 and state.shape[2] == 1 and outputs.shape[-1] not in (1, directions)
    if len(by_role["h"]) > 1 or state.ndim < 3 or column:
        return [1]
    if state.ndim == 4:
        return [state.shape[0]]
    rows = rows_of(outputs, time_major, convention.four_axes)
    stacks = [state.shape[axis] for axis in (0, 1) if state.shape[1 - axis] == rows]
    counts = [n // directions for n in dict.fromkeys(stacks) if n % directions == 0 and n]
    if directions > 1 and state.shape[2] == outputs.shape[-1] and outputs.ndim < 4:
        counts += stacks  # each layer's directions side by side
    return list(dict.fromkeys(counts)) or [1]
