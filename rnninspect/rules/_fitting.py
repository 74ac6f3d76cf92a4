"""What a weights file cannot hold, fitted to the dump: a missing bias, peepholes, a clip, the state a row began with.

Teacher forcing parts the units: fed with the dump's own outputs of the step before, a unit depends on no other unit, so
each is a small least-squares problem of its own (Levenberg-Marquardt, Marquardt 1963), and all are solved side by side.
A fit counts only if an ordinary run with the fitted values then gives the dump's numbers on every row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from rnninspect.batch import Batch
from rnninspect.case import Case
from rnninspect.facts import TrackFacts
from rnninspect.rules._conversions import disagreement, largest, mended, small, tolerance
from rnninspect.trace import Array, Bools, Trace, Track
from rnninspect.weights import GATES, LayerWeights, Weights

ROUNDS = 40  # of the fit; each costs one run a parameter
EVIDENCE = 3  # numbers of evidence that every fitted number must have


@dataclass(frozen=True)
class Fitted:
    """What the fit mends: the difference before and after, the size of what was missing, and what it is."""

    before: float
    after: float
    size: float
    words: str = ""


def fitted_bias(case: Case) -> Fitted | None:
    """A constant added to every gate's bias that mends the run, or None."""
    return _once(case, "fitted_bias", lambda: _fit_vectors(case, _bias_slots(case), "a constant on every gate's bias"))


def fitted_peepholes(case: Case) -> Fitted | None:
    """Peephole vectors that mend the run of an LSTM that has none, or None."""
    if _weights(case).spec.cell != "lstm" or any(w.peepholes is not None for w in _weights(case).layers):
        return None
    return _once(
        case, "fitted_peepholes", lambda: _fit_vectors(case, [("peepholes", i) for i in range(3)], "peepholes")
    )


def fitted_clip(case: Case) -> Fitted | None:
    """A clip of the cell state, of the gates' inputs or of the projection that mends the run, or None."""
    return _once(case, "fitted_clip", lambda: _fit_clip(case))


def _once(case: Case, name: str, fit: Callable[[], Fitted | None]) -> Fitted | None:
    """Fits once a case, and only where a run disagrees, the states fit their outputs, and no plain conversion mends it.

    Where states do not fit their outputs, something else is wrong first, and a fit would chase it.
    """
    if name not in case.memo:
        consistent = not any(f.off.any() for f in case.facts)
        case.memo[name] = fit() if consistent and disagreement(case) > 0 and mended(case) is None else None
    found: Fitted | None = case.memo[name]
    return found


def _weights(case: Case) -> Weights:
    assert case.weights is not None
    return case.weights


def _bias_slots(case: Case) -> list[tuple[str, int]]:
    spec = _weights(case).spec
    slots = [("bias", i) for i in range(len(GATES[spec.cell]))]
    return [*slots, ("recurrent_bias", 2)] if spec.cell == "gru" and spec.reset_after else slots


def _fit_vectors(case: Case, slots: list[tuple[str, int]], words: str) -> Fitted | None:
    """Fits one number a unit for each of `slots` (field and gate), every track of a one-layer case apart."""
    weights = _weights(case)
    if weights.depth > 1 or any(w.projection is not None for w in weights.layers) or not case.facts:
        return None
    layers = []
    size = 0.0
    for own in weights.layers:
        facts = next((f for f in case.facts if f.track.direction == own.direction), None)
        if facts is None or facts.track.order != "time" or facts.mask.sum() < EVIDENCE * len(slots):
            return None
        vectors = _levenberg(_residuals(case, facts, own, slots), len(slots), own.cell_units)
        layers.append(_with(own, slots, vectors))
        size = max(size, float(np.abs(vectors).max()))
    changed = replace(case, weights=replace(weights, layers=tuple(layers)))
    assert case.batch is not None
    after = largest(case, changed.run(case.batch))
    return Fitted(disagreement(case), after, size, words) if after <= tolerance(case) else None


def _with(own: LayerWeights, slots: list[tuple[str, int]], vectors: Array) -> LayerWeights:
    """The layer with `vectors` `[S, H]` added at the slots."""
    for (name, gate), vector in zip(slots, vectors, strict=True):
        blank = np.zeros((3, own.cell_units)) if name == "peepholes" else np.zeros_like(own.bias)
        held = getattr(own, name)
        grown = np.array(blank if held is None else held, dtype=np.float64)
        grown[gate] += vector
        own = replace(own, **{name: grown})  # type: ignore[arg-type]
    return own


