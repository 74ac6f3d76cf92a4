"""Pools of a row's first steps, whichever many: what a state may be where no lengths are read yet."""

from __future__ import annotations

import numpy as np

from rnninspect.core.trace import Array

FEW = 16  # rows that are looked at
UNITS = 16  # of theirs, that are
GLANCE = 4  # of these, that are looked at before all
FEWEST_UNITS = 3  # that tell that a state is in proportion to a sum
TINY = np.finfo(np.float64).tiny


def are_pools(states: Array, outputs: Array) -> Array:
    """`[N]`: whether states `[N, H]` are pools of the first steps of outputs `[N, T, H]`, but for a sum's rounding,
    in their first units; of which a few tell most rows that they are none."""
    pools = _are_pools(states[:, :GLANCE], outputs[..., :GLANCE], 4.0)
    if pools.any():
        pools[pools] = _are_pools(states[pools, :UNITS], outputs[pools, :, :UNITS], 1.0)
    return pools


def _are_pools(states: Array, outputs: Array, spare: float) -> Array:
    """`[N]`: the same by all units, sums so many times as far off as their rounding may be."""
    terms, target = outputs.astype(np.float64), states[:, None].astype(np.float64)
    counts = 1 + np.arange(outputs.shape[1])[:, None]
    coarser = max((outputs.dtype, states.dtype), key=lambda dtype: float(np.finfo(dtype).eps))
    room = spare * outputs.shape[1] * float(np.finfo(coarser).eps) * np.cumsum(np.abs(terms), axis=1)
    sums = np.cumsum(terms, axis=1)
    along, squares = (sums * target).sum(-1, keepdims=True), (sums**2).sum(-1, keepdims=True)
    share = np.where((along > 0) & (terms.shape[2] >= FEWEST_UNITS), along / np.maximum(squares, TINY), 0.0)
    share[:, :1] = 0.0  # of one step
    fits = (
        np.maximum.accumulate(terms, axis=1) == target,
        np.minimum.accumulate(terms, axis=1) == target,
        np.abs(share * sums - target) <= share * room,
        np.abs(sums - target) <= room,
        np.abs(sums / counts - target) <= room / counts,
    )
    return np.asarray(np.any([fit.all(-1).any(-1) for fit in fits], axis=0))


def holds_pools(state: Array, outputs: Array) -> bool:
    """Whether most rows of some part of a flat state `[B, N*H]`, of the width of the outputs `[B, T, H]`, are pools, as
    concat pooling joins them."""
    rows, units = min(FEW, len(state)), outputs.shape[2]
    if len(state) != len(outputs) or not rows or not (outputs.dtype.kind == state.dtype.kind == "f"):
        return False
    parts = np.split(np.asarray(state[:rows]), state.shape[1] // units, axis=1)
    few = np.asarray(outputs[:rows])
    return any(2 * int((are_pools(part, few) & part.any(-1)).sum()) > rows for part in parts)
