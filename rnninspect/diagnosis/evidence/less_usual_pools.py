"""Pools over the last few steps of a row, and sums that were divided otherwise than by how many steps they are of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from rnninspect.conventions.dumps.first_pools import FEWEST_UNITS
from rnninspect.core.trace import Array, Bools, Ints
from rnninspect.diagnosis.evidence.pooling import (
    GLANCE,
    KINDS,
    ROUNDINGS,
    UNITS,
    Kind,
    Pool,
    counted_steps,
    first_units,
    is_pool,
    pooled_values,
    rounding_unit,
)
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import parts, take_rows

NEAR_A_NUMBER = 1e-3  # how far, as a share, a divisor that was fitted may be from the number that it is


def pools_of_ends(facts: TrackFacts, rows: Ints, atol: float) -> Iterator[Pool]:
    """The pools over the last few real steps, over all but the first, and over the last few columns, as many as these
    few rows `[N]` tell."""
    firsts = facts.mask.argmax(1)
    if not np.array_equal(facts.ends - firsts, facts.real_counts):
        return  # a mask with holes: the last few are not side by side
    outputs, target = first_units(facts, rows), facts.final[rows, None, :UNITS].astype(np.float64)
    padding = bool((~facts.mask).any())
    for kind in KINDS:
        yield Pool(kind, "its real steps but the first", facts.ends, True, False, begins=firsts + 1)
    for ends in (facts.ends, np.full_like(facts.ends, facts.steps)) if padding else (facts.ends,):
        real = ends is facts.ends
        back = np.maximum(ends[rows, None] - 1 - np.arange(facts.steps), 0)  # [N, T], the last step first
        most = np.maximum((facts.real_counts if real else ends)[rows], 1)
        fitting = partial(_fitting_count, outputs, back, target, most, atol)
        for kind in KINDS:
            count = fitting(kind, GLANCE) and fitting(kind, UNITS)
            if count is not None:
                over = f"its last {count} {'real steps' if real else 'columns, padded ones included'}"
                yield Pool(kind, over, ends, real, not real, begins=np.maximum(ends - count, 0))


def _fitting_count(
    outputs: Array, back: Ints, target: Array, most: Ints, atol: float, kind: Kind, units: int
) -> int | None:
    """How many steps of outputs `[N, T, H]` in the order of `back` `[N, T]`, from the first and at most `most` `[N]`,
    pool to the target in most rows, in the first `units`."""
    terms = np.take_along_axis(outputs[..., :units].astype(np.float64), back[..., None], 1)
    target, unit = target[..., :units], rounding_unit(outputs)
    counts = np.arange(1, terms.shape[1])
    taken = np.minimum(counts, most[:, None])
    if kind in ("maximum", "minimum"):
        pooled = (np.maximum if kind == "maximum" else np.minimum).accumulate(terms, axis=1)
        room: Array | float = atol
    else:
        over = np.arange(1, terms.shape[1] + 1)[:, None] if kind == "mean" else 1
        pooled = np.cumsum(terms, axis=1) / over
        room = atol + (ROUNDINGS + terms.shape[1]) * unit * np.cumsum(np.abs(terms), axis=1) / over
    fits = (np.abs(pooled - target) <= room).all(-1)
    rows = np.take_along_axis(fits, taken - 1, 1).sum(0)[1:]  # of two terms or more
    best = int(rows.argmax()) if rows.size else 0
    return int(counts[best + 1]) if rows.size and 2 * rows[best] > len(terms) else None


def pools_in_proportion(facts: TrackFacts, rows: Ints, atol: float) -> Iterator[Pool]:
    """The sums that the states of these few rows `[N]` are in proportion to, each row's divided by a number of its own:
    its length's square root, its norm, another length. A state in proportion to one of its steps is no sum."""
    if facts.final.shape[1] < FEWEST_UNITS:
        return
    whole, every = np.full(facts.ends.size, facts.steps), np.arange(facts.ends.size)
    over = f"all {facts.steps} steps"
    pools = [Pool("mean", over, whole, True, False)]
    if (~facts.mask).any():
        padded = Pool("mean", f"{over}, padded ones included", whole, False, True)
        pools = [replace(pools[0], over="its real steps"), padded]
    for pool in pools:
        tried = replace(pool, divisor=_divisors(facts, pool, rows, UNITS))
        fits = is_pool(facts, tried, rows, atol, UNITS)
        fits = fits & ~_is_parallel_to_a_step(facts, rows, atol) if fits.any() else fits
        if 2 * fits.sum() > rows.size:
            yield _named(facts, replace(pool, divisor=_divisors(facts, pool, every)), rows[fits])


def _divisors(facts: TrackFacts, pool: Pool, rows: Ints, units: int | None = None) -> Array:
    """`[B]`: what brings the sum of each of these rows `[N]` nearest to its state; infinity where nothing does."""
    divisors = np.full(facts.ends.size, np.inf)
    for part in parts(rows.size, facts.steps * facts.outputs.shape[2]):
        picked = rows[part]
        outputs = take_rows(facts.outputs, picked, None) if units is None else first_units(facts, picked)[..., :units]
        sums = pooled_values(outputs, counted_steps(facts, pool, picked), "sum")[0]
        along = (sums * facts.final[picked, :units].astype(np.float64)).sum(1)
        divisors[picked[along > 0]] = ((sums**2).sum(1)[along > 0]) / along[along > 0]
    return divisors


def _is_parallel_to_a_step(facts: TrackFacts, rows: Ints, atol: float) -> Bools:
    """`[N]`: whether the states of these few rows `[N]` are in proportion to one of their own steps, in a few units."""
    steps, states = (a.astype(np.float64) for a in (first_units(facts, rows), facts.final[rows, None, :UNITS]))
    along = (steps * states).sum(-1, keepdims=True)
    share = along / np.maximum((steps**2).sum(-1, keepdims=True), np.finfo(np.float64).tiny)
    room = atol + ROUNDINGS * rounding_unit(facts.outputs) * np.abs(states)
    return np.asarray((np.abs(share * steps - states) <= room).all(-1).any(-1))


def _named(facts: TrackFacts, pool: Pool, rows: Ints) -> Pool:
    """The pool in proportion to a sum with what it was divided by in words, as these rows `[N]` of it tell."""
    assert pool.divisor is not None
    divisor, counts = pool.divisor[rows], facts.real_counts[rows]
    near = max(NEAR_A_NUMBER, ROUNDINGS * rounding_unit(facts.final))

    def is_all(numbers: Array | float) -> bool:
        return bool((np.abs(divisor - numbers) <= near * divisor).all())

    if is_all(np.sqrt(counts)):
        return replace(pool, by="the square root of its length")
    if is_all(divisor * np.linalg.norm(facts.final[rows].astype(np.float64), axis=1)):
        return replace(pool, by="its norm")
    if is_all(divisor[0]):
        return replace(pool, by=f"{divisor[0]:.4g} in every row")
    whole = np.rint(divisor)
    counted = is_all(whole) and whole.max() <= facts.steps + 1
    if not counted:
        return replace(pool, by="a number of its own")
    if not facts.lengths_known:
        return replace(pool, by=f"another number in each row, as its length is (row {rows[0]}: {whole[0]:.0f})")
    off = int(np.flatnonzero(whole != counts)[0])
    by = f"another number than its length (row {rows[off]}: by {whole[off]:.0f}, its length is {counts[off]})"
    steps = np.where(np.isfinite(pool.divisor), np.rint(pool.divisor), facts.steps).astype(np.int64)
    return replace(pool, by=by, other_length=True, steps=steps) if pool.real else replace(pool, by=by)
