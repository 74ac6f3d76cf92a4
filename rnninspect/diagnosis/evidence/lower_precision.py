"""A dump that was computed in a lower precision than its arrays': TF32 on a GPU, autocast, a mixed policy, a cast.

Two such runs round alike in part, however their kernels order what they round. So a dump that a lower precision made
differs from the run of its weights by no more than a run in that precision does, and in its direction: the two
differences, number by number, are correlated. Measured on torch's autocast, cells of 4 to 64 units, one and two layers,
between 0.35 and 1.0; of weights that differ by two in a thousand at most 0.15, as soon as there are a thousand numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial

import numpy as np

from rnninspect.core.trace import Array, Trace
from rnninspect.core.weights import LayerWeights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.small_cases import small
from rnninspect.diagnosis.evidence.weight_changes import each
from rnninspect.diagnosis.once import once
from rnninspect.measure.casts import narrowed

DRIFT = 3  # times as far, at the worst number: kernels round more often, or less, than the run that it is held against
SPREAD = 2  # times as far in the mean
ALONG = 0.25  # correlation
MOST = 0.25  # of the largest number: beyond it nothing is asked, no lower precision moves as much
GLANCE = 8  # steps that are looked at before all are
TELLING = 4096  # numbers of them by which what is half as correlated as need be is no lower precision's


def lower_precision_of(case: Case, largest: float) -> str | None:
    """The lower precision whose rounding explains how the dump differs from the run of its weights, by at most
    `largest`; the one that goes along best, None where none does."""
    dump = case.trace
    gaps = gaps_between(dump, case.reference, dump)
    if not gaps.size or not np.isfinite(gaps).all():
        return None
    if largest > MOST * max(float(np.abs(t.outputs).max(initial=0.0)) for t in dump.tracks if t.outputs is not None):
        return None
    best, name = ALONG, None
    for precision, run_lower in _LOWER:
        if not _may_have_made(case, run_lower):
            continue
        moved = gaps_between(run_lower(case), case.reference, dump)
        within = largest <= DRIFT * np.abs(moved).max() and size_of(gaps) <= SPREAD * size_of(moved)
        along = _correlation(gaps, moved) if within else 0.0
        if along > best:
            best, name = along, precision
    return name


def _may_have_made(case: Case, run_lower: Callable[[Case], Trace]) -> bool:
    """Whether a few first steps do not tell already that this lower run goes another way than the dump."""
    few = _first_steps(case)
    gaps = gaps_between(few.trace, few.reference, few.trace)
    if few.trace.steps > GLANCE or gaps.size < TELLING:
        return True
    return _correlation(gaps, gaps_between(run_lower(few), few.reference, few.trace)) > ALONG / 2


@once
def _first_steps(case: Case) -> Case:
    return small(case, GLANCE)


def _correlation(gaps: Array, moved: Array) -> float:
    return float(gaps @ moved) / (size_of(gaps) * size_of(moved) * gaps.size)


def size_of(gaps: Array) -> float:
    """Root of the mean square of `gaps` `[N]`, never 0."""
    return float(np.sqrt(np.mean(np.square(gaps)))) or 1e-30


def gaps_between(run: Trace, other: Trace, dump: Trace) -> Array:
    """`[N]`: the differences of two runs at every number of a dump's real steps."""
    listed = []
    for track in dump.tracks:
        here, there = (one.track(track.layer, track.direction) for one in (run, other))
        if track.outputs is None or here is None or there is None or here.outputs is None or there.outputs is None:
            continue
        steps = min(here.outputs.shape[1], there.outputs.shape[1], track.outputs.shape[1])
        real = dump.stored_mask(track)[:, :steps]
        a, b = (np.asarray(o[:, :steps])[real] for o in (here.outputs, there.outputs))
        listed.append((a.astype(np.float64) - b).ravel())
    return np.concatenate(listed) if listed else np.zeros(0)


def _run_in(case: Case, dtype: str) -> Trace:
    """The case's run with products, or everything, in a lower precision."""
    assert case.batch is not None
    return replace(case, layer=replace(case.layer, dtype=dtype)).run(case.batch)


def _run_of_cast(case: Case, name: str) -> Trace:
    """The case's run with weights and inputs that went through a cast."""
    assert case.batch is not None
    assert case.weights is not None
    weights = each(case.weights, partial(_rounded, name=name))
    return case.with_weights(weights).run(replace(case.batch, inputs=narrowed(case.batch.inputs, name)))


def _rounded(layer: LayerWeights, name: str) -> LayerWeights:
    arrays = {f.name: getattr(layer, f.name) for f in fields(layer)}
    coarse = {n: narrowed(a, name) for n, a in arrays.items() if isinstance(a, np.ndarray)}
    return replace(layer, **coarse)  # type: ignore[arg-type]


# Every way that is told, by the name of its precision.
_LOWER: tuple[tuple[str, Callable[[Case], Trace]], ...] = (
    ("TF32", partial(_run_in, dtype="tf32")),
    ("TF32", partial(_run_in, dtype="tf32, cut")),
    ("float16", partial(_run_in, dtype="float16")),
    ("bfloat16", partial(_run_in, dtype="bfloat16")),
    ("float16", partial(_run_of_cast, name="float16")),
    ("bfloat16", partial(_run_of_cast, name="bfloat16")),
)
