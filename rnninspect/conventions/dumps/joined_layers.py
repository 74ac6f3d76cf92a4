"""Outputs in which every layer's lie side by side, as a stack leaves them that hands all of its layers on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array


def with_layers_joined(
    slots: tuple[Slot, ...], config: LayerConfig
) -> Iterator[tuple[tuple[Slot, ...], LayerConfig, str]]:
    """The slots with outputs `[B, T, N*H]` as those of each layer, where the state has a plane for each of these N > 2,
    or of two, where two layers of one direction are stated; the layer that goes with it, and a note. Two directions are
    those stated, or shown by a plane that is a first step.
    """
    outputs = [slot for slot in slots if slot.role == "outputs"]
    states = [slot for slot in slots if slot.role == "h"]
    if len(outputs) != 1 or len(states) != 1 or outputs[0].array.ndim != 3 or states[0].array.ndim != 3:
        return
    array, state = outputs[0].array, states[0].array
    units = state.shape[2]
    planes = array.shape[2] // units if units and array.shape[2] % units == 0 else 0
    least = 2 if config.layers == 2 and len(config.directions or ()) == 1 else 3
    if planes < least or planes not in state.shape[:2] or outputs[0].layer is not None:
        return
    both = len(config.directions or ()) == 2 or (config.directions is None and _begins_in(array, state, planes))
    layers = planes // 2 if both else planes
    if config.layers not in (None, layers) or (both and planes % 2):
        return
    width = array.shape[2] // layers
    apart = [
        replace(outputs[0], name=f"{outputs[0].name}.{k}", array=array[..., k * width : (k + 1) * width], layer=k)
        for k in range(layers)
    ]
    others = tuple(slot for slot in slots if slot is not outputs[0])
    note = f"{outputs[0].short or 'outputs'} {list(array.shape)} are read as those of {layers} layers side by side"
    direction = "bidirectional" if both else config.direction
    yield (*apart, *others), replace(config, layers=layers, direction=direction), note


def _begins_in(outputs: Array, state: Array, planes: int) -> bool:
    """Whether the second plane of the state holds first steps of the second units of outputs, along either axis."""
    units = state.shape[2]
    second = outputs[..., units : 2 * units]
    for stack in (state, state.swapaxes(0, 1)):
        for first in (second[:, 0], second[0]):
            if len(stack) == planes and stack[1].shape == first.shape and bool((stack[1] == first).all(1).any()):
                return planes % 2 == 0 and bool(np.any(first))
    return False
