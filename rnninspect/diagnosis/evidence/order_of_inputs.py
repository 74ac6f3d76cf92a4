"""Inputs whose rows stand in another order than the outputs': a run of the weights tells which row each is of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.batch import is_of_lengths
from rnninspect.core.trace import Bools, Ints, Trace, Track, prefix_mask
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.small_cases import cut_to, is_causal
from rnninspect.diagnosis.evidence.weight_search import agrees, tolerance
from rnninspect.diagnosis.once import once

GLANCE = 2  # steps that tell most rows of other inputs from these
MOST_ROWS = 1024  # each is set beside every other
MOST_LENGTHS = 32  # over which all inputs are run, where a pass back reads them
MOST = 1 << 23  # numbers of outputs that are run again


def with_inputs_of(case: Case, order: Ints) -> Case:
    """The case with the inputs of row `order[b]` `[B]` in row b."""
    assert case.batch is not None
    return replace(case, batch=replace(case.batch, inputs=case.batch.inputs[order]))


@once
def order_of_inputs(case: Case) -> Ints | None:
    """`[B]`: the row of the inputs that each row of outputs is of; None where no other order than theirs gives the dump
    or a state is off, so that more than the inputs stands elsewhere."""
    if case.batch is None or case.weights is None or case.other is not None or not case.facts:
        return None
    rows = len(case.batch.inputs)
    small = rows <= MOST_ROWS and sum(f.outputs.size for f in case.facts) <= MOST
    if not small or rows != case.trace.batch_size or any(f.mismatched.any() for f in case.facts):
        return None
    if agrees(case):
        return None
    for order in (_order_by_run(case), *_orders_by_length(case)):
        if order is not None and agrees(with_inputs_of(case, order)):
            return order
    return None


def _order_by_run(case: Case) -> Ints | None:
    """The order in which runs of every row of inputs over each length give the outputs; None where a row of these has
    no such inputs, or several."""
    assert case.batch is not None
    every, counts = np.arange(case.trace.batch_size), case.trace.real_counts
    alike = np.zeros((every.size,) * 2, dtype=np.bool_)
    if is_causal(case):
        few = cut_to(case, every, GLANCE)
        shown = np.flatnonzero(few.trace.mask.any(1))
        if not _alike(few, GLANCE, shown).any(1).all():
            return None  # the first steps tell that a row is of no inputs, and no more is run
        alike = _alike(case, case.batch.mask.shape[1], every)
    elif is_of_lengths(case.trace.mask) and np.unique(counts).size <= MOST_LENGTHS:
        for length in np.unique(counts):
            rows = np.flatnonzero(counts == length)
            alike[rows] = _alike(case, length, rows)
    order = alike.argmax(1)
    return order if (alike.sum(1) == 1).all() and len(set(order.tolist())) == order.size else None


def _alike(case: Case, length: int, rows: Ints) -> Bools:
    """`[N, B]`: whether a run of each row of inputs over `length` steps gives these rows `[N]` of outputs."""
    batch = case.batch
    assert batch is not None
    each = np.full(case.trace.batch_size, length, dtype=np.int64)
    run = case.run(replace(batch, mask=prefix_mask(each, batch.mask.shape[1]), lengths=each, mask_given=False))
    alike: Bools = np.logical_and.reduce([_gives(case, run, track, rows) for track in case.trace.tracks])
    return alike


def _gives(case: Case, run: Trace, track: Track, rows: Ints) -> Bools:
    """`[N, B]`: whether the real steps of these rows `[N]` of outputs are those of the run of a row of inputs."""
    ran = run.track(track.layer, track.direction)
    alike = np.zeros((rows.size, case.trace.batch_size), dtype=np.bool_)
    if track.outputs is None or ran is None or ran.outputs is None:
        return ~alike
    mask, limit, theirs = case.trace.stored_mask(track), tolerance(case), ran.outputs[:, : case.trace.steps]
    for n, b in enumerate(rows):
        if mask[b].any():
            first = int(mask[b].argmax())
            near = np.flatnonzero(
                np.abs(theirs[:, first].astype(np.float64) - track.outputs[b, first]).max(-1) <= limit
            )
            gaps = np.abs(theirs[near].astype(np.float64) - track.outputs[b])[:, mask[b]]
            alike[n, near] = gaps.max((1, 2)) <= limit if near.size else False
    return alike


def _orders_by_length(case: Case) -> list[Ints]:
    """The orders of rows that were sorted by length, and of those that were put back from it."""
    lengths = case.trace.real_counts
    sorts = [np.argsort(key, kind="stable") for key in (-lengths, lengths)]
    return [order for sort in sorts for order in (sort, np.argsort(sort)) if (np.diff(order) != 1).any()]
