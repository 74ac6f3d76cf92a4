"""A few rows and first steps of a case: they tell most explanations by weights from chance, however large it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.batch import Batch
from rnninspect.core.trace import Array, Ints
from rnninspect.diagnosis.case import Case

ROWS, STEPS = 4, 10  # what a change is tried on first


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
