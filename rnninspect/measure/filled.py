"""Padding that was filled with a value other than zero (`pad_packed_sequence(padding_value=-1)`, `masked_fill`)."""

from __future__ import annotations

import numpy as np

from rnninspect.core.trace import Array, Bools


def holds_the_fill(final: Array, equal: Bools, mask: Bools) -> Bools:
    """`[B]`: rows whose state `[B, H]` is one number in every unit, not zero, that all of their masked outputs hold and
    no real one; none where these numbers differ, or a single row or unit might hold it by chance. Infinity is such a
    number (before a maximum over time); NaN is none, which a run over NaN in the padding computes too.

    `equal` `[B, T]`: the steps that equal the row's state; `mask` `[B, T]`: the real ones.

    >>> final, mask = np.array([[-1.0, -1.0], [0.5, 0.2]]), np.array([[True, False], [True, True]])
    >>> holds_the_fill(final, np.array([[False, True], [False, True]]), mask)
    array([ True, False])
    """
    first = final[:, :1]
    filled = np.asarray((final == first).all(1) & (first[:, 0] != 0))
    filled &= ~mask.all(1) & np.where(mask, ~equal, equal).all(1)
    values = first[filled, 0]
    chance = values.size < 2 and final.shape[1] < 2
    return filled if values.size and not chance and (values == values[:1]).all() else np.zeros_like(filled)
