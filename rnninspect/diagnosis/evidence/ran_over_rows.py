"""A layer that took the batch's rows for its steps: a run of the weights along the other axes gives these outputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Trace
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees, tolerance
from rnninspect.diagnosis.once import once

FEW = 3  # rows that are run first: they are steps there, and tell in most cases that it is not so


@once
def ran_over_rows(case: Case) -> bool:
    """Whether the outputs `[B, T, H]` are those of T rows of B steps, and not of B rows of T steps."""
    batch, trace = case.batch, case.trace
    if batch is None or case.weights is None or trace.mask_given or batch.inputs.shape[:2] != trace.mask.shape:
        return False
    if trace.batch_size < 2 or trace.steps < 2 or any(track.initial is not None for track in trace.tracks):
        return False
    begins = trace.directions == 1 or trace.layers == 1  # upper layers read what a backward pass made of the last row
    return not agrees(case) and (not begins or _gives(case, FEW)) and _gives(case, trace.batch_size)


def _gives(case: Case, rows: int) -> bool:
    """Whether a run over these first rows as steps gives their outputs."""
    assert case.batch is not None
    inputs = np.ascontiguousarray(case.batch.inputs[:rows].swapaxes(0, 1))
    mask = np.ones(inputs.shape[:2], dtype=np.bool_)
    ran = case.run(replace(case.batch, inputs=inputs, mask=mask, lengths=None))
    return _equal(case, ran, rows)


def _equal(case: Case, ran: Trace, rows: int) -> bool:
    """Whether outputs are equal; of the first rows alone those of passes that begin there."""
    whole = rows == case.trace.batch_size
    pairs = [
        (np.asarray(track.outputs)[:rows], np.asarray(other.outputs).swapaxes(0, 1))
        for track, other in zip(case.trace.tracks, ran.tracks, strict=True)
        if track.outputs is not None and other.outputs is not None and (whole or track.direction == "forward")
    ]
    limit = tolerance(case)
    return bool(pairs) and all(
        one.shape == other.shape and bool((np.abs(one.astype(np.float64) - other) <= limit).all())
        for one, other in pairs
    )
