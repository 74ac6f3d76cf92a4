"""A case with other steps as its real ones, and what is asked of such masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Bools, Ints, last_true, prefix_mask
from rnninspect.diagnosis.case import Case
from rnninspect.measure.facts import TrackFacts, under

EVERY = slice(None)


def with_mask(case: Case, mask: Bools, sentence: str) -> Case:
    """The case as it would be were these the real steps `[B, T]`, which `sentence` says why; what was measured is not
    measured again."""
    lengths = ends_of(mask) if is_prefix(mask) else None
    source = {**case.trace.source, "lengths": sentence}
    trace = replace(case.trace, mask=mask, lengths=lengths, mask_given=lengths is None, source=source)
    measured = tuple(under(facts, trace) for facts in case.facts)
    batch = case.batch
    if batch is not None:
        steps = np.zeros(batch.mask.shape, dtype=np.bool_)
        steps[:, : mask.shape[1]] = mask
        batch = replace(batch, mask=steps, lengths=trace.lengths, mask_given=trace.mask_given)
    return replace(case.with_trace(trace, measured), batch=batch)


def as_before(facts: TrackFacts, rows: slice = EVERY) -> Bools:
    """`[B, T]`: steps that equal the one read before them, of these rows."""
    repeats = facts.repeats[rows]
    if facts.track.direction == "forward" or facts.track.order != "time":
        return repeats
    return np.concatenate([repeats[:, 1:], np.zeros_like(repeats[:, :1])], 1)


def in_time(facts: TrackFacts, steps: Bools) -> Bools:
    """What holds of stored steps, `[B, T]`, along the inputs' time."""
    return steps[:, ::-1] if facts.track.order == "reversed" else steps


def ends_of(mask: Bools) -> Ints:
    """`[B]`: each row's last real step + 1; 0 without one."""
    return np.where(mask.any(1), last_true(mask) + 1, 0).astype(np.int64)


def is_prefix(mask: Bools) -> bool:
    """Whether lengths can say a mask `[B, T]`: no hole, nothing left out at the start."""
    return bool(np.array_equal(mask, prefix_mask(ends_of(mask), mask.shape[1])))


def blank_where_read(case: Case, mask: Bools) -> str:
    """What is blank at exactly the steps of `mask` `[B, T]`, so that these are padding: the inputs, or whole numbers
    that nothing else was read from, as tokens are; empty where nothing is."""
    inputs = None if case.batch is None else case.batch.inputs
    if inputs is not None and inputs.ndim == 3 and inputs.shape[:2] == mask.shape:
        blank = inputs[mask][0]
        if (mask.sum() > 1 or not blank.any()) and ((inputs == blank).all(-1) == mask).all():
            return "the inputs"
    read = {id(slot.array) for slot in case.dump.slots}
    for name, array in case.dump.arrays.items():
        if id(array) in read or array.dtype.kind not in "iu" or array.ndim != 2 or np.isin(array, (0, 1)).all():
            continue
        for tokens in (array, array.T):
            if tokens.shape == mask.shape and ((tokens == 0) == mask).all():
                return name
    return ""
