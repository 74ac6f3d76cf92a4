"""Slots to Readings: every way in which the named arrays of a dump fit together as a Trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product

import numpy as np

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.axes import Key, Layout, alone_layouts, outputs_layout, state_layouts, units_beside
from rnninspect.conventions.dumps.first_pools import holds_pools
from rnninspect.conventions.dumps.hypotheses import Shape, axes_stated, shapes
from rnninspect.conventions.dumps.joined_layers import with_layers_joined
from rnninspect.conventions.dumps.lengths import inputs_fit, read_mask, share_note, turned_note
from rnninspect.conventions.dumps.misfits import (
    check_cell,
    for_each,
    no_reading,
    refuse_truths,
    shown,
    with_rows_of_inputs,
)
from rnninspect.conventions.dumps.projected import as_exchanged, exchanged
from rnninspect.conventions.dumps.spread import over_rows, spread_note
from rnninspect.conventions.dumps.stacked import with_directions_apart, with_pair_by_axes, with_pair_shown
from rnninspect.conventions.dumps.unpacking import holds_steps, with_cells_apart, with_columns_flat, with_rows_unpacked
from rnninspect.core.batch import is_of_lengths
from rnninspect.core.evidence import Evidence, Reading, Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Direction, TimeOrder, Trace, Track
from rnninspect.core.wording import argument
from rnninspect.engine import cells
from rnninspect.errors import ShapeError


def readings(
    convention: Convention,
    slots: tuple[Slot, ...],
    config: LayerConfig,
    whose_known: bool = True,
    order_known: bool | None = None,
) -> list[Reading]:
    """Every Reading that the shapes allow, the stated one first.

    `whose_known`: the framework is stated, so that its default axes are the usual ones; else either may be.
    `order_known`: stacks of h and c are in its order (None: where it is stated), and not as the values tell.

    Raises ShapeError with shapes and readings tried where none fits, a role is missing, or lengths or a mask fit none.
    """
    for role, missing in (
        ("outputs", f"outputs (name them with {argument('outputs')}, or give inputs and weights to compute them)"),
        ("h", f"final state h (name it with {argument('state')})"),
    ):
        if not any(slot.role == role for slot in slots):
            raise ShapeError(f"found no {missing}; found {shown(slots) or 'no array whose role is known'}")
    check_cell(slots, config)
    refuse_truths(slots)
    fitting: list[Reading] = []
    tried: list[str] = []
    misfits: list[ShapeError] = []
    by_framework = whose_known if order_known is None else order_known
    for slots_tried, config_tried, note in _forms(slots, config, convention, by_framework):
        by_role = {role: tuple(s for s in slots_tried if s.role == role) for role in Role.__args__}  # type: ignore[attr-defined]
        if fitting:
            break  # a likelier form was read
        for shape in shapes(convention, by_role, config_tried, whose_known):
            for outputs in _outputs(convention, by_role["outputs"], shape, config_tried):
                try:
                    fits = _with_states(convention, by_role, config_tried, shape, outputs, tried, note)
                    fitting.extend(as_exchanged(reading, slots, slots_tried) for reading in fits)
                except ShapeError as error:
                    if axes_stated(config) or (whose_known and not convention.time_major):
                        raise
                    misfits.append(error)
    if misfits and not any(r.as_stated for r in fitting):
        raise misfits[0]
    if not fitting:
        raise ShapeError(no_reading(slots, config, tried))
    return sorted(with_rows_of_inputs(fitting, slots), key=lambda r: (not r.as_stated, r.time_swapped))


def _forms(
    slots: tuple[Slot, ...], config: LayerConfig, convention: Convention, order_known: bool
) -> Iterator[tuple[tuple[Slot, ...], LayerConfig, str]]:
    """The slots in each form that they may have, with the layer that goes with it and a note on what was done to them:
    packed rows, h and c in one stack that shows both, as they are, and where nothing fits so, a stack of directions or
    of h and c, outputs of all layers, h and c of a projection exchanged, a state `[B, N*H]` as c, and as layers."""
    for unpacked, note in with_rows_unpacked(slots, config.time_major):
        yield unpacked, config, note
    for apart, note in with_pair_shown(slots, convention, config, order_known):
        yield apart, config, note
    yield slots, config, ""
    apart_by = (*with_directions_apart(slots, config), *with_pair_by_axes(slots, convention, config))
    yield from ((apart, config, note) for apart, note in apart_by)
    yield from with_layers_joined(slots, config)
    if crossed := exchanged(slots):
        yield crossed, config, ""
    flat = with_columns_flat(slots)
    outputs, states = ([s.array for s in flat if s.role == role] for role in ("outputs", "h"))
    if len(outputs) != 1 or len(states) != 1 or outputs[0].ndim != 3 or states[0].ndim != 2:
        return
    if not (units := outputs[0].shape[2]) or (width := states[0].shape[1]) == units or width % units:
        return
    cells_of = [s.array for s in flat if s.role == "c" and s.array.shape == states[0].shape]
    stepped = any(holds_steps(state, outputs[0]) for state in (states[0], *cells_of))  # c, where the two are exchanged
    if not stepped and not holds_pools(states[0], outputs[0]):
        return
    if stepped and (config.cell is None or cells.get(config.cell).has_c):
        yield from ((apart, config, note) for apart, note in with_cells_apart(flat, units))
    if config.layers is None:
        note = f"the state {list(states[0].shape)} is read as {width // units} layers side by side"
        yield slots, replace(config, layers=width // units), note


def _outputs(convention: Convention, slots: tuple[Slot, ...], shape: Shape, config: LayerConfig) -> Iterator[Layout]:
    """The outputs placed by layer and direction; nothing where they do not fit."""
    placed: dict[Key, Array] = {}
    layouts: list[Layout] = []
    for slot in slots:
        layer = slot.layer if slot.layer is not None else shape.layers - 1
        directions = (slot.direction,) if slot.direction else shape.directions
        merged = config.merge_mode not in ("concat", "none") and len(directions) > 1
        layout = outputs_layout(slot.array, shape.time_major, directions, layer, merged, convention.four_axes)
        if layout is None:
            return
        placed.update(layout.placed)
        layouts.append(layout)
    if len({layout.shape for layout in layouts}) == 1:
        yield Layout(layouts[-1].axes, placed, shape=layouts[-1].shape)


def _states(slots: tuple[Slot, ...], shape: Shape, rows: int, units: Mapping[Key, int], first: bool) -> list[Layout]:
    """Every placing of the state arrays; `units` by layer and direction, empty for a cell state."""
    if not slots:
        return []
    labelled = len(slots) > 1 or slots[0].layer is not None or slots[0].direction is not None
    if not labelled:
        top = units.get((shape.layers - 1, shape.directions[-1])) if units else None
        if shape.alone:
            return list(
                alone_layouts(slots[0].array, rows, shape.layers, shape.directions, top or slots[0].array.shape[-1])
            )
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
    shape: Shape,
    outputs: Layout,
    tried: list[str],
    note: str,
) -> Iterator[Reading]:
    rows, steps = outputs.shape
    units = outputs.units
    swapped = shape.swapped
    first = config.state_batch_first
    if first is None:
        first = convention.state_batch_first(shape.time_major)
    ways = [
        way for way in _states(by_role["h"], shape, rows, units, first) if not _lacks_layers(way, shape, convention)
    ]
    tried.append(
        f"outputs {outputs.axes} with {rows} rows, {steps} steps, {shape.layers} layer(s), "
        f"{len(shape.directions)} direction(s), {next(iter(units.values()), 'merged')} units"
    )
    if not ways:
        return
    strict = not swapped and (axes_stated(config) or shape.time_major == config.time_major)
    mask, lengths, fits = read_mask(by_role, rows, steps, shape.time_major, strict, config.full_lengths)
    together = fits and inputs_fit(by_role, rows, steps, shape.time_major)
    whole = inputs_fit(by_role, rows, steps, shape.time_major, exactly=True)
    whole |= together and not swapped and lengths is not None and int(lengths.max(initial=0)) == steps
    left_open = fits and whole and not (swapped and axes_stated(config))
    if not strict and not swapped and not together:
        swapped = True  # the framework's default, but something was counted for the other axes
    turned = turned_note(by_role, rows, steps, shape.time_major)
    notes = tuple(filter(None, (note, share_note(by_role), turned)))
    padding = convention.padding_for(_with_directions(config, shape))
    by_mask = bool(by_role["mask"]) and config.full_lengths != "stated"
    holes = by_mask and not is_of_lengths(mask)
    for way in ways:
        tracks = _tracks(by_role, shape, outputs, way, first, convention.order(config))
        trace = Trace(mask, tracks, lengths, holes, padding, convention.zero_length, convention.name, by_mask=by_mask)
        because = [f"{by_role['h'][0].short or 'state'} {way.axes}"]
        if shape.time_major and not config.time_major and not swapped:
            usual = f", {convention.name}'s default" if convention.time_major else ": all arrays fit so"
            because.append(f"[T, B, H]{usual}")
        yield Reading(
            trace,
            outputs.axes,
            way.axes,
            way.usual and not swapped and fits,
            swapped,
            shape.time_major,
            Evidence(tuple(because), notes=(*notes, *filter(None, [spread_note(by_role["initial_h"], tracks)]))),
            left_open=left_open and way.usual,
        )


def _tracks(
    by_role: Mapping[Role, tuple[Slot, ...]],
    shape: Shape,
    outputs: Layout,
    way: Layout,
    first: bool,
    backward_order: TimeOrder,
) -> tuple[Track, ...]:
    """Each layer and direction with its outputs and states; `way`: how the states h are placed."""
    rows, _ = outputs.shape
    units = outputs.units
    widths = units_beside(by_role["h"][0].array, by_role["c"][0].array, units) if by_role["c"] else {}
    cell_ways = _states(by_role["c"], shape, rows, widths, first) or _states(by_role["c"], shape, rows, {}, first)
    cell = next((c for c in cell_ways if c.axes == way.axes), cell_ways[0] if cell_ways else None)
    initial = _initial(by_role["initial_h"], shape, rows, units, first)
    initial_cell = _initial(by_role["initial_c"], shape, rows, {}, first)
    return tuple(
        Track(
            layer,
            direction,
            outputs.placed.get((layer, direction)),
            way.placed.get((layer, direction)),
            cell.placed.get((layer, direction)) if cell else None,
            initial.get((layer, direction)),
            initial_cell.get((layer, direction)),
            backward_order if direction == "backward" else "time",
        )
        for layer, direction in product(range(shape.layers), shape.directions)
    )


def _lacks_layers(way: Layout, shape: Shape, convention: Convention) -> bool:
    """Whether a stack of layers' states holds one layer alone of several, one direction each; ONNX's `[D, B, H]` is of
    one layer always."""
    return way.axes in ("D B H", "B D H") and len(shape.directions) == 1 < shape.layers and not convention.four_axes


def _with_directions(config: LayerConfig, shape: Shape) -> LayerConfig:
    both = config.direction is None and len(shape.directions) == 2
    return replace(config, direction="bidirectional") if both else config


def _initial(
    slots: tuple[Slot, ...], shape: Shape, rows: int, units: Mapping[Key, int], first: bool = False
) -> Mapping[Key, Array]:
    """The placing of an initial state that leaves no layer and direction out, where one array without a label holds it;
    of one row taken for every row, where nothing else fits; empty where nothing does.

    A call takes a state for each; one `[B, H]` beside several would be given to the top one alone.
    """
    count = shape.layers * len(shape.directions)
    labelled = len(slots) != 1 or slots[0].layer is not None or slots[0].direction is not None
    for tried in (slots, over_rows(slots, rows, count)):
        for way in _states(tried, shape, rows, units, first):
            if labelled or len(way.placed) == count:
                return way.placed
    return {}


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
    shape = Shape(False, layers, directions)
    h_slots = tuple(s for s in slots if s.role == "initial_h")
    c_slots = tuple(s for s in slots if s.role == "initial_c")
    h = _initial(h_slots, shape, rows, {key: width for key, (width, _) in units.items()})
    c = _initial(c_slots, shape, rows, {key: width for key, (_, width) in units.items()})
    if not h or (c_slots and not c):
        widths = ", ".join(f"layer {k} {d}: h {a}, c {b}" for (k, d), (a, b) in units.items())
        each = for_each(slots, layers * len(directions), rows)
        raise ShapeError(f"the initial state ({shown(slots)}) fits no layer of {rows} rows ({widths}){each}")
    states: dict[Key, tuple[Array, Array | None]] = {}
    for key, state in h.items():
        cell = c.get(key)
        if has_cell and cell is None:
            cell = np.zeros((rows, units[key][1]), dtype=state.dtype)
        states[key] = (state, cell)
    return states
