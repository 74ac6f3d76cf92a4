"""The first steps that a pass reads of a few rows: enough to fit a few numbers on, at any size of the dump."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.batch import Batch
from rnninspect.core.trace import Array, Ints
from rnninspect.diagnosis.case import Case
from rnninspect.engine.packing import read_order
from rnninspect.measure.facts import TrackFacts, measure

STEPS = 16


def longest(facts: TrackFacts, most: int) -> Ints:
    """The rows `[N]` with the most real steps, at most `most` of them."""
    return np.argsort(-facts.real_counts, kind="stable")[:most].astype(np.int64)


def opening(case: Case, facts: TrackFacts, rows: Ints) -> tuple[Case, TrackFacts]:
    """A case of one track of one layer: the first STEPS real steps, in the order read, of these rows `[N]`.

    What a pass carries over masked steps it carries from one real step to the next, so they may be left out.
    """
    assert case.batch is not None
    track, mask = facts.track, facts.mask[rows]
    order = read_order(mask, track.direction)[:, :STEPS]
    real = np.arange(order.shape[1]) < mask.sum(1)[:, None]
    if track.direction == "backward":  # read from the end: the step read first is stored last
        flipped = np.maximum(real.sum(1)[:, None] - 1 - np.arange(order.shape[1]), 0)
        order = np.take_along_axis(order, flipped, 1)
    places = rows[:, None], order

    def picked(array: Array | None) -> Array | None:
        return None if array is None else array[rows]

    few = replace(
        track,
        outputs=facts.outputs[places],
        final=picked(track.final),
        cell=picked(track.cell),
        initial=picked(track.initial),
        initial_cell=picked(track.initial_cell),
    )
    trace = replace(case.trace, mask=real, lengths=None, mask_given=True, tracks=(few,))
    measured = measure(trace, few)
    assert measured is not None
    cut = replace(case.with_trace(trace), batch=Batch(case.batch.inputs[places], real, None, True))
    return cut, measured
