"""Kernels whose gate blocks are stacked in rows, with a bias on each side: cuDNN's layout (PyTorch, Paddle, MXNet)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnninspect.conventions.weights import gates
from rnninspect.conventions.weights.scopes import Parts, Scope, blocks
from rnninspect.conventions.weights.stack import ScopedConvention
from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Direction
from rnninspect.core.weights import LayerWeights
from rnninspect.engine import cells
from rnninspect.errors import ShapeError

ORDER: dict[Cell, str] = {"lstm": "ifgo", "gru": "rzn", "rnn": "n"}
_CELLS: dict[int, Cell] = {len(order): cell for cell, order in ORDER.items()}


@frozen
class RowNames:
    """What a framework calls the parts; `projection` is `[P, H]` (`[H, P]` where `projection_by_unit`)."""

    input_kernel: str = "weight_ih"
    recurrent_kernel: str = "weight_hh"
    input_bias: str = "bias_ih"
    recurrent_bias: str = "bias_hh"
    projection: str = "weight_hr"
    projection_by_unit: bool = False


class RowConvention(ScopedConvention):
    """A framework with cuDNN's layout: LSTM i, f, g, o; GRU r, z, n, reset after; two biases, both or none."""

    rows = RowNames()
    separator = "."
    biases_may_lack = True

    def cell_of(self, scope: Scope) -> Cell | None:
        kernel = scope.arrays.get(self.rows.recurrent_kernel)
        if kernel is None or kernel.ndim != 2 or not kernel.shape[1]:
            return None
        if self.rows.projection in scope.arrays:
            return "lstm"
        return _CELLS.get(kernel.shape[0] // kernel.shape[1]) if kernel.shape[0] % kernel.shape[1] == 0 else None

    def parts(self, scope: Scope, cell: Cell) -> Parts:
        biases = (self.rows.input_bias, self.rows.recurrent_bias)
        kernels = (self.rows.input_kernel, self.rows.recurrent_kernel)
        bare = self.biases_may_lack and not any(part in scope.arrays for part in biases)
        return Parts(
            kernels if bare else kernels + biases,
            (self.rows.projection,) if "num_proj" in cells.get(cell).varied_by else (),
        )

    def read_layer(self, scope: Scope, spec: CellSpec, layer: int, direction: Direction) -> LayerWeights:
        names, order = self.rows, ORDER[spec.cell]
        recurrent = scope.need(names.recurrent_kernel, (None, None), f"a {spec.cell}'s recurrent kernel has two axes")
        if recurrent.shape[0] % len(order):
            raise ShapeError(
                f"{scope.shown(names.recurrent_kernel)}: a {spec.cell} needs {len(order)} gate blocks "
                f"({', '.join(order)}), and {recurrent.shape[0]} rows do not divide"
            )
        units = recurrent.shape[0] // len(order)
        why = blocks(order, units, scope.shown(names.recurrent_kernel))
        projection = self._projection(scope, units, why)
        width = units if projection is None else projection.shape[1]
        total = len(order) * units
        scope.need(names.recurrent_kernel, (total, width), f"a {spec.cell}'s {why}, and a state of {width}")
        kernel = scope.need(names.input_kernel, (total, None), why)
        return LayerWeights(
            layer,
            direction,
            gates.split_rows(kernel, order, spec.cell, scope.path_of(names.input_kernel)),
            gates.split_rows(recurrent, order, spec.cell, scope.path_of(names.recurrent_kernel)),
            self._bias(scope, names.input_bias, spec.cell, total, why, kernel),
            self._bias(scope, names.recurrent_bias, spec.cell, total, why, kernel),
            projection=projection,
        )

    def _bias(self, scope: Scope, part: str, cell: Cell, total: int, why: str, like: Array) -> Array:
        """`[G, H]`; zeros in a layer that was made without biases."""
        if part not in scope.arrays:
            return np.zeros((len(ORDER[cell]), total // len(ORDER[cell])), dtype=like.dtype)
        return gates.split_bias(scope.need(part, (total,), why), ORDER[cell], cell, scope.path_of(part))

    def _projection(self, scope: Scope, units: int, why: str) -> Array | None:
        """`[H, P]`, or None."""
        if self.rows.projection not in scope.arrays:
            return None
        if self.rows.projection_by_unit:
            return scope.need(self.rows.projection, (units, None), why)
        return np.ascontiguousarray(scope.need(self.rows.projection, (None, units), why).T)

    def write_layer(self, spec: CellSpec, w: LayerWeights) -> Iterator[tuple[str, Array]]:
        """Each part's name and array."""
        names, order = self.rows, ORDER[spec.cell]
        second = np.zeros_like(w.bias) if w.recurrent_bias is None else w.recurrent_bias
        yield names.input_kernel, gates.join_rows(w.input_kernel, order, spec.cell)
        yield names.recurrent_kernel, gates.join_rows(w.recurrent_kernel, order, spec.cell)
        yield names.input_bias, gates.join_bias(w.bias, order, spec.cell)
        yield names.recurrent_bias, gates.join_bias(second, order, spec.cell)
        if w.projection is not None:
            part = w.projection if names.projection_by_unit else np.ascontiguousarray(w.projection.T)
            yield names.projection, part
