"""Logical runs and weights made with plain numpy, as no framework in particular gave them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.readings import readings
from rnninspect.conventions.dumps.roles import assign_roles
from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.evidence import Reading, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import DIRECTIONS, Array, Direction, PaddingPolicy, Trace, Track, prefix_mask
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.engine import cells as known_cells

LENGTHS = (4, 7, 1, 3, 6)  # uneven, unsorted, one full, one of a single step
FIELDS = ("outputs", "final", "cell", "initial", "initial_cell")


def directions_of(count: int) -> tuple[Direction, ...]:
    return DIRECTIONS[:count]


def logical_trace(
    cell: Cell = "lstm",
    layers: int = 1,
    directions: tuple[Direction, ...] = ("forward",),
    *,
    convention: Convention,
    config: LayerConfig,
    initial: bool = False,
    lower_outputs: bool = False,
    lengths: tuple[int, ...] = LENGTHS,
    seed: int = 0,
) -> Trace:
    """Random outputs with zero padding, the final states picked out of them step by step, and random cell states."""
    draw = np.random.default_rng(seed)
    rows, steps, units = len(lengths), max(lengths), 3
    mask = prefix_mask(lengths, steps)
    tracks = []
    for layer, direction in product(range(layers), directions):
        outputs = draw.normal(size=(rows, steps, units)) * mask[..., None]
        final = np.stack([outputs[b, 0 if direction == "backward" else n - 1] for b, n in enumerate(lengths)])
        recorded = lower_outputs or layer == layers - 1
        states = [draw.normal(size=(rows, units)) for _ in range(3)]
        lstm = cell == "lstm"
        tracks.append(
            Track(
                layer,
                direction,
                outputs if recorded else None,
                final,
                states[0] if lstm else None,
                states[1] if initial else None,
                states[2] if initial and lstm else None,
            )
        )
    padding: PaddingPolicy = convention.padding_for(config)
    return Trace(
        mask,
        tuple(tracks),
        np.asarray(lengths),
        padding=padding,
        zero_length=convention.zero_length,
        convention=convention.name,
    )


def layer_config(cell: Cell, layers: int, directions: tuple[Direction, ...], **more: Any) -> LayerConfig:
    way = "bidirectional" if len(directions) == 2 else None
    return LayerConfig(cell=cell, layers=layers, direction=way, **more)


def read_back(
    convention: Convention, arrays: dict[str, Array], config: LayerConfig, slots: dict[str, Slot] | None = None
) -> Reading:
    """The first reading of a dump."""
    return readings(convention, assign_roles(convention, arrays, config, slots), config)[0]  # type: ignore[arg-type]


def assert_same_tracks(one: Trace, other: Trace) -> None:
    """Every array of every track is equal, value for value."""
    assert [t.name for t in one.tracks] == [t.name for t in other.tracks]
    assert np.array_equal(one.mask, other.mask)
    for a, b in zip(one.tracks, other.tracks, strict=True):
        for field in FIELDS:
            left, right = getattr(a, field), getattr(b, field)
            assert (left is None) == (right is None), (a.name, field)
            assert left is None or np.array_equal(left, right), (a.name, field)


def logical_weights(
    spec: CellSpec,
    layers: int = 1,
    directions: tuple[Direction, ...] = ("forward",),
    *,
    features: int = 2,
    units: int = 3,
    projection: int | None = None,
    peepholes: bool = False,
    two_biases: bool = False,
    convention: str = "",
    seed: int = 0,
) -> Weights:
    """Random weights of a stack that chains. `two_biases`: the recurrent side has one too."""
    draw = np.random.default_rng(seed)
    count = len(known_cells.get(spec.cell).gates)
    width = projection or units
    made = []
    for layer, direction in product(range(layers), directions):
        made.append(
            LayerWeights(
                layer,
                direction,
                draw.normal(size=(count, features if layer == 0 else width * len(directions), units)),
                draw.normal(size=(count, width, units)),
                draw.normal(size=(count, units)),
                draw.normal(size=(count, units)) if two_biases else None,
                draw.normal(size=(3, units)) if peepholes else None,
                draw.normal(size=(units, projection)) if projection else None,
            )
        )
    return Weights(spec, tuple(made), convention=convention)


def assert_same_weights(one: Weights, other: Weights) -> None:
    """Every gate is equal; a second bias of zeros is the same as none."""
    assert one.spec == other.spec
    assert [(w.layer, w.direction) for w in one.layers] == [(w.layer, w.direction) for w in other.layers]
    for a, b in zip(one.layers, other.layers, strict=True):
        a, b = (replace(w, recurrent_bias=_second(w)) for w in (a, b))
        for field in ("input_kernel", "recurrent_kernel", "bias", "recurrent_bias", "peepholes", "projection"):
            left, right = getattr(a, field), getattr(b, field)
            assert (left is None) == (right is None), field
            assert left is None or np.array_equal(left, right), field


def _second(w: LayerWeights) -> Array:
    return np.zeros_like(w.bias) if w.recurrent_bias is None else w.recurrent_bias
