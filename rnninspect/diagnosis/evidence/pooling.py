"""Pools of a row's steps: maximum, minimum, mean and sum, over its real steps, over more, or over the last of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Bools, Ints
from rnninspect.diagnosis.once import once
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import parts, same, take_rows

ROUNDINGS = 16  # of a mean's terms that another order of summation may leave
FEW = 8  # rows that a pool is tried on first
UNITS = 16  # that running pools are looked at in: enough to tell which lengths are worth a pool of their own
GLANCE = 2  # of these, which tell most pools that a state is not
Kind = Literal["maximum", "minimum", "mean", "sum"]
KINDS: tuple[Kind, ...] = ("maximum", "minimum", "mean", "sum")
OF_ZEROED: tuple[Kind, ...] = ("maximum", "minimum", "mean")  # a sum is that of the real steps


@frozen
class Pool:
    """What was pooled: the first `steps[b]` steps of row b; `real`: only the real ones among them. `other_length`:
    that many are another row's.

    `begins[b]`: the first of them, else 0. `zeroed`: padded steps took part as zeros. `divisor[b]`: what the sum of a
    mean was divided by (`by`, in words), else the number of steps.
    """

    kind: Kind
    over: str
    steps: Ints
    real: bool
    padded: bool
    other_length: bool = False
    begins: Ints | None = None
    zeroed: bool = False
    divisor: Array | None = None
    by: str = ""

    @property
    def sentence(self) -> str:
        """What the pool is, in words."""
        return f"sum over {self.over}, divided by {self.by}" if self.by else f"{self.kind} over {self.over}"


def pools_of(facts: TrackFacts) -> Iterator[Pool]:
    """Every pool that is tried of one track, over the real steps first."""
    whole = np.full(facts.ends.size, facts.steps)
    padding = bool((~facts.mask).any())
    for kind in KINDS:
        yield Pool(kind, "its real steps" if padding else f"all {facts.steps} steps", whole, True, False)
    if not padding:
        return
    over = f"all {facts.steps} steps, padded ones included"
    for kind in KINDS:
        yield Pool(kind, over, whole, False, True)
    lengths = np.maximum(facts.real_counts, 1)
    yield Pool("mean", over, whole, False, True, divisor=lengths, by="its length")
    for kind in OF_ZEROED:
        yield Pool(kind, f"all {facts.steps} steps, padded ones as zeros", whole, False, True, zeroed=True)


def counted_steps(facts: TrackFacts, pool: Pool, rows: Ints) -> Bools:
    """`[N, T]`: the steps of these rows `[N]` that are in the pool."""
    steps = np.arange(facts.steps)
    within = facts.mask[rows] if pool.real else steps < pool.steps[rows, None]
    return within if pool.begins is None else within & (steps >= pool.begins[rows, None])


def pool_of_other_lengths(
    facts: TrackFacts, kind: Kind, rows: Ints, atol: float, units: int | None = None
) -> Pool | None:
    """The pool of these rows `[N]` over the first steps as other rows' lengths count them; None where no row is one."""
    lengths = np.unique(facts.ends[facts.ends > 0])
    steps = facts.ends.copy()
    may_be = _may_be_pools(facts, kind, rows, lengths, atol)
    for i in np.flatnonzero(may_be.any(0))[::-1]:
        asked = rows[may_be[:, i] & (steps[rows] == facts.ends[rows])]
        tried = Pool(kind, "", np.full(facts.ends.size, lengths[i]), False, False)
        steps[asked[is_pool(facts, tried, asked, atol, units)]] = lengths[i]
    if (steps[rows] == facts.ends[rows]).all():
        return None
    padded = bool((steps > facts.ends).any())
    return Pool(kind, "as many steps as another row's length counts", steps, False, padded, True)


def _may_be_pools(facts: TrackFacts, kind: Kind, rows: Ints, lengths: Ints, atol: float) -> Bools:
    """`[N, L]`: whether the states of these rows `[N]` may be the pools of their first `lengths` `[L]` steps, as a few
    units and running pools tell, whose sums are rounded at every step."""
    may_be = np.zeros((rows.size, lengths.size), dtype=np.bool_)
    for part in parts(rows.size, facts.steps * UNITS):
        outputs = first_units(facts, rows[part])
        target = np.asarray(facts.final[rows[part], None, :UNITS])
        terms = outputs.astype(np.float64)
        room: Array | float = atol
        if kind in ("maximum", "minimum"):
            value = (np.maximum if kind == "maximum" else np.minimum).accumulate(terms, axis=1)[:, lengths - 1]
        else:
            count = lengths[:, None] if kind == "mean" else 1
            value, sizes = (np.cumsum(a, axis=1)[:, lengths - 1] / count for a in (terms, np.abs(terms)))
            room = atol + (ROUNDINGS + facts.steps) * rounding_unit(outputs) * sizes
        gap = np.abs(value - target.astype(np.float64))
        may_be[part] = (same(value.astype(target.dtype), target) | (gap <= room)).all(-1)
    return may_be


