"""Pools of a row's steps: maximum, mean and sum, over its real steps or over more than those."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Bools, Ints
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import parts, same

ROUNDINGS = 16  # of a mean's terms that another order of summation may leave
Kind = Literal["maximum", "mean", "sum"]
KINDS: tuple[Kind, ...] = ("maximum", "mean", "sum")


@frozen
class Pool:
    """What was pooled: over the first `steps[b]` steps of row b; `real`: of those, the real ones alone. `other_length`:
    that many are another row's."""

    kind: Kind
    over: str
    steps: Ints
    real: bool
    padded: bool
    other_length: bool = False


def pools_of(facts: TrackFacts) -> Iterator[Pool]:
    """Every pool that is tried of one track, over the real steps first."""
    whole = np.full(facts.ends.size, facts.steps)
    padding = bool((~facts.mask).any())
    for kind in KINDS:
        yield Pool(kind, "its real steps" if padding else f"all {facts.steps} steps", whole, True, False)
    if padding:
        for kind in KINDS:
            yield Pool(kind, f"all {facts.steps} steps, padded ones among them", whole, False, True)


def pool_of_other_lengths(
    facts: TrackFacts, kind: Kind, rows: Ints, atol: float, units: int | None = None
) -> Pool | None:
    """The pool of these rows `[N]` over the first steps as other rows' lengths count them; None where no row is one."""
    lengths = np.unique(facts.ends[facts.ends > 0])
    steps = facts.ends.copy()
    for length in lengths[::-1]:
        tried = Pool(kind, "", np.full(facts.ends.size, length), False, False)
        steps[rows[(steps[rows] == facts.ends[rows]) & is_pool(facts, tried, rows, atol, units)]] = length
    if (steps[rows] == facts.ends[rows]).all():
        return None
    padded = bool((steps > facts.ends).any())
    return Pool(kind, "as many steps as another row's length counts", steps, False, padded, True)


def is_pool(facts: TrackFacts, pool: Pool, rows: Ints, atol: float, units: int | None = None) -> Bools:
    """`[N]`: whether the final states of these rows `[N]` are this pool of their steps; in the first `units` alone,
    where that many are asked for.

    A maximum is one of its terms and must be equal; a mean or a sum may be off by its rounding. `atol`: by which
    printed or stated numbers may be off besides.
    """
    pooled = np.zeros(rows.size, dtype=np.bool_)
    for part in parts(rows.size, facts.steps * facts.outputs.shape[2]):
        picked = rows[part]
        outputs = np.asarray(facts.outputs[picked, :, :units])
        counted = facts.mask[picked] if pool.real else np.arange(facts.steps) < pool.steps[picked, None]
        value, rounding = _pooled(outputs, counted, pool.kind)
        target = np.asarray(facts.final[picked, :units])
        gap = np.abs(value - target.astype(np.float64))
        pooled[part] = (same(value.astype(target.dtype), target) | (gap <= rounding + atol)).all(-1)
    return pooled


def _pooled(outputs: Array, counted: Bools, kind: Kind) -> tuple[Array, Array]:
    """`[N, H]`: the pool in float64, and what its rounding may amount to."""
    chosen = counted[..., None]
    if kind == "maximum":
        value = np.where(chosen, outputs, -np.inf).max(1)
        return value.astype(np.float64), np.zeros_like(value, dtype=np.float64)
    terms = np.where(chosen, outputs, 0).astype(np.float64)
    unit = np.finfo(outputs.dtype if outputs.dtype.kind == "f" else np.float64).eps
    count = np.maximum(counted.sum(1), 1)[:, None] if kind == "mean" else 1
    return terms.sum(1) / count, ROUNDINGS * unit * np.abs(terms).sum(1) / count
