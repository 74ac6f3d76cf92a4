"""Which pools of a row's steps are told, over what, and by what they were divided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.core.trace import Trace, Track, prefix_mask
from rnninspect.diagnosis.evidence.pooling import KINDS, Kind, Pool, is_pool, pool_of_other_lengths
from rnninspect.measure.facts import TrackFacts, measure

LENGTHS = np.array([7, 4, 2, 5, 7, 1])


def measured(kind: Kind, dtype: Any, spoilt: bool) -> TrackFacts:
    """Rows whose states are pools over the next row's length; one row's is nothing, and one output is NaN."""
    rng = np.random.default_rng(3)
    outputs = rng.normal(size=(6, 7, 20)).astype(dtype)
    pool: Any = {"maximum": np.max, "minimum": np.min, "mean": np.mean, "sum": np.sum}[kind]
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


STEPS = np.arange(7)
REAL = (LENGTHS[:, None] > STEPS)[..., None]
COUNTS = LENGTHS[:, None]


def _lasts(outputs: Any, count: int) -> list[Any]:
    """The last few real steps of each row, `[<= count, H]`."""
    return [row[max(0, n - count) : n] for row, n in zip(outputs, LENGTHS, strict=True)]


RIGHT: dict[str, Callable[[Any], Any]] = {
    "minimum": lambda o: np.where(REAL, o, np.inf).min(1),
    "mean": lambda o: (o * REAL).sum(1) / COUNTS,
    "sum by root": lambda o: (o * REAL).sum(1) / np.sqrt(COUNTS),
    "mean of norm 1": lambda o: (s := (o * REAL).sum(1)) / np.linalg.norm(s, axis=1, keepdims=True),
    "mean of last 2": lambda o: np.stack([row.mean(0) for row in _lasts(o, 2)]),
    "maximum of last 3": lambda o: np.stack([row.max(0) for row in _lasts(o, 3)]),
}
WRONG: dict[str, Callable[[Any], Any]] = {
    "sum by length": lambda o: o.sum(1) / COUNTS,
    "sum by root": lambda o: o.sum(1) / np.sqrt(COUNTS),
    "minimum": lambda o: o.min(1),
    "masked minimum": lambda o: (o * REAL).min(1),
    "masked mean": lambda o: (o * REAL).mean(1),
    "masked sum by other lengths": lambda o: (o * REAL).sum(1) / np.roll(COUNTS, 1, axis=0),
    "last 6 columns": lambda o: o[:, -6:].mean(1),
}


def _padded(outputs: Any, padding: str) -> Any:
    """The outputs with their padded steps computed, zero, a repetition of the last real one, or constant."""
    last = outputs[np.arange(6), LENGTHS - 1][:, None]
    return np.where(REAL, outputs, {"zero": 0.0, "repeated": last, "constant": -7.0, "computed": outputs}[padding])


def _judged(pool: Callable[[Any], Any], padding: str, units: int) -> Any:
    outputs = np.tanh(_padded(np.random.default_rng(units).normal(size=(6, 7, units)), padding)).astype(np.float32)
    state = np.asarray(pool(outputs.astype(np.float64)), dtype=np.float32)
    return rnninspect.inspect({"outputs": outputs, "h": state, "lengths": LENGTHS}, direction="forward")


@pytest.mark.parametrize("padding", ["zero", "computed", "repeated", "constant"])
@pytest.mark.parametrize("pool", RIGHT)
def test_a_pool_of_real_steps_is_noted_whatever_the_padding_holds(pool: str, padding: str) -> None:
    """No error: nothing in such a vector depends on the other rows of the batch."""
    report = _judged(RIGHT[pool], padding, 5)
    assert [f.rule for f in report.findings if f.severity != "note"] == []
    assert "pooled-state" in [f.rule for f in report.findings]


@pytest.mark.parametrize("padding", ["computed", "repeated", "constant"])
@pytest.mark.parametrize("pool", WRONG)
def test_a_pool_with_padding_in_it_is_named_whatever_the_padding_holds(pool: str, padding: str) -> None:
    """The one cause: padded steps took part as they are or as zeros, or the sum was divided by another length. A
    minimum over copies of a real step is that of the real steps."""
    report = _judged(WRONG[pool], padding, 5)
    errors = [f.rule for f in report.findings if f.severity == "error"]
    assert errors == ([] if (pool, padding) == ("minimum", "repeated") else ["pooled-state"])


def test_a_state_in_proportion_to_one_step_or_to_none_is_no_sum() -> None:
    """The last step scaled, and random numbers: a sum is of several steps, and so many units are by no chance."""
    for state in (
        lambda o: o[np.arange(6), LENGTHS - 1] * 1.25,
        lambda o: np.random.default_rng(1).normal(size=(6, 5)),
    ):
        assert "pooled-state" not in [f.rule for f in _judged(state, "computed", 5).findings]
