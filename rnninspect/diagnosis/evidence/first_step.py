"""The first step of a few units: begun with zeros it depends on no other unit, and is run in a third of the time of two
whole steps, most of which is to lay out the weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.small_cases import cut_to, is_causal

UNITS = 8
WIDE = 64  # units of a layer that are worth a run of a few of them first


def first_step(case: Case) -> Case | None:
    """The first step of the first units of each row, beside the weights of all; None where they depend on other units,
    where all are few, and where it does not begin with zeros."""
    weights = case.weights
    if weights is None or weights.depth > 1 or not is_causal(case):
        return None
    if any(w.projection is not None or w.units < WIDE for w in weights.layers):
        return None
    if any(t.initial is not None or t.initial_cell is not None for t in case.trace.tracks):
        return None
    step = cut_to(case, np.arange(case.trace.batch_size), 1)
    return step.with_tracks(
        lambda t: replace(t, outputs=None if t.outputs is None else t.outputs[..., :UNITS], final=None, cell=None)
    )


def of_first_units(weights: Weights) -> Weights:
    """The weights by which the first units make a step that begins with zeros."""
    layers = (
        replace(first_units(w, UNITS), recurrent_kernel=w.recurrent_kernel[:, :UNITS, :UNITS]) for w in weights.layers
    )
    return replace(weights, layers=tuple(layers))


def first_units(layer_weights: LayerWeights, units: int | None) -> LayerWeights:
    """The weights of the first `units` alone, which read every unit of h: recurrent kernels are `[G, P, N]`."""

    def cut(array: Array | None) -> Array | None:
        return None if array is None else array[..., :units]

    return replace(
        layer_weights,
        input_kernel=layer_weights.input_kernel[..., :units],
        recurrent_kernel=layer_weights.recurrent_kernel[..., :units],
        bias=layer_weights.bias[..., :units],
        recurrent_bias=cut(layer_weights.recurrent_bias),
        peepholes=cut(layer_weights.peepholes),
    )
