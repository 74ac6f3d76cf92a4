"""Padding before the data, by a mask, that the layer read: its state had moved when the first real step came."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Bools, Trace
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.diagnosis.once import once
from rnninspect.measure.facts import TrackFacts

MOVES = 1e-3  # of the largest output: by less, one step may differ from another that is the same


def padded_in_front(case: Case, facts: TrackFacts) -> Bools:
    """`[B]`: rows whose mask begins with steps that are not real, in a track that reads them before the data."""
    mask = case.trace.mask
    ahead = facts.track.direction == "forward" and facts.track.order == "time"
    return np.asarray(mask.any(1) & ~mask[:, 0] & (case.trace.mask_given and ahead))


def read_by_run(case: Case, facts: TrackFacts) -> Bools:
    """`[B]`: rows padded in front whose outputs are those of a run over every step, and not of one that skips them."""
    rows = padded_in_front(case, facts)
    if case.batch is None or case.weights is None or not rows.any():
        return np.zeros_like(rows)
    read, skipped = _largest_gap(case, facts, over_all=True), _largest_gap(case, facts, over_all=False)
    return np.asarray(rows & (read <= tolerance(case)) & (skipped > tolerance(case)))


def moved_on_blanks(case: Case, facts: TrackFacts) -> Bools:
    """`[B]`: rows whose outputs move before the data, where the inputs stand: so the state did."""
    rows = moved_before(case, facts)
    if case.batch is None or not rows.any():
        return np.zeros_like(rows)
    begins, inputs = case.trace.mask.argmax(1), case.batch.inputs
    stands = [bool(r) and bool((inputs[b, : begins[b]] == inputs[b, 0]).all()) for b, r in enumerate(rows)]
    return rows & np.array(stands, dtype=np.bool_)


def moved_before(case: Case, facts: TrackFacts) -> Bools:
    """`[B]`: rows padded in front by two steps or more, over which the outputs move."""
    rows = padded_in_front(case, facts).copy()
    least = MOVES * float(np.abs(facts.outputs).max(initial=0.0)) if rows.any() else 0.0
    for b in np.flatnonzero(rows):
        lead = facts.outputs[b, : int(case.trace.mask[b].argmax())].astype(np.float64)
        rows[b] = len(lead) > 1 and float(np.abs(np.diff(lead, axis=0)).max()) > least
    return rows


def starts_moved(case: Case) -> Bools:
    """`[B]`: rows whose backward states are all at the step at which the data of a row padded on the left begin, where
    that is not the last column in all of them."""
    moved = np.zeros(case.trace.batch_size, dtype=np.bool_)
    backward = [f for f in case.facts if f.track.direction == "backward" and f.track.order == "time"]
    if case.trace.mask_given or not backward:
        return moved
    short = (case.trace.real_counts > 0) & (case.trace.real_counts < case.trace.steps)
    begins = case.trace.steps - case.trace.real_counts
    at_start: Bools = np.logical_and.reduce([f.equals(begins) & f.mismatched & ~f.final_blank for f in backward])
    moved = short & at_start
    return np.asarray(moved & (moved & (case.trace.real_counts > 1)).any())


def ends_moved(case: Case) -> Bools:
    """`[B]`: of two rows or more, those whose forward states are at the last step besides."""
    ends = [f.equal[:, -1] for f in case.facts if f.track.direction == "forward"]
    moved: Bools = np.logical_and.reduce([starts_moved(case), *ends])
    return moved & bool(moved.sum() > 1 and ends)


@once
def _full_run(case: Case) -> Trace:
    """The run that reads every step, the padding too."""
    assert case.batch is not None
    every = np.ones(case.batch.mask.shape, dtype=np.bool_)
    return case.run(replace(case.batch, mask=every, lengths=None, mask_given=False))


def _largest_gap(case: Case, facts: TrackFacts, over_all: bool) -> Array:
    """`[B]`: how far the outputs are from a run's: over every step up to the last real one, of a run that reads them
    all; or over the real ones, of the right run."""
    ran = _full_run(case) if over_all else case.reference
    track = ran.track(facts.track.layer, facts.track.direction)
    if track is None or track.outputs is None or track.outputs.shape[2] != facts.outputs.shape[2]:
        return np.full(len(facts.outputs), np.inf if over_all else 0.0)
    mask = case.trace.mask
    real = np.logical_or.accumulate(mask[:, ::-1], 1)[:, ::-1] if over_all else mask
    gaps = np.abs(facts.outputs.astype(np.float64) - track.outputs[:, : facts.steps]).max(-1)
    return np.asarray(np.where(real, gaps, 0.0).max(1))


def leads_with_zeros(case: Case) -> bool:
    """Whether the inputs of every row begin with as many zero frames as the row is short of T."""
    if case.batch is None or case.batch.inputs.shape[1] != case.trace.steps:
        return False
    lead = np.arange(case.trace.steps)[None] < case.trace.steps - case.trace.real_counts[:, None]
    return not case.batch.inputs[lead].any()
