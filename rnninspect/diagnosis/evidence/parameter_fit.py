"""What a weights file cannot hold, fitted to the dump: a missing bias, peepholes, a clip, the state a row began with.

Fed with the dump's own outputs (`forced`) each unit is a small least-squares problem of its own, and all are solved
side by side; all are one problem where a gate scales the state before its product, and so reaches every unit. A fit
counts only if an ordinary run with the fitted values then gives the dump's numbers on every row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rnninspect.core.cell import CellSpec
from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Direction
from rnninspect.core.weights import LayerWeights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.first_step import first_units
from rnninspect.diagnosis.evidence.half_carried import half_carried
from rnninspect.diagnosis.evidence.levenberg_marquardt import HOPELESS, MOST, from_several_starts, levenberg
from rnninspect.diagnosis.evidence.row_prefixes import longest, opening
from rnninspect.diagnosis.evidence.small_cases import small
from rnninspect.diagnosis.evidence.teacher_forcing import FEW_UNITS, forced, weights_of
from rnninspect.diagnosis.evidence.weight_search import (
    disagreement,
    fixed,
    fixes_difference,
    largest,
    may_differ,
    tolerance,
)
from rnninspect.diagnosis.once import once
from rnninspect.engine import cells
from rnninspect.measure.facts import TrackFacts, measure

SPARE, SPARE_IN_ALL = 2, 6  # outputs that a fit must give beyond as many as are fitted: of every unit, and in all
MOST_TOGETHER = 96  # numbers that are fitted as one problem: each of its rounds is a run for each
NEAR = (0.5,)  # where such a fit begins: it has more places to be stuck in than a unit's
RUNS = 1500  # of all its starts, where none of them comes near
NARROWED = 10  # turns of a search after which a clip that does not halve what is left is none
SHUTS = 20  # a number beyond which a gate is open or shut whatever it reads: such a fit is of steps that stand still
FIT_ROWS = 8  # rows whose first steps are fitted to; the fit is confirmed on all


@frozen
class Fitted:
    """A fit: the difference before and after it, the size of what was missing, and its description."""

    before: float
    after: float
    size: float
    description: str = ""


@once
def fitted_bias(case: Case) -> Fitted | None:
    """Fit a constant on every gate's bias that makes the run agree with the dump; None if there is none."""
    return _fit_vectors(case, _bias_slots(case), "a constant on every gate's bias") if _worth_fitting(case) else None


@once
def fitted_peepholes(case: Case) -> Fitted | None:
    """Fit peephole vectors that make the run of an LSTM without them agree with the dump, or None."""
    taken = cells.get(weights_of(case).spec.cell).varied_by
    if "use_peepholes" not in taken or any(w.peepholes is not None for w in weights_of(case).layers):
        return None
    return _fit_vectors(case, [("peepholes", i) for i in range(3)], "peepholes") if _worth_fitting(case) else None


@once
def fitted_clip(case: Case) -> Fitted | None:
    """Fit a clip of the cell state, the gates' inputs or the projection that makes the run agree, or None."""
    return _fit_clip(case) if _worth_fitting(case) else None


def _worth_fitting(case: Case) -> bool:
    """Only if a run disagrees, whose weights may be others, the states equal their outputs, and neither a plain
    conversion explains it nor a state that no step passes on.

    Where states do not fit their outputs, something else is wrong first, and a fit would chase it.
    """
    if not may_differ(case) or any(f.mismatched.any() for f in case.facts) or fixed(case) is not None:
        return False
    return half_carried(case) is None


def _bias_slots(case: Case) -> list[tuple[str, int]]:
    spec = weights_of(case).spec
    cell = cells.get(spec.cell)
    slots = [("bias", i) for i in range(len(cell.gates))]
    apart = "reset_after" in cell.fields and spec.reset_after  # r scales n's recurrent bias
    return [*slots, ("recurrent_bias", cell.gates.index("n"))] if apart else slots


def _fit_vectors(case: Case, slots: list[tuple[str, int]], description: str) -> Fitted | None:
    """Fit one number a unit for each of `slots` (field and gate), every track of a one-layer case apart."""
    weights = weights_of(case)
    if weights.depth > 1 or any(w.projection is not None for w in weights.layers) or not case.facts:
        return None
    layers = []
    size = 0.0
    for layer_weights in weights.layers:
        facts = _facts_of(case, layer_weights.direction)
        if facts is None or facts.track.order != "time" or not _tells(facts, len(slots)):
            return None
        few = opening(case, facts, longest(facts, FIT_ROWS))
        if not _first_units_fit(*few, layer_weights, slots, tolerance(case)):
            return None
        residuals = _residuals(*few, layer_weights, slots)
        solve = _solve_together if _units_meet(weights.spec) else from_several_starts
        vectors = solve(residuals, (len(slots), layer_weights.cell_units), tolerance(case))
        if vectors is None:
            return None
        layers.append(_with(layer_weights, slots, vectors))
        size = max(size, float(np.abs(vectors).max()))
        if size > SHUTS:
            return None
    changed = case.with_weights(replace(weights, layers=tuple(layers)))
    assert case.batch is not None
    before, after = disagreement(case), largest(case, changed.run(case.batch))
    return Fitted(before, after, size, description) if fixes_difference(case, before, after) else None


def _tells(facts: TrackFacts, count: int) -> bool:
    """Whether the real steps hold more numbers than `count` a unit can be fitted to by chance."""
    spare = int(facts.mask.sum()) - count
    return spare >= SPARE and spare * facts.outputs.shape[2] >= SPARE_IN_ALL