def _residuals(
    case: Case, facts: TrackFacts, own: LayerWeights, slots: list[tuple[str, int]]
) -> Callable[[Array], Array]:
    """From vectors `[S, H]` to the differences `[N, H]` of a teacher-forced run over the real steps of one track."""
    forced = _forced(case, facts)
    real = facts.mask
    target = facts.outputs[real].astype(np.float64)

    def residuals(vectors: Array) -> Array:
        return np.asarray(forced(_with(own, slots, vectors))[real] - target)

    return residuals


def _forced(case: Case, facts: TrackFacts) -> Callable[[LayerWeights], Array]:
    """A teacher-forced run of one track `[B, T, H]`, float64: each step is fed the dump's own output before it."""
    assert case.batch is not None
    spec = _weights(case).spec
    inputs = case.batch.inputs[:, : facts.steps].astype(np.float64)
    before = _before(facts)
    rows, steps = facts.mask.shape
    if spec.cell == "lstm":  # c must go on from step to step, so h comes in as further features
        fed = Batch(np.concatenate([inputs, before], 2), facts.mask, None, True)

        def run(own: LayerWeights) -> Array:
            kernel = np.concatenate([own.input_kernel, own.recurrent_kernel], 1).astype(np.float64)
            return _outputs(case, fed, replace(own, input_kernel=kernel, recurrent_kernel=0.0 * own.recurrent_kernel))

        return run
    alone = Batch(inputs.reshape(rows * steps, 1, -1), np.ones((rows * steps, 1), dtype=np.bool_), None, True)
    state = before.reshape(rows * steps, -1)

    def run_apart(own: LayerWeights) -> Array:
        return _outputs(case, alone, own, state).reshape(rows, steps, -1)

    return run_apart


def _before(facts: TrackFacts) -> Array:
    """`[B, T, H]`: the output that was read before each step, the initial state (or zeros) before the first."""
    outputs = np.where(facts.mask[..., None], facts.outputs, 0).astype(np.float64)
    first = np.zeros_like(outputs[:, 0]) if facts.track.initial is None else facts.track.initial.astype(np.float64)
    before = np.zeros_like(outputs)
    if facts.track.direction == "backward":
        before[:, :-1] = outputs[:, 1:]
        last = np.maximum(facts.ends - 1, 0)
        before[np.arange(last.size), last] = first
    else:
        before[:, 1:] = outputs[:, :-1]
        before[:, 0] = first
    return before


def _outputs(
    case: Case, batch: Batch, own: LayerWeights, state: Array | None = None, cell: Array | None = None
) -> Array:
    """One layer, one direction, in float64: the outputs `[B, T, H]` of a plain run."""
    weights = replace(_weights(case), layers=(_as_float64(replace(own, layer=0)),))
    track = Track(0, own.direction, None, state, None, state, cell)
    trace = Trace(batch.mask, (track,), None, True, "zero", "initial", case.convention.name)
    ran = replace(case.with_trace(trace), weights=weights).run(batch).tracks[0].outputs
    assert ran is not None
    return ran.astype(np.float64)


def _as_float64(own: LayerWeights) -> LayerWeights:
    arrays = {f.name: getattr(own, f.name) for f in fields(own) if isinstance(getattr(own, f.name), np.ndarray)}
    return replace(own, **{name: array.astype(np.float64) for name, array in arrays.items()})


def _levenberg(residuals: Callable[[Array], Array], count: int, units: int) -> Array:
    """`[S, H]`: for each unit the `count` numbers that make its residuals smallest, from zero."""
    best = np.zeros((count, units))
    error = residuals(best)
    cost = (error**2).sum(0)
    damping = np.full(units, 1e-3)
    nudge = 1e-6
    for _ in range(ROUNDS):
        slopes = np.stack([(residuals(best + nudge * np.eye(count)[i][:, None]) - error) / nudge for i in range(count)])
        normal = np.einsum("inh,jnh->hij", slopes, slopes)
        gradient = np.einsum("inh,nh->hi", slopes, error)
        ridge = damping[:, None, None] * (
            np.einsum("hii->hi", normal)[:, :, None] * np.eye(count) + 1e-12 * np.eye(count)
        )
        step = np.linalg.solve(normal + ridge, -gradient[..., None])[..., 0].T
        trial = residuals(best + step)
        trial_cost = np.nan_to_num((trial**2).sum(0), nan=np.inf)
        better = trial_cost < cost
        best = np.where(better, best + step, best)
        error = np.where(better, trial, error)
        damping = np.clip(np.where(better, damping / 5, damping * 5), 1e-12, 1e9)
        done = np.abs(np.where(better, cost - trial_cost, 0)).max() <= 1e-18 and not better.any()
        cost = np.minimum(cost, trial_cost)
        if (done and (damping > 1e6).all()) or cost.max() < 1e-22:
            break
    return best


