"""Pools over other rows' lengths, tried for all lengths at once, are those that are found length by length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnninspect.core.trace import Trace, Track, prefix_mask
from rnninspect.diagnosis.evidence.pooling import KINDS, Kind, Pool, is_pool, pool_of_other_lengths
from rnninspect.measure.facts import TrackFacts, measure

LENGTHS = np.array([7, 4, 2, 5, 7, 1])


def measured(kind: Kind, dtype: Any, spoilt: bool) -> TrackFacts:
    """Rows whose states are pools over the next row's length; one row's is nothing, and one output is NaN."""
    rng = np.random.default_rng(3)
    outputs = rng.normal(size=(6, 7, 20)).astype(dtype)
    pool = {"maximum": np.max, "mean": np.mean, "sum": np.sum}[kind]
    final = np.stack([pool(outputs[b, :n], axis=0) for b, n in enumerate(np.roll(LENGTHS, -1))]).astype(dtype)
    final[3] = 9
    if spoilt:
        outputs[1, 0, 0] = np.nan
    track = Track(0, "forward", outputs, final)
    mask = prefix_mask(LENGTHS, 7)
    facts = measure(Trace(mask=mask, tracks=(track,), lengths=LENGTHS), track)
    assert facts is not None
    return facts


@pytest.mark.parametrize("spoilt", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_all_lengths_at_once_are_each_length_by_itself(kind: Kind, dtype: Any, spoilt: bool) -> None:
    """The steps of every row are the longest length whose pool its state is, or its own."""
    facts, rows = measured(kind, dtype, spoilt), np.arange(6)
    steps = facts.ends.copy()
    for length in np.unique(LENGTHS)[::-1]:
        tried = Pool(kind, "", np.full(6, length), False, False)
        steps[(steps == facts.ends) & is_pool(facts, tried, rows, 0.0)] = length
    pool = pool_of_other_lengths(facts, kind, rows, 0.0)
    assert pool is not None
    assert pool.steps.tolist() == steps.tolist()
    assert steps[0] == 4
    assert steps[3] == LENGTHS[3]