def is_pool(facts: TrackFacts, pool: Pool, rows: Ints, atol: float, units: int | None = None) -> Bools:
    """`[N]`: whether the final states of these rows `[N]` are this pool of their steps; in the first `units` alone,
    where that many, at most UNITS, are asked for.

    A maximum is one of its terms and must be equal; a mean or a sum may be off by its rounding. `atol`: by which
    printed or stated numbers may be off besides.
    """
    pooled = np.zeros(rows.size, dtype=np.bool_)
    for part in parts(rows.size, facts.steps * facts.outputs.shape[2]):
        picked = rows[part]
        outputs = take_rows(facts.outputs, picked, None) if units is None else first_units(facts, picked)[..., :units]
        value, rounding = _value_of(facts, pool, picked, outputs)
        target = np.asarray(facts.final[picked, :units])
        gap = np.abs(value - target.astype(np.float64))
        pooled[part] = (same(value.astype(target.dtype), target) | (gap <= rounding + atol)).all(-1)
    return pooled


def first_units(facts: TrackFacts, rows: Ints) -> Array:
    """`[N, T, UNITS]` of these rows `[N]`: of a few, on which every pool is tried, they are taken once."""
    return take_rows(facts.outputs, rows, UNITS) if rows.size > FEW else _of_few(facts, tuple(rows.tolist()))


@once
def _of_few(facts: TrackFacts, rows: tuple[int, ...]) -> Array:
    return take_rows(facts.outputs, np.array(rows, dtype=np.int64), UNITS)


def pool_values(facts: TrackFacts, pool: Pool, rows: Ints) -> Array:
    """`[N, H]`: the pool of these rows `[N]`, in the states' precision."""
    value, _ = _value_of(facts, pool, rows, np.asarray(facts.outputs[rows]))
    return np.asarray(value.astype(facts.final.dtype))


def rows_of_pools(facts: TrackFacts, atol: float) -> Ints | None:
    """`[B]`: the row whose pool each state is, told by a few units; None where states are no rows' pools, or each its
    own row's, or where two rows' pools are too alike to tell."""
    few = replace(facts, track=replace(facts.track, outputs=facts.outputs[..., :UNITS], final=facts.final[:, :UNITS]))
    rows = np.arange(facts.ends.size)
    if (facts.somewhere & facts.mismatched).any() or rows.size < 2 or not facts.mismatched.any():
        return None
    for pool in pools_of(few):
        value, rounding = _value_of(few, pool, rows, np.asarray(few.outputs))
        apart = np.abs(value[None] - few.final[:, None].astype(np.float64))  # [state, row, unit]
        fits = (apart <= rounding[None] + atol + rounding_unit(few.outputs) * np.abs(value)[None]).all(-1)
        if (fits.sum(0) == 1).all() and (fits.sum(1) == 1).all():
            source = fits.argmax(1).astype(np.int64)
            return source if (source != rows).any() else None
    return None


def _value_of(facts: TrackFacts, pool: Pool, rows: Ints, outputs: Array) -> tuple[Array, Array]:
    """`[N, H]`: the pool of the outputs `[N, T, H]` of these rows `[N]`, and what its rounding may amount to."""
    if pool.zeroed:
        outputs = np.where(facts.mask[rows][..., None], outputs, 0)
    divisor = None if pool.divisor is None else pool.divisor[rows]
    return pooled_values(outputs, counted_steps(facts, pool, rows), pool.kind, divisor)


def pooled_values(outputs: Array, counted: Bools, kind: Kind, divisor: Array | None = None) -> tuple[Array, Array]:
    """`[N, H]`: the pool in float64, and what its rounding may amount to."""
    chosen = counted[..., None]
    if kind in ("maximum", "minimum"):
        low, pool = (-np.inf, np.max) if kind == "maximum" else (np.inf, np.min)
        value = pool(np.where(chosen, outputs, low), axis=1)
        return value.astype(np.float64), np.zeros_like(value, dtype=np.float64)
    terms = np.where(chosen, outputs, 0).astype(np.float64)
    count: Array | int = 1
    if kind == "mean":
        count = (np.maximum(counted.sum(1), 1) if divisor is None else divisor)[:, None]
    return terms.sum(1) / count, ROUNDINGS * rounding_unit(outputs) * np.abs(terms).sum(1) / count


def rounding_unit(values: Array) -> float:
    """The spacing of the type of values `[...]` at 1; of integers, float64's."""
    return float(np.finfo(values.dtype if values.dtype.kind == "f" else np.float64).eps)
