"""The very spot of a difference: which row, from which step on, and what stood there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnninspect.invariance.compare import Run, aligned
from rnninspect.invariance.traces import Tracing


@dataclass(frozen=True)
class Spot:
    """The first row that differs, its first step that does (None where there are no steps), and the value that changed
    most there: what it was, and what it became with the padding changed.
    """

    row: int
    step: int | None
    undisturbed: float
    disturbed: float

    def __str__(self) -> str:
        return f"first in row {self.row}" + ("" if self.step is None else f", step {self.step}")

    @property
    def evidence(self) -> dict[str, Any]:
        """What a finding keeps of it."""
        finite = {"undisturbed": self.undisturbed, "disturbed": self.disturbed}
        kept = {name: value if np.isfinite(value) else None for name, value in finite.items()}
        return {"first_row": self.row, **({} if self.step is None else {"first_step": self.step}), **kept}


def spot_of(tracing: Tracing, run: Run, paths: Iterable[str]) -> Spot | None:
    """The spot of the first of these arrays that differs; None where none has rows that can be compared."""
    for path in paths:
        listed = tracing.differs(run, [path])
        pairs = (
            aligned(tracing.base, run, tracing.shapes, path) if listed and tracing.shapes.axes[path].row_axes else None
        )
        for row, first, second in pairs or ():
            if row in listed[0].rows:
                return _spot(tracing, path, row, first, second, listed[0].allowed)
    return None


def _spot(tracing: Tracing, path: str, row: int, first: Any, second: Any, allowed: float) -> Spot:
    """The spot within one row, whose array has no row axis any more."""
    axes, shapes = tracing.shapes.axes[path], tracing.shapes
    with np.errstate(all="ignore"):
        gaps = np.abs(np.asarray(first, np.float64) - np.asarray(second, np.float64))
    gaps = np.where(np.isnan(gaps), np.where(np.isnan(first) & np.isnan(second), 0.0, np.inf), gaps)
    parts = [part for part in axes.parts if part != "rows"]
    step = None
    if "steps" in parts:
        axis = parts.index("steps")
        at = int(np.flatnonzero((np.moveaxis(gaps, axis, 0).reshape(gaps.shape[axis], -1) > allowed).any(1))[0])
        shape = axes.canonical(tracing.base.results[path], tracing.base.sizes)
        assert shape is not None
        real = shapes.real_index(path, shape.shape, row)[axis]
        step = at if isinstance(real, slice) else int(real[at])
        first, second, gaps = (np.take(array, at, axis=axis) for array in (first, second, gaps))
    worst = np.unravel_index(int(np.argmax(gaps)), gaps.shape) if gaps.shape else ()
    return Spot(row, step, float(first[worst]), float(second[worst]))
