"""Which rows of a dump a run gives: the last word on every explanation by weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Bools, Direction, Ints, Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import compared, tolerance

Key = tuple[int, Direction]


def agreeing(case: Case, trace: Trace) -> Mapping[Key, Bools]:
    """`[B]` by layer and direction: rows whose real steps a run gives, within by which two right runs may differ."""
    limit = tolerance(case)
    return {
        (d.track.layer, d.track.direction): np.asarray(~(((d.difference > limit) | d.nonfinite) & d.real).any(1))
        for d in compared(case, trace)
    }


def given_by_all(case: Case, trace: Trace) -> Bools:
    """`[B]`: rows that a run gives in every track that was recorded."""
    all_give = np.ones(case.trace.batch_size, dtype=np.bool_)
    for rows in agreeing(case, trace).values():
        all_give &= rows
    return all_give


def only_rows(case: Case, rows: Ints) -> Case:
    """The case of these rows `[N]` alone, all of their steps."""
    assert case.batch is not None

    def cut(array: Array | None) -> Array | None:
        return None if array is None else array[rows]

    def few(track: Track) -> Track:
        return replace(
            track,
            outputs=cut(track.outputs),
            final=cut(track.final),
            cell=cut(track.cell),
            initial=cut(track.initial),
            initial_cell=cut(track.initial_cell),
        )

    trace = replace(case.trace, mask=case.trace.mask[rows], lengths=cut(case.trace.lengths))
    batch = replace(
        case.batch, inputs=case.batch.inputs[rows], mask=case.batch.mask[rows], lengths=cut(case.batch.lengths)
    )
    return replace(case.with_trace(trace).with_tracks(few), batch=batch)


def without_start(track: Track) -> Track:
    """The track as one that starts from zeros."""
    return replace(track, initial=None, initial_cell=None)
