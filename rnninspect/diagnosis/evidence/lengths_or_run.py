"""States one number of steps before or after the lengths: whether these are wrong, or the run, or the states alone."""

from __future__ import annotations

import numpy as np

from rnninspect.core.trace import Ints, last_true
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.constant_offsets import moved_ends, offsets_of
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.run_ends import shows_lengths


def run_ended_there(case: Case) -> bool:
    """Whether the outputs of every row become zero where its state was taken, not where its length says."""
    for facts in case.facts:
        ends = ends_as_stated(case, facts)
        ran = np.where(facts.zero.all(1), 0, last_true(~facts.zero) + 1)
        for offset, every in offsets_of(facts, ends):
            moved = moved_ends(facts, ends, offset)
            short = (moved < facts.steps) & (moved > 0)
            if every and short.any() and np.array_equal(ran[short], moved[short]):
                return True
    return False


def other_run(case: Case) -> int | None:
    """By how many steps the run ended after every length (before it: less than 0), as outputs and states show together,
    and no inputs contradict: the states are those of its last step, and other steps would be wrong ones."""
    lengths, offset = case.trace.lengths, one_offset(case)
    if lengths is None or case.trace.mask_given or offset is None or not run_ended_there(case):
        return None
    ends = lengths + offset
    within = (ends > 0).all() and (ends <= case.trace.steps).all()
    return offset if within and not _inputs_end_at_lengths(case) else None


def lengths_are_off(case: Case) -> int | None:
    """The offset by which the inputs say that the lengths are wrong: they are zero past other ends than stated."""
    lengths, batch = case.trace.lengths, case.batch
    if lengths is None or batch is None or case.trace.mask_given or batch.inputs.shape[1] != case.trace.steps:
        return None
    offset = one_offset(case)
    if offset is None:
        return None
    ends = lengths + offset
    real = np.arange(case.trace.steps)[None] < ends[:, None]
    within = (ends > 0).all() and (ends <= case.trace.steps).all()
    return offset if within and np.array_equal((batch.inputs != 0).any(-1), real) else None


def one_offset(case: Case) -> int | None:
    """The one offset that holds on every row of every track that can tell; None where there is none."""
    offsets = {o for f in case.facts for o, every in offsets_of(f, ends_as_stated(case, f)) if every}
    return next(iter(offsets)) if len(offsets) == 1 else None


def lengths_stand(case: Case) -> bool:
    """Whether outputs or inputs end where the lengths say, or no row is shorter than the time axis."""
    stands = case.trace.mask.all() or any(shows_lengths(facts) for facts in case.facts)
    return bool(stands) or _inputs_end_at_lengths(case)


def _inputs_end_at_lengths(case: Case) -> bool:
    """Whether there are inputs, and they are zero from every row's length on and nowhere else."""
    if case.batch is None or case.batch.inputs.shape[:2] != case.trace.mask.shape:
        return False
    return np.array_equal((case.batch.inputs != 0).any(-1), case.trace.mask)


def ends_as_stated(case: Case, facts: TrackFacts) -> Ints:
    """`[B]`: the lengths as stated, those beyond the time axis too; where a mask was given, its last real step + 1."""
    lengths = case.trace.lengths
    return facts.ends if lengths is None or case.trace.mask_given or facts.track.order != "time" else lengths
