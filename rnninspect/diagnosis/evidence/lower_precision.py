"""A dump that was computed in a lower precision than its arrays': TF32 on a GPU, autocast, a mixed policy, a cast.

Two such runs round alike in part, however their kernels order what they round. So a dump that a lower precision made
differs from the run of its weights by no more than a run in that precision does, and in its direction: the two
differences, number by number, are correlated. Measured on torch's autocast, cells of 4 to 64 units, one and two layers,
between 0.35 and 1.0; of weights that differ by two in a thousand at most 0.15, as soon as there are a thousand numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from functools import partial

import numpy as np

from rnninspect.core.trace import Array, Trace
from rnninspect.core.weights import LayerWeights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_changes import each
from rnninspect.measure.casts import narrowed

DRIFT = 3  # times as far, at the worst number: kernels round more often, or less, than the run that it is held against
SPREAD = 2  # times as far in the mean
ALONG = 0.25  # correlation
MOST = 0.25  # of the largest number: beyond it nothing is asked, no lower precision moves as much


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
    for precision, run in _lower_runs(case):
        moved = gaps_between(run, case.reference, dump)
        within = largest <= DRIFT * np.abs(moved).max() and size_of(gaps) <= SPREAD * size_of(moved)
        along = float(gaps @ moved) / (size_of(gaps) * size_of(moved) * gaps.size) if within else 0.0
        if along > best:
            best, name = along, precision
    return name


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


def _lower_runs(case: Case) -> Iterator[tuple[str, Trace]]:
    """(precision, run) of the case's weights in every way that is told: products in TF32, everything in half precision,
    and weights and inputs that went through a cast."""
    assert case.batch is not None
    assert case.weights is not None
    for precision, dtype in (("TF32", "tf32"), ("TF32", "tf32, cut"), ("float16", "float16"), ("bfloat16", "bfloat16")):
        yield precision, replace(case, layer=replace(case.layer, dtype=dtype)).run(case.batch)
    for name in ("float16", "bfloat16"):
        weights = each(case.weights, partial(_rounded, name=name))
        yield name, case.with_weights(weights).run(replace(case.batch, inputs=narrowed(case.batch.inputs, name)))


def _rounded(layer: LayerWeights, name: str) -> LayerWeights:
    arrays = {f.name: getattr(layer, f.name) for f in fields(layer)}
    coarse = {n: narrowed(a, name) for n, a in arrays.items() if isinstance(a, np.ndarray)}
    return replace(layer, **coarse)  # type: ignore[arg-type]
