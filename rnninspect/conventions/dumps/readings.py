"""Slots to Readings: every way in which the named arrays of a dump fit together as a Trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.axes import Key, Layout, outputs_layout, state_layouts
from rnninspect.core.batch import check_lengths, check_mask, resolve_mask
from rnninspect.core.evidence import Reading, Role, Slot
from rnninspect.core.full_lengths import FullLengths
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Bools, Direction, Ints, Trace, Track
from rnninspect.core.wording import argument
from rnninspect.errors import ShapeError

BOTH: tuple[Direction, ...] = ("forward", "backward")


@dataclass(frozen=True, eq=False)
class _Shape:
    """One hypothesis about the layer: which axis is time, how many layers, which directions."""

    time_major: bool
    layers: int
    directions: tuple[Direction, ...]


def readings(convention: Convention, slots: tuple[Slot, ...], config: LayerConfig) -> list[Reading]:
    """Every Reading that the shapes allow, the stated one first.

    Raises ShapeError with the shapes and the readings tried where there is none, or where a role is missing.
    """
    by_role = {role: tuple(s for s in slots if s.role == role) for role in Role.__args__}  # type: ignore[attr-defined]
    for role, words in (
        ("outputs", f"outputs (name them with {argument('outputs')})"),
        ("h", f"final state h (name it with {argument('state')})"),
    ):
        if not by_role[role]:
            raise ShapeError(f"found no {words}; found {_shown(slots) or 'no array with a known role'}")
    found: list[Reading] = []
    tried: list[str] = []
    for shape in _shapes(by_role, config):
        for outputs in _outputs(by_role["outputs"], shape, config):
            found.extend(_with_states(convention, by_role, config, shape, outputs, tried))
    if not found:
        raise ShapeError(_no_reading(slots, config, tried))
    return sorted(found, key=lambda r: (not r.stated, r.time_swapped))


def _shapes(by_role: Mapping[Role, tuple[Slot, ...]], config: LayerConfig) -> Iterator[_Shape]:
    named = tuple(d for d in BOTH if any(s.direction == d for s in (*by_role["outputs"], *by_role["h"])))
    directions = [config.directions] if config.directions else [named] if named else [("forward",), BOTH]
    for time_major, chosen in product((config.time_major, not config.time_major), directions):
        for layers in _layer_counts(by_role, config, len(chosen)):
            yield _Shape(time_major, layers, chosen)


def _layer_counts(by_role: Mapping[Role, tuple[Slot, ...]], config: LayerConfig, directions: int) -> list[int]:
    """The stated number of layers, else what names or the axes of the state allow."""
    if config.layers is not None:
        return [config.layers]
    named = [s.layer for s in (*by_role["outputs"], *by_role["h"]) if s.layer is not None]
    if named:
        return [1 + max(named)]
    first = by_role["h"][0].array
    if len(by_role["h"]) > 1 or first.ndim < 3:
        return [1]
    counts = [n // directions for n in dict.fromkeys(first.shape[:2]) if n % directions == 0 and n]
    return counts or [1]


def _outputs(slots: tuple[Slot, ...], shape: _Shape, config: LayerConfig) -> Iterator[Layout]:
    """The outputs placed by layer and direction; nothing where they do not fit."""
    placed: dict[Key, Array] = {}
    layouts: list[Layout] = []
    for slot in slots:
        layer = slot.layer if slot.layer is not None else shape.layers - 1
        directions = (slot.direction,) if slot.direction else shape.directions
        merged = config.merge_mode not in ("concat", "none") and len(directions) > 1
        layout = outputs_layout(slot.array, shape.time_major, directions, layer, merged)
        if layout is None:
            return
        placed.update(layout.placed)
        layouts.append(layout)
    if len({layout.shape for layout in layouts}) == 1:
        yield Layout(layouts[-1].axes, placed, shape=layouts[-1].shape)


def _states(slots: tuple[Slot, ...], shape: _Shape, rows: int, units: Mapping[Key, int], first: bool) -> list[Layout]:
    """Every placing of the state arrays; `units` by layer and direction, empty for a cell state."""
    if not slots:
        return []
    labelled = len(slots) > 1 or slots[0].layer is not None or slots[0].direction is not None
    if not labelled:
        top = units.get((shape.layers - 1, shape.directions[-1])) if units else None
        return list(state_layouts(slots[0].array, rows, shape.layers, shape.directions, top, first))
    placed: dict[Key, Array] = {}
    for slot in slots:
        layer = slot.layer if slot.layer is not None else shape.layers - 1
        directions = (slot.direction,) if slot.direction else shape.directions
        width = units.get((layer, directions[0]))
        ways = list(state_layouts(slot.array, rows, 1, directions, width, first))
        if not ways or not ways[0].usual:
            return []
        placed.update({(layer, d): array for (_, d), array in ways[0].placed.items()})
    return [Layout("B H", placed)]


def _with_states(
    convention: Convention,
    by_role: Mapping[Role, tuple[Slot, ...]],
    config: LayerConfig,
    shape: _Shape,
    outputs: Layout,
    tried: list[str],
) -> Iterator[Reading]:
    rows, steps = outputs.shape
    units = {key: int(array.shape[2]) for key, array in outputs.placed.items()}
    swapped = shape.time_major != config.time_major
    first = config.state_batch_first
    if first is None:
        first = convention.state_batch_first(shape.time_major)
    ways = _states(by_role["h"], shape, rows, units, first)
    tried.append(
        f"outputs {outputs.axes} with {rows} rows, {steps} steps, {shape.layers} layer(s), "
        f"{len(shape.directions)} direction(s), {next(iter(units.values()), 'merged')} units"
    )
    if not ways:
        return
    mask, lengths, fits = _mask(by_role, rows, steps, shape.time_major, strict=not swapped, full=config.full_lengths)
    for way in ways:
        cells = _states(by_role["c"], shape, rows, {}, first)
        cell = next((c for c in cells if c.axes == way.axes), cells[0] if cells else None)
        initial = _initial(by_role, "initial_h", shape, rows, units, first)
        initial_cell = _initial(by_role, "initial_c", shape, rows, {}, first)
        tracks = tuple(
            Track(
                layer,
                direction,
                outputs.placed.get((layer, direction)),
                way.placed.get((layer, direction)),
                cell.placed.get((layer, direction)) if cell else None,
                initial.get((layer, direction)),
                initial_cell.get((layer, direction)),
                convention.order(config) if direction == "backward" else "time",
            )
            for layer, direction in product(range(shape.layers), shape.directions)
        )
        trace = Trace(
            mask,
            tracks,
            lengths,
            bool(by_role["mask"]) and config.full_lengths != "stated",
            convention.padding_for(_with_directions(config, shape)),
            convention.zero_length,
            convention.name,
        )
        yield Reading(trace, outputs.axes, way.axes, way.usual and not swapped and fits, swapped)


def _with_directions(config: LayerConfig, shape: _Shape) -> LayerConfig:
    if config.direction is None and len(shape.directions) == 2:
        return replace(config, direction="bidirectional")
    return config


def _initial(
    by_role: Mapping[Role, tuple[Slot, ...]],
    role: Role,
    shape: _Shape,
    rows: int,
    units: Mapping[Key, int],
    first: bool,
) -> Mapping[Key, Array]:
    ways = _states(by_role[role], shape, rows, units, first)
    return ways[0].placed if ways else {}


def _mask(
    by_role: Mapping[Role, tuple[Slot, ...]],
    rows: int,
    steps: int,
    time_major: bool,
    strict: bool,
    full: FullLengths | None,
) -> tuple[Bools, Ints | None, bool]:
    """The mask, the lengths, and whether what was stated of them fits.

    What the user states must fit the stated axes (`strict`); on swapped axes lengths of another count fall away.
    """
    lengths = by_role["lengths"][0].array if by_role["lengths"] else None
    mask = by_role["mask"][0].array if by_role["mask"] else None
    if full == "stated" or (full and lengths is None and mask is None):
        lengths, mask = np.full(rows, steps), None
    if mask is not None and mask.shape != (rows, steps) and mask.shape == (steps, rows):
        mask = mask.T if time_major or not strict else mask
    try:
        if lengths is not None:
            check_lengths(lengths, rows)
        if mask is not None:
            check_mask(mask, rows, steps)
    except ShapeError:
        if strict:
            raise
        return np.ones((rows, steps), dtype=np.bool_), None, False
    real, known = resolve_mask(rows, steps, lengths, mask)
    return real, known, True


def _shown(slots: tuple[Slot, ...]) -> str:
    return ", ".join(f"{s.role} {s.name or 'unnamed'} {tuple(s.array.shape)}" for s in slots)


def _no_reading(slots: tuple[Slot, ...], config: LayerConfig, tried: list[str]) -> str:
    arrays = _shown(tuple(s for s in slots if s.role in ("outputs", "h", "c")))
    ways = "; ".join(dict.fromkeys(tried)) or "outputs must be [B, T, H], [T, B, H] or [T, D, B, H]"
    return (
        f"the final state fits no reading of the outputs ({arrays}); tried: {ways}. "
        f"State the layer's shape with {argument('layers')}, {argument('bidirectional', True)}, "
        f"{argument('time_major', True)}, or name arrays with {argument('outputs')}, {argument('state')}"
    )


def initial_states(
    slots: tuple[Slot, ...],
    layers: int,
    directions: tuple[Direction, ...],
    rows: int,
    units: Mapping[Key, tuple[int, int]],
    has_cell: bool,
) -> dict[Key, tuple[Array, Array | None]]:
    """Initial (h `[B, H]`, c `[B, C]` or None) by layer and direction; `units` are their widths (H, C).

    Raises ShapeError where the arrays do not fit the layers, directions, rows and widths.
    """
    shape = _Shape(False, layers, directions)
    h_slots = tuple(s for s in slots if s.role == "initial_h")
    c_slots = tuple(s for s in slots if s.role == "initial_c")
    h = _states(h_slots, shape, rows, {key: width for key, (width, _) in units.items()}, False)
    c = _states(c_slots, shape, rows, {key: width for key, (_, width) in units.items()}, False)
    if not h or (c_slots and not c):
        widths = ", ".join(f"layer {k} {d}: h {a}, c {b}" for (k, d), (a, b) in units.items())
        raise ShapeError(f"the initial state ({_shown(slots)}) fits no layer of {rows} rows ({widths})")
    cells = c[0].placed if c else {}
    found: dict[Key, tuple[Array, Array | None]] = {}
    for key, state in h[0].placed.items():
        cell = cells.get(key)
        if has_cell and cell is None:
            cell = np.zeros((rows, units[key][1]), dtype=state.dtype)
        found[key] = (state, cell)
    return found
