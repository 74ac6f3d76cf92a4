"""The dump fed with its own outputs: each step is given the output that the dump holds for the step before.

So an error does not grow from step to step, and the units part: fed like this, a unit depends on no other unit (teacher
forcing: Williams & Zipser 1989, "A learning algorithm for continually running fully recurrent neural networks").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.batch import Batch
from rnninspect.core.trace import Array, Bools, Ints, Trace, Track
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.first_step import first_units
from rnninspect.diagnosis.evidence.levenberg_marquardt import HOPELESS, levenberg
from rnninspect.diagnosis.evidence.row_prefixes import longest, opening
from rnninspect.diagnosis.evidence.weight_changes import as_float64
from rnninspect.diagnosis.evidence.weight_search import MUCH, agrees, tolerance
from rnninspect.diagnosis.once import once
from rnninspect.engine import cells
from rnninspect.measure.facts import TrackFacts

GRID = 9  # cell states that are tried first where a clip makes the fit flat
FEW = 4  # rows that are looked at before all are
FEW_UNITS = 8  # units that are looked at before all are
GLANCE = 4  # rounds of a fit in which these show whether it leads anywhere


def weights_of(case: Case) -> Weights:
    """The case's weights, which a rule that fits has already asked for."""
    assert case.weights is not None
    return case.weights


def forced(case: Case, facts: TrackFacts) -> Callable[[LayerWeights], Array]:
    """A teacher-forced run of one track `[B, T, H]`, float64: each step is fed the dump's own output before it.

    Of a cell with c, the run may be asked of a few units alone (`first_units`).
    """
    assert case.batch is not None
    spec = weights_of(case).spec
    inputs = case.batch.inputs[:, : facts.steps].astype(np.float64)
    before = _before(facts)
    rows, steps = facts.mask.shape
    if cells.get(spec.cell).has_c:  # c must go on from step to step, so h comes in as further features
        fed = Batch(np.concatenate([inputs, before], 2), facts.mask, None, True)

        return lambda layer_weights: plain_outputs(case, fed, _fed_with_h(layer_weights))
    alone = Batch(inputs.reshape(rows * steps, 1, -1), np.ones((rows * steps, 1), dtype=np.bool_), None, True)
    state = before.reshape(rows * steps, -1)

    def run_apart(layer_weights: LayerWeights) -> Array:
        return plain_outputs(case, alone, layer_weights, state).reshape(rows, steps, -1)

    return run_apart


def _fed_with_h(layer_weights: LayerWeights) -> LayerWeights:
    """The weights of a layer that is given the h before each step as further features, and reads none of its own."""
    kernel = np.concatenate([layer_weights.input_kernel, layer_weights.recurrent_kernel], 1).astype(np.float64)
    gates, units = layer_weights.bias.shape
    width = units if layer_weights.projection is None else layer_weights.units
    return replace(layer_weights, input_kernel=kernel, recurrent_kernel=np.zeros((gates, width, units)))


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


def plain_outputs(
    case: Case, batch: Batch, layer_weights: LayerWeights, state: Array | None = None, cell: Array | None = None
) -> Array:
    """One layer, one direction, in float64: the outputs `[B, T, H]` of a plain run."""
    weights = replace(weights_of(case), layers=(as_float64(replace(layer_weights, layer=0)),))
    track = Track(0, layer_weights.direction, None, state, None, state, cell)
    trace = Trace(batch.mask, (track,), None, True, "zero", "initial", case.convention.name)
    ran = case.with_trace(trace).with_weights(weights).run(batch).tracks[0].outputs
    assert ran is not None
    return ran.astype(np.float64)


def fewest_steps(weights: Weights) -> int:
    """The real steps that a row must have to show what its later steps follow from: c takes one to fit."""
    return 3 if cells.get(weights.spec.cell).has_c else 2


@once
def follows_from_step_one(case: Case) -> list[tuple[TrackFacts, Bools]]:
    """For each track: the rows whose first step is not what a zero state gives, and whose later steps follow from it.

    Of an LSTM the cell state after the first step is fitted, which takes one more step to say anything.
    """
    return list(_following(case))


def _following(case: Case) -> Iterator[tuple[TrackFacts, Bools]]:
    weights = weights_of(case)
    if agrees(case) or not _units_are_apart(weights):
        return
    limit = tolerance(case)
    fewest = fewest_steps(weights)
    for facts in case.facts:
        if facts.track.order != "time":
            continue
        layer_weights = weights.at(0, facts.track.direction)
        reference = case.reference.track(0, facts.track.direction)
        assert reference is not None
        assert reference.outputs is not None
        first = _first(facts)
        rows = np.arange(first.size)
        ours, theirs = facts.outputs[rows, first], reference.outputs[rows, first]
        starts_off = (np.abs(ours.astype(np.float64) - theirs) > limit).any(-1) & (facts.real_counts >= fewest)
        starts_off &= _begins_where_stated(case, facts) & ~facts.zero[rows, first]  # zeros were not computed: skipped
        if not starts_off.any():
            continue
        few = longest(replace(facts, mask=facts.mask & starts_off[:, None]), FEW)
        few = few[starts_off[few]]
        if not (_later_error(*opening(case, facts, few), layer_weights) <= 10 * limit).all():
            continue  # a few rows tell that the later steps do not follow, and that is the end of it
        later = _later_error(case, facts, layer_weights)
        gap = np.abs(ours.astype(np.float64) - theirs).max(-1)
        follows = starts_off & (later <= 10 * limit) & (later * MUCH <= gap)
        if follows.any() and follows[starts_off].all():
            yield facts, follows