def _units_meet(spec: CellSpec) -> bool:
    """Whether the bias of a unit's gate changes other units: the reset gate's before the recurrent product."""
    return "r" in cells.get(spec.cell).gates and not spec.reset_after


def _solve_together(residuals: Callable[[Array], Array], shape: tuple[int, int], allowed: float) -> Array | None:
    """`[S, H]`: as `from_several_starts`, all units as one problem; None where they are too many, or none fits."""

    def joined(vectors: Array) -> Array:
        return residuals(vectors.reshape(shape)).reshape(-1, 1)

    count = shape[0] * shape[1]
    if count > MOST_TOGETHER:
        return None
    reached = from_several_starts(joined, (count, 1), allowed, NEAR, max(1, RUNS // (HOPELESS * count)))
    return None if reached is None else reached.reshape(shape)


def _first_units_fit(
    case: Case, facts: TrackFacts, layer_weights: LayerWeights, slots: list[tuple[str, int]], allowed: float
) -> bool:
    """Whether a few units can be fitted: a quick look before all are. True of a cell whose units are not apart, and of
    so few numbers that a fit of all is quick and may begin in several places."""
    if not cells.get(weights_of(case).spec.cell).has_c or facts.outputs[facts.mask].size <= MOST:
        return True
    residuals = _residuals(case, facts, first_units(layer_weights, FEW_UNITS), slots)
    fitted = levenberg(residuals, len(slots), FEW_UNITS, enough=allowed)
    return bool(np.abs(residuals(fitted)).max(initial=0.0) <= allowed)


def _facts_of(case: Case, direction: Direction) -> TrackFacts | None:
    """The facts of a direction of one layer; where its state was not recorded, with the one that its outputs end in."""
    facts = next((f for f in case.facts if f.track.direction == direction), None)
    track = case.trace.track(0, direction)
    if facts is not None or track is None or track.outputs is None or track.final is not None:
        return facts
    ends = np.maximum(case.trace.expected_steps(track), 0)
    return measure(case.trace, replace(track, final=track.outputs[np.arange(ends.size), ends]))


def _with(layer_weights: LayerWeights, slots: list[tuple[str, int]], vectors: Array) -> LayerWeights:
    """The layer with `vectors` `[S, H]` added at the slots."""
    for (name, gate), vector in zip(slots, vectors, strict=True):
        blank = np.zeros((3, layer_weights.cell_units)) if name == "peepholes" else np.zeros_like(layer_weights.bias)
        held = getattr(layer_weights, name)
        grown = np.array(blank if held is None else held, dtype=np.float64)
        grown[gate] += vector
        layer_weights = replace(layer_weights, **{name: grown})  # type: ignore[arg-type]
    return layer_weights


def _residuals(
    case: Case, facts: TrackFacts, layer_weights: LayerWeights, slots: list[tuple[str, int]]
) -> Callable[[Array], Array]:
    """From vectors `[S, H]` to the differences `[N, H]` of a teacher-forced run over the real steps of one track."""
    run = forced(case, facts)
    real = facts.mask
    target = facts.outputs[real][:, : layer_weights.cell_units].astype(np.float64)

    def residuals(vectors: Array) -> Array:
        return np.asarray(run(_with(layer_weights, slots, vectors))[real] - target)

    return residuals


def _fit_clip(case: Case) -> Fitted | None:
    """One clip value: the best of a coarse grid, refined, then rounded to few digits."""
    spec = weights_of(case).spec
    few = small(case)
    fields = {"gate_clip": "the gates' inputs clipped at {}"}
    if "cell_clip" in cells.get(spec.cell).fields:
        fields = {"cell_clip": "the cell state clipped at {}", **fields}
        if any(w.projection is not None for w in weights_of(case).layers):
            fields["proj_clip"] = "the projection clipped at {}"
    for name, description in fields.items():
        if getattr(spec, name) is not None:
            continue
        value = _search_clip(few, name)
        if value is None or _clipped(few, name, value) > tolerance(case):
            continue
        for digits in range(1, 8):
            written = float(f"{value:.{digits}g}")
            before, after = disagreement(case), _clipped(case, name, written)
            if fixes_difference(case, before, after):
                return Fitted(before, after, written, description.format(written))
    return None


def _clipped(case: Case, name: str, value: float) -> float:
    assert case.batch is not None
    weights = weights_of(case)
    spec = replace(weights.spec, **{name: value})  # type: ignore[arg-type]
    changed = replace(weights, spec=spec)
    return largest(case, case.with_weights(changed).run(case.batch))


def _search_clip(few: Case, name: str) -> float | None:
    """Golden section (Kiefer 1953) around the best value of a grid from 0.01 to 30; None where none helps much."""
    grid = np.geomspace(0.01, 30, 33)
    tried = [_clipped(few, name, float(v)) for v in grid]
    at = int(np.argmin(tried))
    if tried[at] > 0.7 * tried[-1]:  # the largest clip is as good as none
        return None
    low, high = float(grid[max(at - 1, 0)]), float(grid[min(at + 1, grid.size - 1)])
    golden = (5**0.5 - 1) / 2
    for turn in range(34):
        left, right = high - golden * (high - low), low + golden * (high - low)
        off = _clipped(few, name, left), _clipped(few, name, right)
        if turn == NARROWED and min(off) > tried[at] / 2:  # a hundredth as wide, and no nearer to the dump
            return None
        if off[0] <= off[1]:
            high = right
        else:
            low = left
    return (low + high) / 2
