"""What several conventions share: names by layer and direction, one bias out of two, and honest refusals."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnninspect.conventions.base import Convention
from rnninspect.core.cell import CellSpec
from rnninspect.core.trace import Array
from rnninspect.core.weights import Between, LayerWeights, Weights
from rnninspect.errors import UserError


def merge_biases(weights: LayerWeights) -> Array:
    """`[G, H]`: the input and recurrent biases as one (they only ever add where the reset gate does not part them)."""
    if weights.recurrent_bias is None:
        return weights.bias
    return np.asarray(weights.bias + weights.recurrent_bias)


# How messages call what a framework's cell lacks, by field of the CellSpec.
_LACKING = {
    "forget_bias": "forget bias added at run time",
    "cell_clip": "clip of the cell state",
    "proj_clip": "clip of the projection",
    "gate_clip": "clip of the gates' inputs",
    "input_forget": "coupled input and forget gates",
    "recurrent_activation": "other activation of the gates",
    "activation": "other activation",
    "output_activation": "activation of its own for the cell state",
    "activation_alpha": "parameters of activations",
    "activation_beta": "parameters of activations",
}
# What a layer reads of the two directions below it, in words.
_JOINS: dict[Between, str] = {
    "concat": "layer that reads both directions below it",
    "sum": "layer that reads the sum of the directions below it",
    "mul": "layer that reads the product of the directions below it",
    "ave": "layer that reads the mean of the directions below it",
    "apart": "stack of cells within each direction",
}
# Attributes by another name than the field's, the first that the framework takes.
_STATED_AS = {"gate_clip": ("clip",), "reset_after": ("reset_after", "linear_before_reset")}


def attributes(convention: Convention, spec: CellSpec) -> dict[str, Any]:
    """What to state so that `convention` builds this cell, each field by the attribute of its name.

    Raises UserError that names every field for which the convention `takes` no attribute.
    """
    options: dict[str, Any] = {}
    lacking: list[str] = []
    for field in (f.name for f in dataclasses.fields(spec)):
        value = getattr(spec, field)
        name = next((n for n in _STATED_AS.get(field, (field,)) if n in convention.takes), "")
        default = getattr(convention.spec(spec.cell, options), field)
        if value == default or (field == "output_activation" and value == spec.activation):
            continue
        allowed = convention.activations.get(spec.cell) if field == "activation" else None
        if name and (allowed is None or value in allowed):
            options[name] = int(value) if name in ("linear_before_reset", "input_forget") else value
        elif field == "reset_after":
            lacking.append(f"GRU that applies the reset gate {'after' if value else 'before'} the recurrent product")
        else:
            lacking.append(_LACKING[field])
    if not lacking and convention.spec(spec.cell, options) != spec:
        lacking.append(_LACKING["output_activation"])
    if lacking:
        raise refusal(convention, lacking)
    return options


def refuse(convention: Convention, weights: Weights, *, peepholes: bool = False, projection: bool = False) -> None:
    """Raise UserError where the weights need what this framework lacks; each flag names a thing that it lacks."""
    lacking = [] if weights.spec.cell in convention.cells else [f"names for weights of the cell {weights.spec.cell}"]
    if peepholes and any(w.peepholes is not None for w in weights.layers):
        lacking.append("peepholes")
    if projection and any(w.projection is not None for w in weights.layers):
        lacking.append("projection")
    if weights.depth > 1 and len(weights.directions) > 1 and weights.between not in convention.joins:
        lacking.append(_JOINS[weights.between])
    if weights.backward is not None and not convention.apart:
        lacking.append("activations of its own for each direction")
    if lacking:
        raise refusal(convention, lacking)
    convention.attributes(weights.spec)


def refusal(convention: Convention, lacking: list[str]) -> UserError:
    """The error that says what cannot be expressed there."""
    parts = " and no ".join(dict.fromkeys(lacking))
    return UserError(
        f"{convention.name} has no {parts}, which no change of the weights can replace: the layer cannot be converted"
    )