def _begins_where_stated(case: Case, facts: TrackFacts) -> Bools:
    """`[B]`: rows whose first step in the order read is sure. A backward pass begins at the length: where the forward
    half ends elsewhere, or the length lies beyond the outputs, the dump does not say where the pass began."""
    sure = np.ones(facts.ends.shape, dtype=np.bool_)
    if facts.track.direction == "backward":
        for other in case.facts:
            if other.track.direction == "forward":
                sure &= ~other.mismatched
        if case.trace.lengths is not None:
            sure &= case.trace.lengths <= facts.steps
    return sure


def _first(facts: TrackFacts) -> Ints:
    """`[B]`: the step that each row reads first."""
    return np.maximum(facts.ends - 1, 0) if facts.track.direction == "backward" else np.zeros_like(facts.ends)


def _later_error(case: Case, facts: TrackFacts, layer_weights: LayerWeights) -> Array:
    """`[B]`: how far the steps after the first are at most from what the step before gives.

    Of an LSTM the cell state that a row has after its first step is fitted on the steps of its opening.
    """
    target = facts.outputs.astype(np.float64)
    if cells.get(weights_of(case).spec.cell).has_c:
        few = opening(case, facts, np.arange(len(facts.mask)))
        cell = _fitted_cell(*few, _after_first(*few, layer_weights))
        error = np.abs(_after_first(case, facts, layer_weights)(cell) - target)
    else:
        error = np.abs(forced(case, facts)(layer_weights) - target)
    worst: Array = (error * _later(facts)[..., None]).max((1, 2))
    return worst


def _later(facts: TrackFacts) -> Bools:
    """`[B, T]`: the real steps after each row's first."""
    later = facts.mask.copy()
    later[np.arange(len(later)), _first(facts)] = False
    return later


def _units_are_apart(weights: Weights) -> bool:
    """Whether each unit of c shows in an output of its own: no layer is above it, and no projection mixes them."""
    return weights.depth == 1 and all(w.projection is None for w in weights.layers)


def first_units_follow(case: Case) -> bool:
    """Whether the later steps of a few units follow from some cell state after the first one: a quick look before
    `follows_from_step_one` fits one for all of them. True of a cell without c, which needs no fit."""
    weights = weights_of(case)
    if not _units_are_apart(weights) or not cells.get(weights.spec.cell).has_c:
        return _units_are_apart(weights)
    for facts in case.facts:
        after_first = _after_first(case, facts, weights.at(0, facts.track.direction), FEW_UNITS)
        error = after_first(_fitted_cell(case, facts, after_first, FEW_UNITS)) - facts.outputs[..., :FEW_UNITS]
        if (np.abs(error) * _later(facts)[..., None]).max(initial=0.0) <= 10 * tolerance(case):
            return True
    return False


def _fitted_cell(
    case: Case, facts: TrackFacts, after_first: Callable[[Array], Array], units: int | None = None
) -> Array:
    """`[B, H]`: the cell states after each row's first step from which its later steps follow best; of the first
    `units` alone, which depend on no other here."""
    target, later = facts.outputs[..., :units].astype(np.float64), _later(facts)[..., None]
    shape = target[:, 0].shape

    def residuals(cell: Array) -> Array:
        gap = (after_first(cell.reshape(shape)) - target) * later
        return np.moveaxis(gap, 1, 0).reshape(facts.steps, -1)  # each (row, unit) is a problem of its own

    count, rounds = shape[0] * shape[1], HOPELESS if units is None else GLANCE
    start = np.zeros((1, count))
    clip = weights_of(case).spec.cell_clip
    if clip:  # where the next c is clipped whatever this one is, no slope leads away: begin at the best of a grid
        grid = np.linspace(-clip, clip, GRID)
        costs = np.stack([(residuals(np.full((1, count), value)) ** 2).sum(0) for value in grid])
        start = grid[costs.argmin(0)][None]
    return (start + levenberg(lambda cell: residuals(start + cell), 1, count, rounds)).reshape(shape)


def _after_first(
    case: Case, facts: TrackFacts, layer_weights: LayerWeights, units: int | None = None
) -> Callable[[Array], Array]:
    """From cell states `[B, H]` to `[B, T, H]`: the steps after each first one, fed with the dump's own outputs; of the
    first `units` alone."""
    assert case.batch is not None
    inputs = case.batch.inputs[:, : facts.steps].astype(np.float64)
    fed = Batch(np.concatenate([inputs, _before(facts)], 2), _later(facts), None, True)
    fed_layer = _fed_with_h(first_units(layer_weights, units))
    return lambda cell: plain_outputs(case, fed, fed_layer, np.zeros_like(cell), cell)
