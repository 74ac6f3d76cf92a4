"""Which arrays can hold sequences of so many rows and steps, on which axes, and which one a statement speaks of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rnninspect.core.names_of_lengths import LENGTHS_NAME, MASK_NAME
from rnninspect.core.trace import Array, Bools, Ints, prefix_mask
from rnninspect.invariance.batch import Input, Layout
from rnninspect.invariance.nested import last_name
from rnninspect.invariance.padding_content import constant_step
from rnninspect.invariance.pairs_recognised import pairs_of
from rnninspect.invariance.statements import Sequences


def layouts(array: Array, rows: int, longest: int) -> Iterator[Layout]:
    """Every pair of axes of `[…]` that may be rows and steps, the likeliest first."""
    pairs = [
        (row, time)
        for row in range(min(array.ndim, 2))
        for time in range(array.ndim)
        if row != time and array.shape[row] == rows and array.shape[time] >= max(longest, 1)
    ]
    order = {1: 0, 0: 1} | {axis: 2 + array.ndim - axis for axis in range(2, array.ndim)}
    for row, time in sorted(pairs, key=lambda p: (p[0], array.shape[p[1]] != longest, order[p[1]])):
        yield Layout(row, time)


def primary(inputs: Sequence[Input], sequences: Sequences | None, taken: set[str]) -> Input | None:
    """The input whose steps a statement speaks of: the one named, else one named alike, else the first that fits."""
    fits = fitting(inputs, sequences, taken)
    if sequences is not None and sequences.target is not None:
        return next((one for one in fits if one.path == sequences.target), None)
    if sequences is not None and sequences.name is not None:
        pattern = MASK_NAME if sequences.is_mask else LENGTHS_NAME
        stem = pattern.sub("_", last_name(sequences.name)).strip("_")
        alike = [
            one for one in fits if stem and (last_name(one.path) == stem or stem in last_name(one.path).split("_"))
        ]
        if alike:
            return alike[0]
    if sequences is None or len(fits) < 2:
        return fits[0] if fits else None
    return max(fits, key=lambda one: _suits(one, sequences))  # the first of those that suit as well


def fitting(inputs: Sequence[Input], sequences: Sequences | None, taken: set[str]) -> list[Input]:
    """The inputs that have the rows and the steps that a statement speaks of, or any at all where there is none."""
    rows = None if sequences is None else sequences.rows
    longest = 1 if sequences is None else sequences.longest
    return [
        one
        for one in inputs
        if one.kind in ("data", "other")
        and one.path not in taken
        and one.array.ndim >= 2
        and one.array.dtype.kind in "fiub"
        and any(layouts(one.array, rows if rows is not None else one.array.shape[0], longest))
    ]


def _suits(one: Input, sequences: Sequences) -> tuple[bool, ...]:
    """How well lengths suit an array: it is not of pairs of steps, results depend on it, what they leave out holds one
    value, it is no table of fractions, and its widest row is as wide as it is.
    """
    layout = next(layouts(one.array, sequences.rows, sequences.longest))
    steps = np.moveaxis(one.array, (layout.row, layout.time), (0, 1))
    real = real_steps(sequences, steps.shape[1]) if not sequences.is_mask else np.ones(steps.shape[:2], bool)
    stated_real = real_steps(sequences, steps.shape[1])
    kept = stated_real if stated_real.shape == steps.shape[:2] else real
    paired = pairs_of(one.array, layout.row, kept, last_name(one.path)) is not None
    constant = constant_step([steps[~real]]) is not None and constant_step([steps[real]]) is None
    sequence = one.array.ndim > 2 or one.array.dtype.kind in "iu"
    return not paired, not one.unread, constant, sequence, steps.shape[1] == sequences.longest


def real_steps(sequences: Sequences, steps: int) -> Bools:
    """`[B, T]`: the steps that a statement says are real."""
    if sequences.is_mask:
        return np.asarray(sequences.values, bool)
    values = sequences.values
    lengths: Ints = (np.round(values * steps) if sequences.relative else values).astype(np.int64)
    return prefix_mask(lengths, steps)
