"""A dump beside a run of its weights: how far apart, and which conversion brings the two together.

Each change is tried on a few rows and steps, alone and then in pairs, and confirmed on the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rnninspect.core.batch import Batch
from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Ints, PaddingPolicy, Trace
from rnninspect.core.weights import LayerWeights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.once import once
from rnninspect.measure.casts import BITS, cast_from, narrowed
from rnninspect.measure.decimals import decimals
from rnninspect.measure.difference import TrackDifference, differences, precision

if TYPE_CHECKING:
    from rnninspect.diagnosis.evidence.weight_changes import Change

ROWS, STEPS = 4, 10  # what a change is tried on first
GLANCE = 2  # steps that tell most changes from chance: the recurrent ones show from the second on
DRIFT = 3  # times as far: a run rounds its states too, and these are rounded in weights and inputs alone
NEARER = 0.92  # share of the difference that is left where the rounding of weights and inputs explains some of it
MUCH = 4  # a change that explains the difference leaves at most 1/MUCH of it
# What two right implementations of one cell may differ by, per precision, on outputs within [-1, 1].
AGREE = {"float64": 1e-9, "float32": 5e-5, "float16": 1e-2, "bfloat16": 5e-2}


@frozen(eq=False)
class WeightFix:
    """The changes that bring the dump and a run of its weights together: the difference before and after."""

    changes: tuple[Change, ...]
    before: float
    after: float
    also: tuple[str, ...] = ()


@once
def fixed(case: Case) -> WeightFix | None:
    """The one change after which the weights give the dump; None if they agree unchanged, or none does it."""
    return _search(case, lambda changes: ((c,) for c in changes)) if _may_differ(case) else None


@once
def fixed_by_two(case: Case) -> WeightFix | None:
    """The two changes that together make the weights give the dump, if nothing simpler does."""
    from rnninspect.diagnosis.evidence.weight_changes import pairs

    return _search(case, pairs) if _may_differ(case) else None


def _may_differ(case: Case) -> bool:
    """Whether other weights may have made the dump: never of a live layer, whose run was made with these."""
    return not case.layer.weights_as_run and disagreement(case) > 0


@once
def disagreement(case: Case) -> float:
    """The largest difference between the dump and a run of its weights over real steps; 0 where they agree, or part
    as any two right runs would."""
    per_track, limit = compared(case, case.reference), tolerance(case)
    gap = max((d.largest for d in per_track), default=0.0)
    if gap <= limit:
        return 0.0
    from rnninspect.diagnosis.evidence.grown_rounding import is_grown_rounding

    return 0.0 if is_grown_rounding(case, per_track, limit) else gap


def padding_follows(case: Case, padding: PaddingPolicy) -> bool:
    """Whether it is known whose outputs these are, that framework leaves `padding` in masked steps, and a run of the
    weights gives these very outputs there too: nothing is left to say of them."""
    usual = case.config.padding is None and case.reading.evidence.decided and case.trace.padding == padding
    if not (usual and case.has("inputs") and case.has("weights")) or disagreement(case) > 0:
        return False
    per_track = compared(case, case.reference)
    return bool(per_track) and max(d.largest_padded for d in per_track) <= tolerance(case)


@once
def tolerance(case: Case) -> float:
    """How far two right runs may be apart: by the precision of the dump or its weights, by half a unit of its last
    printed digit, by what its inputs were rounded to."""
    outputs = [t.outputs for t in case.trace.tracks if t.outputs is not None]
    if not outputs or case.weights is None:
        return 0.0
    sample = np.concatenate([o[:ROWS, : 4 * STEPS].ravel() for o in outputs])
    kinds = {precision(sample), precision(case.weights.layers[0].input_kernel)}
    scale = float(np.abs(sample[np.isfinite(sample)]).max(initial=0.0))
    return max(AGREE[k] for k in kinds) * scale + _lost_by_printing(case, sample)


def _lost_by_printing(case: Case, outputs: Array) -> float:
    """Half a unit of the last printed digit of the outputs, and what rounded or cast inputs can add through kernels."""
    allowed = 0.0
    if (digits := decimals(outputs)) is not None:
        allowed += 0.6 * 10.0**-digits
    if case.batch is not None and (digits := decimals(case.batch.inputs)) is not None:
        allowed += 4 * 10.0**-digits
    if case.batch is not None and (kind := cast_from(case.batch.inputs[:ROWS])) is not None:
        allowed += 4 * 2.0 ** -BITS[kind] * float(np.abs(outputs[np.isfinite(outputs)]).max(initial=0.0))
    return allowed


def fixes_difference(case: Case, before: float, after: float) -> bool:
    """Whether a change that leaves the difference `after` of `before` is to be believed: within what two right runs may
    differ by, and far below what it was, because a fit can always shave off some of the rounding."""
    return after <= tolerance(case) and after * MUCH <= before


@once
def lower_precision(case: Case) -> str | None:
    """The lower precision that the dump was computed in, whatever its own type; None where none explains it.

    A run of weights and inputs rounded so must be as far from the right run as the dump is, and nearer to the dump:
    numbers of other weights are no nearer to it.
    """
    from rnninspect.diagnosis.evidence.weight_changes import each

    if case.batch is None or case.weights is None:
        return None
    for name in ("float16", "bfloat16"):
        weights = each(case.weights, partial(_rounded, name=name))
        coarse = case.with_weights(weights).run(replace(case.batch, inputs=narrowed(case.batch.inputs, name)))
        moved = max((d.largest for d in differences(case.reference, coarse)), default=0.0)
        nearer = _typical(case, coarse) <= NEARER * _typical(case, case.reference)
        if nearer and disagreement(case) <= DRIFT * moved:
            return name
    return None


def _typical(case: Case, trace: Trace) -> float:
    """The mean over real steps of the largest difference between the dump and a run."""
    per_track = compared(case, trace)
    return float(np.mean(np.concatenate([d.difference[d.real] for d in per_track]))) if per_track else 0.0


def _rounded(layer: LayerWeights, name: str) -> LayerWeights:
    arrays = {f.name: getattr(layer, f.name) for f in fields(layer)}
    coarse = {n: narrowed(a, name) for n, a in arrays.items() if isinstance(a, np.ndarray)}
    return replace(layer, **coarse)  # type: ignore[arg-type]


def compared(case: Case, trace: Trace) -> list[TrackDifference]:
    """Differences between the dump and a run, over the tracks and steps that both have."""
    return differences(case.trace, trace)


def largest(case: Case, trace: Trace) -> float:
    """The largest difference between the dump and a run over real steps."""
    return max((d.largest for d in compared(case, trace)), default=0.0)


def _changes(case: Case) -> Iterable[Change]:
    from rnninspect.diagnosis.evidence.weight_changes import changes_of

    assert case.weights is not None
    return changes_of(case.weights)


def _search(case: Case, group: Callable[[list[Change]], Iterable[tuple[Change, ...]]]) -> WeightFix | None:
    few, limit = small(case), tolerance(case)
    good = [changes for changes in group(list(_changes(case))) if left_by(few, changes) <= limit]
    confirmed = [(left_by(case, changes), changes) for changes in good[:6]]
    confirmed = [(after, changes) for after, changes in confirmed if fixes_difference(case, disagreement(case), after)]
    if not confirmed:
        return None
    after, changes = confirmed[0]
    named = {c.rule for c in changes}
    also = dict.fromkeys(c.rule for _, others in confirmed[1:] for c in others if c.rule not in named)
    return WeightFix(changes, disagreement(case), after, tuple(also)[:2])


def may_mend(case: Case) -> bool:
    """Whether a single change brings the first few steps together: a quick look before `fixed` is asked."""
    if case.layer.weights_as_run:
        return False
    few = small(case, GLANCE)
    limit = tolerance(case)
    return any(left_by(few, (change,)) <= limit for change in _changes(case))


def left_by(case: Case, changes: tuple[Change, ...]) -> float:
    """The largest difference that is left after these changes."""
    weights = case.weights
    for change in changes:
        assert weights is not None
        weights = change.apply(weights)
    assert case.batch is not None
    return largest(case, case.with_weights(weights).run(case.batch))


def small(case: Case, most: int = STEPS) -> Case:
    """A small case for quick trials: at most so many first steps of the few longest rows.

    Of one layer in both directions the forward one alone, whose first steps need no others: conversions are the same.
    """
    case = _forward_of_one_layer(case)
    rows = np.argsort(-case.trace.real_counts, kind="stable")[:ROWS]
    return cut_to(case, rows, min(most, case.trace.steps) if is_causal(case) else case.trace.steps)


def cut_to(case: Case, rows: Ints, steps: int) -> Case:
    """The case of these rows `[N]` and so many first steps alone."""
    assert case.batch is not None

    def cut(array: Array | None, time: bool) -> Array | None:
        return None if array is None else array[rows, :steps] if time else array[rows]

    tracks = tuple(
        replace(
            t,
            outputs=cut(t.outputs, True),
            final=cut(t.final, False),
            cell=cut(t.cell, False),
            initial=cut(t.initial, False),
            initial_cell=cut(t.initial_cell, False),
        )
        for t in case.trace.tracks
    )
    mask = case.trace.mask[rows, :steps]
    batch = Batch(case.batch.inputs[rows, :steps], mask, None, True)
    return replace(case.with_trace(replace(case.trace, mask=mask, lengths=None, tracks=tracks)), batch=batch)


def _forward_of_one_layer(case: Case) -> Case:
    """The case without its backward track, where that leaves one to compare; a stack's layers read both directions."""
    forward = case.trace.track(0, "forward")
    if case.weights is None or case.weights.depth > 1 or forward is None or forward.outputs is None:
        return case
    layers = tuple(w for w in case.weights.layers if w.direction == "forward")
    one = case.with_trace(replace(case.trace, tracks=(forward,)))
    config = replace(case.config, direction=None)
    return one.with_weights(replace(case.weights, layers=layers), config)


def is_causal(case: Case) -> bool:
    """Whether cutting the time axis leaves the first steps alone: nothing reads backwards."""
    return all(t.direction == "forward" for t in case.trace.tracks)
