"""What several conventions share: names by layer and direction, one bias out of two, and honest refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnninspect.conventions.base import Statement
from rnninspect.errors import UserError
from rnninspect.trace import Array, Direction, Trace, Track
from rnninspect.weights import LayerWeights, Weights


def canonical_directions(statement: Statement) -> tuple[Direction, ...]:
    """The directions stated, or forward alone."""
    return statement.directions or ("forward",)


def merge_biases(weights: LayerWeights) -> Array:
    """`[G, H]`: the input and recurrent biases as one (they only ever add where the reset gate does not part them)."""
    if weights.recurrent_bias is None:
        return weights.bias
    return np.asarray(weights.bias + weights.recurrent_bias)


def refuse(
    convention: str,
    weights: Weights,
    *,
    reset_after: bool | None = None,
    input_forget: bool = False,
    gate_clip: bool = False,
    cell_clip: bool = False,
    peepholes: bool = False,
    projection: bool = False,
) -> None:
    """Raises UserError where the weights need what this framework lacks; each flag names a thing that it lacks.

    `reset_after`: the GRU variant that it cannot express.
    """
    spec = weights.spec
    lacking = []
    if reset_after is not None and spec.cell == "gru" and spec.reset_after == reset_after:
        where = "after" if reset_after else "before"
        lacking.append(
            f"a GRU that resets {where} the recurrent product (moving weights cannot turn one into the other)"
        )
    if input_forget and spec.input_forget:
        lacking.append("coupled input and forget gates")
    if gate_clip and spec.gate_clip:
        lacking.append("a clip of the gates' inputs")
    if cell_clip and (spec.cell_clip or spec.proj_clip):
        lacking.append("a clip of the cell state or projection")
    if peepholes and any(w.peepholes is not None for w in weights.layers):
        lacking.append("peepholes")
    if projection and any(w.projection is not None for w in weights.layers):
        lacking.append("a projection")
    if lacking:
        raise UserError(f"{convention} has no {' and no '.join(lacking)}; these weights cannot be moved there")


@dataclass(frozen=True, eq=False)
class DumpNames:
    """Writes a trace's arrays under names that carry direction and layer (`final_state.fw.1`)."""

    trace: Trace
    statement: Statement

    def tracks(self, name: str, words: tuple[str, str]) -> Iterator[tuple[Track, str]]:
        """Every track with its name: the direction's word where there are two, the layer where there are several."""
        for track in self.trace.tracks:
            parts = [name]
            if self.trace.directions > 1:
                parts.append(words[track.direction == "backward"])
            if self.trace.layers > 1:
                parts.append(str(track.layer))
            yield track, ".".join(parts)

    def time_axis(self, outputs: Array) -> Array:
        """`[B, T, …]` -> `[T, B, …]` where the user's axes are time-major."""
        return outputs.swapaxes(0, 1) if self.statement.time_major else outputs

    def outputs(self, *, apart: bool, name: str, words: tuple[str, str] = ("fw", "bw")) -> dict[str, Array]:
        """The top layer's outputs: one array a direction where `apart`, else side by side on the last axis."""
        top = [t for t in self.trace.tracks if t.layer == self.trace.layers - 1 and t.outputs is not None]
        arrays = {words[t.direction == "backward"]: self.time_axis(t.outputs) for t in top if t.outputs is not None}
        if apart and len(arrays) > 1:
            return {f"{name}.{word}": array for word, array in arrays.items()}
        return {name: np.concatenate(list(arrays.values()), -1)} if arrays else {}

    def stacked(self, field: str) -> Array | None:
        """`[L*D, B, H]`: `final` or `cell` of every track, l0 forward, l0 backward, l1 forward, …; None if missing."""
        states = [getattr(track, field) for track in self.trace.tracks]
        return None if any(s is None for s in states) else np.stack(states)
