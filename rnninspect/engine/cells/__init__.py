"""The kinds of cells. A new file with a CELL is a new one; nothing here imports torch before a step is made."""

from __future__ import annotations

import importlib
from functools import cache

from rnninspect.core.cell import Cell, CellDescription, CellSpec
from rnninspect.core.modules_in import modules_in
from rnninspect.core.weights import LayerWeights
from rnninspect.engine.step import Make, StepCell
from rnninspect.errors import UnknownNameError


@cache
def cells() -> dict[str, CellDescription]:
    """Every kind of cell by its name, lstm first (what a layer is where nothing is stated), then by name."""
    by_name: dict[str, CellDescription] = {}
    for module in modules_in(__path__):
        cell = getattr(importlib.import_module(f"{__name__}.{module}"), "CELL", None)
        if cell is not None:
            by_name[cell.name] = cell
    return dict(sorted(by_name.items(), key=lambda item: (item[0] != "lstm", item[0])))


def get(name: Cell) -> CellDescription:
    """The cell of that name; UnknownNameError lists the known ones."""
    by_name = cells()
    if name not in by_name:
        raise UnknownNameError("cell", name, list(by_name))
    return by_name[name]


def make_cell(spec: CellSpec, weights: LayerWeights, make: Make) -> StepCell:
    """The step of that spec with those weights, as `make` turns them into tensors (imports torch)."""
    step: StepCell = get(spec.cell).step(spec, weights, make)
    return step