def _fit_clip(case: Case) -> Fitted | None:
    """One clip value: the best of a coarse grid, refined, then rounded to what a person would have written."""
    spec = _weights(case).spec
    few = small(case)
    fields = {"gate_clip": "the gates' inputs clipped at {}"}
    if spec.cell == "lstm":
        fields = {"cell_clip": "the cell state clipped at {}", **fields}
        if any(w.projection is not None for w in _weights(case).layers):
            fields["proj_clip"] = "the projection clipped at {}"
    for name, words in fields.items():
        if getattr(spec, name) is not None:
            continue
        value = _search_clip(few, name)
        if value is None:
            continue
        for digits in range(1, 8):
            written = float(f"{value:.{digits}g}")
            after = _clipped(case, name, written)
            if after <= tolerance(case):
                return Fitted(disagreement(case), after, written, words.format(written))
    return None


def _clipped(case: Case, name: str, value: float) -> float:
    assert case.batch is not None
    weights = _weights(case)
    spec = replace(weights.spec, **{name: value})  # type: ignore[arg-type]
    changed = replace(weights, spec=spec)
    return largest(case, replace(case, weights=changed).run(case.batch))


def _search_clip(few: Case, name: str) -> float | None:
    """Golden section (Kiefer 1953) around the best value of a grid from 0.01 to 30; None where none helps much."""
    grid = np.geomspace(0.01, 30, 33)
    tried = [_clipped(few, name, float(v)) for v in grid]
    at = int(np.argmin(tried))
    if tried[at] > 0.7 * tried[-1]:  # the largest clip is as good as none
        return None
    low, high = float(grid[max(at - 1, 0)]), float(grid[min(at + 1, grid.size - 1)])
    golden = (5**0.5 - 1) / 2
    for _ in range(34):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _clipped(few, name, left) <= _clipped(few, name, right):
            high = right
        else:
            low = left
    return (low + high) / 2


def follows_from_step_one(case: Case) -> Iterator[tuple[TrackFacts, Bools]]:
    """For each track: the rows whose first step is not what a zero state gives, and whose later steps follow from it.

    Of an LSTM the cell state after the first step is fitted; a row needs three real steps to say anything.
    """
    weights = _weights(case)
    if disagreement(case) == 0 or weights.depth > 1 or any(w.projection is not None for w in weights.layers):
        return
    limit = tolerance(case)
    for facts in case.facts:
        if facts.track.order != "time":
            continue
        own = weights.at(0, facts.track.direction)
        reference = case.reference.track(0, facts.track.direction)
        assert reference is not None
        assert reference.outputs is not None
        first = np.maximum(facts.ends - 1, 0) if facts.track.direction == "backward" else np.zeros_like(facts.ends)
        rows = np.arange(first.size)
        ours, theirs = facts.outputs[rows, first], reference.outputs[rows, first]
        starts_off = (np.abs(ours.astype(np.float64) - theirs) > limit).any(-1) & (facts.ends >= 3)
        later = facts.mask.copy()
        later[rows, first] = False
        error = _later_error(case, facts, own, later)
        follows = np.asarray(starts_off & ((error * later[..., None]).max((1, 2)) <= 10 * limit))
        if follows.any() and follows[starts_off].all():
            yield facts, follows


def _later_error(case: Case, facts: TrackFacts, own: LayerWeights, later: Bools) -> Array:
    """`[B, T, H]`: how far the steps after the first are from what the step before gives."""
    target = facts.outputs.astype(np.float64)
    if _weights(case).spec.cell != "lstm":
        return np.abs(_forced(case, facts)(own) - target)
    assert case.batch is not None
    inputs = case.batch.inputs[:, : facts.steps].astype(np.float64)
    fed = Batch(np.concatenate([inputs, _before(facts)], 2), later, None, True)
    kernel = np.concatenate([own.input_kernel, own.recurrent_kernel], 1).astype(np.float64)
    forced = replace(own, input_kernel=kernel, recurrent_kernel=0.0 * own.recurrent_kernel)
    state = np.zeros(target[:, 0].shape)

    def residuals(cell: Array) -> Array:
        gap = (_outputs(case, fed, forced, state, cell.reshape(state.shape)) - target) * later[..., None]
        return np.moveaxis(gap, 1, 0).reshape(facts.steps, -1)  # each (row, unit) is a problem of its own

    cell = _levenberg(residuals, 1, state.size)
    return np.abs(_outputs(case, fed, forced, state, cell.reshape(state.shape)) - target)
