"""Weights: one canonical set of gates per layer and direction, with the cell's attributes.

Gate blocks lie on an axis of their own, in one order whatever the framework: that of the cell's `CellDescription`.
"""

from __future__ import annotations

from typing import Literal

from rnninspect.core.cell import CellSpec
from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Direction

# What a layer reads of the two directions below it: both, side by side or merged (Keras `merge_mode`), or its own alone
# (cells stacked within a direction: TensorFlow's MultiRNNCell, Keras' RNN of several cells).
Between = Literal["concat", "sum", "mul", "ave", "apart"]


@frozen(eq=False)
class LayerWeights:
    """The gates of one layer in one direction; `G` gates in canonical order, `P` = H, or the projection's width.

    `input_kernel`: `[G, F, H]`; `recurrent_kernel`: `[G, P, H]`; `bias`: `[G, H]`, on the input side.
    `recurrent_bias`: `[G, H]` or None; it is apart from `bias` only where that matters (a reset-after GRU) or where
    the framework keeps two.
    `peepholes`: `[3, H]` for i, f, o, or None; `projection`: `[H, P]` or None.
    """

    layer: int
    direction: Direction
    input_kernel: Array
    recurrent_kernel: Array
    bias: Array
    recurrent_bias: Array | None = None
    peepholes: Array | None = None
    projection: Array | None = None

    @property
    def features(self) -> int:
        return int(self.input_kernel.shape[1])

    @property
    def parts(self) -> frozenset[str]:
        """What it holds beside kernels and biases: `peepholes`, `projection`."""
        return frozenset(name for name in ("peepholes", "projection") if getattr(self, name) is not None)

    @property
    def cell_units(self) -> int:
        """Units of the cell (of c in an LSTM), before any projection."""
        return int(self.input_kernel.shape[2])

    @property
    def units(self) -> int:
        """Units of the outputs and of h."""
        return int(self.recurrent_kernel.shape[1])


@frozen(eq=False)
class Weights:
    """Every layer's gates, bottom layer first, forward before backward, and what the cell computes.

    `names`: the scopes or prefixes that the file gave the layers, in its order. `between`: what a layer reads of the
    two directions below it. `notes`: assumptions made in reading them. `backward`: what the cell computes in that
    direction, if it differs from `spec`. `quantised`: the operator that rounds its inputs to a few bits at run time, so
    that its results only come close to those of these weights; else empty. `of_a_cell`: those of a single cell,
    which the user's own loop runs step by step and which does not pad.
    """

    spec: CellSpec
    layers: tuple[LayerWeights, ...]
    source: str = ""
    convention: str = ""
    names: tuple[str, ...] = ()
    between: Between = "concat"
    notes: tuple[str, ...] = ()
    backward: CellSpec | None = None
    quantised: str = ""
    of_a_cell: bool = False

    @property
    def depth(self) -> int:
        return 1 + max(w.layer for w in self.layers)

    @property
    def directions(self) -> tuple[Direction, ...]:
        return tuple(dict.fromkeys(w.direction for w in self.layers))

    def spec_of(self, direction: Direction) -> CellSpec:
        """What the cell computes in that direction."""
        return self.backward if self.backward is not None and direction == "backward" else self.spec

    def at(self, layer: int, direction: Direction) -> LayerWeights:
        """The gates of that layer and direction; KeyError where there are none."""
        for weights in self.layers:
            if weights.layer == layer and weights.direction == direction:
                return weights
        raise KeyError((layer, direction))

    def reads(self, layer: int, direction: Direction) -> int:
        """How many features that layer must read, in that direction: what the layer below gives it. Above the first."""
        if self.between == "apart":
            return self.at(layer - 1, direction).units
        below = [w.units for w in self.layers if w.layer == layer - 1]
        return sum(below) if self.between == "concat" else below[0]
