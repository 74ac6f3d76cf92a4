"""What several conventions share: names by layer and direction, one bias out of two, and honest refusals."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rnninspect.conventions.base import Convention, Statement
from rnninspect.errors import UserError
from rnninspect.trace import Array, Direction, Trace, Track
from rnninspect.weights import Between, CellSpec, LayerWeights, Weights


def canonical_directions(statement: Statement) -> tuple[Direction, ...]:
    """The directions stated, or forward alone."""
    return statement.directions or ("forward",)


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
    stated: dict[str, Any] = {}
    lacking: list[str] = []
    for field in (f.name for f in dataclasses.fields(spec)):
        value = getattr(spec, field)
        name = next((n for n in _STATED_AS.get(field, (field,)) if n in convention.takes), "")
        given = getattr(convention.spec(spec.cell, stated), field)
        if value == given or (field == "output_activation" and value == spec.activation):
            continue
        allowed = convention.activations.get(spec.cell) if field == "activation" else None
        if name and (allowed is None or value in allowed):
            stated[name] = int(value) if name in ("linear_before_reset", "input_forget") else value
        elif field == "reset_after":
            lacking.append(f"GRU that resets {'after' if value else 'before'} the recurrent product")
        else:
            lacking.append(_LACKING[field])
    if not lacking and convention.spec(spec.cell, stated) != spec:
        lacking.append(_LACKING["output_activation"])
    if lacking:
        raise refusal(convention, lacking)
    return stated


def refuse(convention: Convention, weights: Weights, *, peepholes: bool = False, projection: bool = False) -> None:
    """Raises UserError where the weights need what this framework lacks; each flag names a thing that it lacks."""
    lacking = []
    if peepholes and any(w.peepholes is not None for w in weights.layers):
        lacking.append("peepholes")
    if projection and any(w.projection is not None for w in weights.layers):
        lacking.append("projection")
    if weights.depth > 1 and len(weights.directions) > 1 and weights.between not in convention.joins:
        lacking.append(_JOINS[weights.between])
    if lacking:
        raise refusal(convention, lacking)
    convention.attributes(weights.spec)


def refusal(convention: Convention, lacking: list[str]) -> UserError:
    """The error that says what cannot be expressed there."""
    parts = " and no ".join(dict.fromkeys(lacking))
    return UserError(
        f"{convention.name} has no {parts}, and moving weights cannot make up for it: the layer cannot go there"
    )


StateField = Literal["final", "cell", "initial", "initial_cell"]


@dataclass(frozen=True, eq=False)
class DumpNames:
    """Lays a trace's arrays out as a framework's users would have saved them."""

    trace: Trace
    statement: Statement

    @property
    def bidirectional(self) -> bool:
        return self.trace.directions > 1

    @property
    def has_cell(self) -> bool:
        return any(track.cell is not None for track in self.trace.tracks)

    def layer(self, layer: int) -> tuple[Track, ...]:
        """One layer's tracks, forward first."""
        return tuple(t for t in self.trace.tracks if t.layer == layer)

    def name(self, track: Track, name: str, words: tuple[str, str]) -> str:
        """`name` with the direction's word where there are two, and the layer where there are several."""
        parts = [name]
        if self.bidirectional:
            parts.append(words[track.direction == "backward"])
        if self.trace.layers > 1:
            parts.append(str(track.layer))
        return ".".join(parts)

    def time_axis(self, outputs: Array) -> Array:
        """`[B, T, …]` -> `[T, B, …]` where the user's axes are time-major."""
        return outputs.swapaxes(0, 1) if self.statement.time_major else outputs

    def apart(self, layer: int) -> dict[Direction, Array]:
        """One layer's outputs by direction; empty where they were not recorded."""
        return {t.direction: self.time_axis(t.outputs) for t in self.layer(layer) if t.outputs is not None}

    def merged(self, layer: int, name: str = "outputs") -> dict[str, Array]:
        """One layer's outputs as one array: the directions side by side, or merged as stated (Keras `merge_mode`)."""
        arrays = list(self.apart(layer).values())
        if not arrays:
            return {}
        mode = self.statement.merge_mode
        if len(arrays) == 1 or mode in ("concat", "none"):
            return {name: np.concatenate(arrays, -1) if len(arrays) > 1 else arrays[0]}
        both = arrays[0] * arrays[1] if mode == "mul" else arrays[0] + arrays[1]
        return {name: both / 2 if mode == "ave" else both}

    def top(self, name: str = "outputs") -> dict[str, Array]:
        """The top layer's outputs as one array."""
        return self.merged(self.trace.layers - 1, name)

    def stacked(self, **names: StateField) -> dict[str, Array]:
        """`[L*D, B, H]` by name: l0 forward, l0 backward, l1 forward, …; the top layer alone where no more is known.

        Raises UserError where layers have different widths: one array cannot hold them.
        """
        arrays = {}
        for name, field in names.items():
            known = [t for t in self.trace.tracks if getattr(t, field) is not None]
            if not known or (len(known) < len(self.trace.tracks) and known != list(self.layer(self.trace.layers - 1))):
                continue
            widths = [getattr(t, field).shape[-1] for t in known]
            if len(set(widths)) > 1:
                raise UserError(f"{name} holds all layers in one array, but their widths differ: {widths}")
            arrays[name] = np.stack([getattr(t, field) for t in known])
        return arrays
