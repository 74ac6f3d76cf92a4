"""A dump beside a run of its weights: how far apart, and which conversion brings the two together.

Each change is tried on a few rows and steps, alone and then in pairs, and confirmed on the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial, reduce
from typing import TYPE_CHECKING

import numpy as np

from rnninspect.core.batch import Batch
from rnninspect.core.frozen import frozen
from rnninspect.core.trace import PaddingPolicy, Trace
from rnninspect.core.weights import Weights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.small_cases import ROWS, STEPS, cut_to, small
from rnninspect.diagnosis.once import once
from rnninspect.measure.casts import BITS, cast_from
from rnninspect.measure.decimals import decimals
from rnninspect.measure.difference import TrackDifference, differences, precision

if TYPE_CHECKING:
    from rnninspect.diagnosis.evidence.weight_changes import Change

GLANCE = 2  # steps that tell most changes from chance: the recurrent ones show from the second on
NEARER = 0.6  # share of the difference that is left after a change which explains more of it than rounding would
LOOKED_AT = 16  # rows that tell in which direction a dump is off
QUICK = 1 << 22  # products of a run that takes no longer than to begin it
MUCH = 4  # a change that explains the difference leaves at most 1/MUCH of it
# What two right implementations of one cell may differ by, per precision, on outputs within [-1, 1].
AGREE = {"float64": 1e-9, "float32": 5e-5, "float16": 1e-2, "bfloat16": 5e-2}


@frozen(eq=False)
class WeightFix:
    """The changes that bring the dump and a run of its weights together: the difference before and after, and the lower
    `precision` whose rounding is left, if any."""

    changes: tuple[Change, ...]
    before: float
    after: float
    also: tuple[str, ...] = ()
    precision: str = ""


@once
def fixed(case: Case) -> WeightFix | None:
    """The one change after which the weights give the dump; None if they agree unchanged, or none does it."""
    if not may_differ(case):
        return None
    return _search(case, lambda changes: ((c,) for c in changes)) or _fixed_in_lower(case)


@once
def fixed_by_two(case: Case) -> WeightFix | None:
    """The two changes that together make the weights give the dump, if nothing simpler does."""
    from rnninspect.diagnosis.evidence.weight_changes import pairs

    return _search(case, pairs) if may_differ(case) else None


def may_differ(case: Case) -> bool:
    """Whether other weights may have made the dump: never of a live layer, whose run was made with these."""
    return not case.layer.weights_as_run and not agrees(case)


@once
def disagreement(case: Case) -> float:
    """The largest difference between the dump and a run of its weights over real steps; 0 where they agree, or part
    as any two right runs would."""
    return 0.0 if agrees(case) else largest(case, case.reference)


def agrees(case: Case) -> bool:
    """Whether the dump and a run of its weights agree, or part as any two right runs would; where the first steps tell
    that they do not, no more is run."""
    return not _is_off(case) or lower_precision(case) is not None


@once
def _is_far_off(case: Case) -> bool:
    """Whether the first steps alone, before anything could grow, are farther apart than any rounding moves them."""
    from rnninspect.diagnosis.evidence.lower_precision import MOST

    if case.batch is None or case.weights is None or case.trace.steps <= STEPS or _is_quick(case):
        return False
    few = small(case, 1)
    if few.trace.steps > 1:  # a step carries later ones, so none is told alone
        return False
    size = max((float(np.abs(t.outputs).max()) for t in case.trace.tracks if t.outputs is not None), default=np.nan)
    return largest(few, few.reference) > max(_in_its_precision(case), MOST * size)


def _is_quick(case: Case) -> bool:
    """Whether the whole run takes no longer than its first step would."""
    assert case.weights is not None
    numbers = sum(w.input_kernel.size + w.recurrent_kernel.size for w in case.weights.layers)
    return case.trace.mask.size * numbers <= QUICK


@once
def _is_off(case: Case) -> bool:
    """Whether the dump is farther from the run of its weights than rounding in its own precision may move it."""
    if _is_far_off(case):
        return True
    per_track, limit = compared(case, case.reference), _in_its_precision(case)
    if max((d.largest for d in per_track), default=0.0) <= limit:
        return False
    from rnninspect.diagnosis.evidence.grown_rounding import is_grown_rounding

    return not is_grown_rounding(case, per_track, limit)


def padding_follows(case: Case, padding: PaddingPolicy) -> bool:
    """Whether it is known whose outputs these are, that framework leaves `padding` in masked steps, and a run of the
    weights gives these very outputs there too: nothing is left to say of them."""
    usual = case.config.padding is None and case.reading.evidence.decided and case.trace.padding == padding
    if not (usual and case.has("inputs") and case.has("weights")) or not agrees(case):
        return False
    per_track = compared(case, case.reference)
    return bool(per_track) and max(d.largest_padded for d in per_track) <= tolerance(case)


@once
def tolerance(case: Case) -> float:
    """How far two right runs may be apart: by their precisions, by what was rounded after the run or before it; as far
    as they are, where the dump was computed in a lower precision."""
    limit = _in_its_precision(case)
    return max(limit, largest(case, case.reference)) if lower_precision(case) is not None else limit


@once
def _in_its_precision(case: Case) -> float:
    """How far two right runs may be apart: by the precision of the dump or its weights, by half a unit of its last
    printed digit, by what its inputs were rounded to."""
    outputs, scale, lost = _rounding_of(case.trace, case.batch)
    if outputs is None or case.weights is None:
        return 0.0
    kinds = {outputs, precision(case.weights.layers[0].input_kernel)}
    return max(AGREE[k] for k in kinds) * scale + lost


@once
def _rounding_of(trace: Trace, batch: Batch | None) -> tuple[str | None, float, float]:
    """The precision of the outputs, None of none; their size; and half a unit of their last printed digit, beside what
    rounded or cast inputs can add through kernels. Of all cases that differ in weights alone."""
    recorded = [t.outputs for t in trace.tracks if t.outputs is not None]
    if not recorded:
        return None, 0.0, 0.0
    outputs = np.concatenate([o[:ROWS, : 4 * STEPS].ravel() for o in recorded])
    scale = float(np.abs(outputs[np.isfinite(outputs)]).max(initial=0.0))
    lost = 0.0
    if (digits := decimals(outputs)) is not None:
        lost += 0.6 * 10.0**-digits
    if batch is not None and (digits := decimals(batch.inputs)) is not None:
        lost += 4 * 10.0**-digits
    if batch is not None and (kind := cast_from(batch.inputs[:ROWS])) is not None:
        lost += 4 * 2.0 ** -BITS[kind] * scale
    return precision(outputs), scale, lost


def fixes_difference(case: Case, before: float, after: float) -> bool:
    """Whether a change that leaves the difference `after` of `before` is to be believed: within what two right runs may
    differ by, and far below what it was, because a fit can always shave off some of the rounding."""
    return after <= tolerance(case) and after * MUCH <= before


@once
def lower_precision(case: Case) -> str | None:
    """The lower precision that the dump was computed in, whatever its own type: its rounding explains how the dump
    differs from the run, and no change of the weights does so better. None where none explains it."""
    from rnninspect.diagnosis.evidence.lower_precision import lower_precision_of

    if case.batch is None or case.weights is None or _is_far_off(case) or not _is_off(case):
        return None
    rows = np.arange(min(case.trace.batch_size, LOOKED_AT))
    few = case if rows.size == case.trace.batch_size else cut_to(case, rows, case.trace.steps)
    name = lower_precision_of(few, largest(case, case.reference))
    return None if name is None or (not case.layer.weights_as_run and _nearer(case)) else name


@once
def _nearer(case: Case) -> list[tuple[float, Change]]:
    """The changes after which a run is clearly nearer to the dump on a few rows and steps, by what is left then."""
    from rnninspect.diagnosis.evidence.lower_precision import gaps_between, size_of

    few = small(case)
    before = size_of(gaps_between(few.trace, few.reference, few.trace))
    nearer = []
    for change in _changes(case):
        assert few.weights is not None
        assert few.batch is not None
        run = few.with_weights(change.apply(few.weights)).run(few.batch)
        left = size_of(gaps_between(few.trace, run, few.trace))
        if left <= NEARER * before:
            nearer.append((left, change))
    return sorted(nearer, key=lambda item: item[0])


def _fixed_in_lower(case: Case) -> WeightFix | None:
    """The one change after which the dump is what a lower precision makes of the weights."""
    confirmed: list[WeightFix] = []
    for _, change in _nearer(case)[:6]:
        assert case.weights is not None
        changed = case.with_weights(change.apply(case.weights))
        precision = lower_precision(changed)
        if precision is not None:
            after = largest(case, changed.reference)
            confirmed.append(WeightFix((change,), disagreement(case), after, precision=precision))
    if not confirmed:
        return None
    best = confirmed[0]
    also = dict.fromkeys(rule for fix in confirmed[1:] if (rule := fix.changes[0].rule) != best.changes[0].rule)
    return replace(best, also=tuple(also)[:2])


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
    glanced = near(small(case, GLANCE), group(list(_changes(case))), limit)
    good = [changes for changes in glanced if left_by(few, changes) <= limit]
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
    return any(near(small(case, GLANCE), ((change,) for change in _changes(case)), tolerance(case)))


def near(few: Case, groups: Iterable[tuple[Change, ...]], limit: float) -> Iterator[tuple[Change, ...]]:
    """The changes that leave no more than a limit on a few rows and steps, as the first step tells of all at once, and
    then all of them of each."""
    from rnninspect.diagnosis.evidence.first_step import begins_off

    tried = list(groups)
    for changes, off in zip(tried, begins_off(few, tried, partial(_changed, few), limit), strict=True):
        if not off.any() and left_by(few, changes) <= limit:
            yield changes


def left_by(case: Case, changes: tuple[Change, ...]) -> float:
    """The largest difference that is left after these changes."""
    assert case.batch is not None
    return largest(case, case.with_weights(_changed(case, changes)).run(case.batch))


def _changed(case: Case, changes: tuple[Change, ...]) -> Weights:
    assert case.weights is not None
    return reduce(lambda weights, change: change.apply(weights), changes, case.weights)
