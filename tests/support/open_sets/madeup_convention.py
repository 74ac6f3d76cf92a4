"""A framework of its own: gates in two kernels with the columns o, g, f, i, and states in tuples by layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rnninspect.conventions.base import Facts, Gates
from rnninspect.conventions.dumps.writer import DumpNames
from rnninspect.conventions.weights import gates
from rnninspect.conventions.weights.express import merge_biases, refuse
from rnninspect.conventions.weights.scopes import Parts, Scope
from rnninspect.conventions.weights.stack import ScopedConvention
from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.evidence import Role
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Direction, Trace
from rnninspect.core.weights import LayerWeights, Weights

ORDER: dict[Cell, str] = {"lstm": "ogfi", "rnn": "n"}
CELLS: dict[int, Cell] = {len(order): cell for cell, order in ORDER.items()}
PARTS = ("madeup_x", "madeup_h", "madeup_bias")


class MadeUp(ScopedConvention):
    name = "madeup"
    cells = ("lstm", "rnn")
    takes = frozenset({"activation"})
    takes = frozenset({"activation"})
    variables = "…/madeup_x, …/madeup_h, …/madeup_bias"
    variable = re.compile(r"(?:.*/)?(?P<part>madeup_(?:x|h|bias))")
    facts = Facts(
        framework="Made up",
        outputs="B T (D H)",
        state="(L D) B H",
        order="(h, c)",
        padding="zero",
        zero_length="initial state",
        lstm_gates=Gates(("o", "g", "f", "i")),
        gru_gates=Gates(()),
        kernels="[F, 4H], [H, 4H]",
        biases="one",
        source="this file",
    )
    names: Mapping[Role, tuple[str, ...]] = {
        "outputs": (r"madeup_outputs",),
        "h": (r"madeup_h",),
        "c": (r"madeup_c",),
        "initial_h": (r"madeup_h0",),
        "initial_c": (r"madeup_c0",),
    }
    fixes: Mapping[str, str] = {"lengths-ignored": "madeup.run(inputs, lengths)"}

    def spec(self, cell: Cell, attributes: Mapping[str, Any]) -> CellSpec:
        return gates.spec(cell, attributes)

    def owns_weights(self, names: tuple[str, ...]) -> bool:
        return any(name.endswith("madeup_h") for name in names) and any(name.endswith("madeup_x") for name in names)

    def cell_of(self, scope: Scope) -> Cell | None:
        kernel = scope.arrays.get("madeup_h")
        if kernel is None or kernel.ndim != 2 or not kernel.shape[0] or kernel.shape[1] % kernel.shape[0]:
            return None
        return CELLS.get(kernel.shape[1] // kernel.shape[0])

    def parts(self, scope: Scope, cell: Cell) -> Parts:
        return Parts(PARTS)

    def read_layer(self, scope: Scope, spec: CellSpec, layer: int, direction: Direction) -> LayerWeights:
        order, cell = ORDER[spec.cell], spec.cell
        units = scope.need("madeup_h", (None, None), "a recurrent kernel has two axes").shape[0]
        why, total = f"as {scope.shown('madeup_h')} says", len(order) * units
        return LayerWeights(
            layer,
            direction,
            gates.split_columns(scope.need("madeup_x", (None, total), why), order, cell, scope.path_of("madeup_x")),
            gates.split_columns(scope.need("madeup_h", (units, total), why), order, cell, scope.path_of("madeup_h")),
            gates.split_bias(scope.need("madeup_bias", (total,), why), order, cell, scope.path_of("madeup_bias")),
        )

    def write_weights(self, weights: Weights) -> dict[str, Array]:
        refuse(self, weights, peepholes=True, projection=True)
        cell, order = weights.spec.cell, ORDER[weights.spec.cell]
        arrays: dict[str, Array] = {}
        for w in weights.layers:
            scope = f"madeup_{w.layer}/{w.direction}"
            arrays[f"{scope}/madeup_x"] = gates.join_columns(w.input_kernel, order, cell)
            arrays[f"{scope}/madeup_h"] = gates.join_columns(w.recurrent_kernel, order, cell)
            arrays[f"{scope}/madeup_bias"] = gates.join_bias(merge_biases(w), order, cell)
        return arrays

    def dump(self, trace: Trace, config: LayerConfig, weights: Weights | None = None) -> dict[str, Array]:
        names = DumpNames(trace, config)
        arrays = names.top() | names.stacked(
            madeup_h="final", madeup_c="cell", madeup_h0="initial", madeup_c0="initial_cell"
        )
        return {"madeup_outputs" if name == "outputs" else name: array for name, array in arrays.items()}


CONVENTION = MadeUp()
