"""Padding that the inputs show, where nobody said which steps are real."""

from __future__ import annotations

import numpy as np

from rnninspect.core.trace import Array, Bools, Ints


def ends_of_inputs(inputs: Array) -> Ints | None:
    """`[B]`: the steps of `[B, T, F]` before one vector that rows end in; T where a row does not end in it.

    That vector is zero, or else the one that most rows repeat up to their last step. None where no row ends so, or
    where every row is constant.
    """
    if inputs.ndim != 3 or not inputs.size:
        return None
    last, alike = inputs[:, -1], _alike_at_the_end(inputs)
    padded = (last == 0).all(-1)
    if not padded.any():
        padded = _share_the_commonest(last, (alike > 1) & (alike < inputs.shape[1]))
    if not padded.any() or (alike[padded] == inputs.shape[1]).all():
        return None
    return np.asarray(np.where(padded, inputs.shape[1] - alike, inputs.shape[1]), dtype=np.int64)


def begins_in_zeros(inputs: Array) -> bool:
    """Whether some rows of `[B, T, F]`, which are not zero throughout, begin in zeros."""
    if inputs.ndim != 3 or inputs.shape[1] < 2:
        return False
    rows = np.flatnonzero((inputs[:, 0] == 0).all(-1))
    return bool(rows.size) and bool((inputs[rows] != 0).any())


def led_by_blanks(inputs: Array, counts: Ints) -> bool:
    """Whether every row of `[B, T, F]` is blank before its last `counts[b]` steps, and at no other step of any row.

    Blank: zeros; or one vector, where rows are led by several counts of it. One zero before every row, or one symbol,
    may be how rows begin; nothing but padding in front is as long as each row is short of T.
    """
    lead = inputs.shape[1] - counts[counts > 0]
    padded = np.flatnonzero((counts > 0) & (counts < inputs.shape[1]))
    if inputs.ndim != 3 or not padded.size or (lead == 1).all():
        return False
    blank = inputs[padded[0], 0]
    if blank.any() and (lead[lead > 0] == lead[lead > 0][0]).all():
        return False
    if any((inputs[b, : inputs.shape[1] - counts[b]] != blank).any() for b in padded):
        return False
    return all((inputs[b, inputs.shape[1] - counts[b] :] != blank).any(-1).all() for b in np.flatnonzero(counts > 0))


def _alike_at_the_end(inputs: Array) -> Ints:
    """`[B]`: how many steps up to the last equal it, itself included."""
    count, alive = np.zeros(inputs.shape[0], dtype=np.int64), np.ones(inputs.shape[0], dtype=np.bool_)
    for step in range(inputs.shape[1] - 1, -1, -1):
        alive &= (inputs[:, step] == inputs[:, -1]).all(-1)
        if not alive.any():
            break
        count += alive
    return count


def _share_the_commonest(last: Array, repeated: Bools) -> Bools:
    """`[B]`: rows whose last vector `[B, F]` is the one that most of the rows in `repeated` end in."""
    rows = np.flatnonzero(repeated)
    if not rows.size:
        return repeated
    vectors, counts = np.unique(last[rows], axis=0, return_counts=True)
    return np.asarray((last == vectors[counts.argmax()]).all(-1))
