"""Which bits are set in any number of a step: read by itself, or as a part of a wider step, as halves of two directions
side by side are."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from rnninspect.core.trace import Array

LEAST_BYTES = 512  # of a part: shorter ones are read as fast by themselves
MOST = 4  # times as much memory as the parts take that is worth reading for them


def bits_of(values: Array) -> Array:
    """`[…]` unsigned: every bit that is set in any number of `values` `[…, H]`."""
    bits = values.view(f"u{values.itemsize}")
    if bits.ndim != 3:
        return np.asarray(np.bitwise_or.reduce(bits, axis=-1))
    if bits.strides[0] < bits.strides[1]:  # time-major
        return _of_steps(bits.swapaxes(0, 1)).T
    return _of_steps(bits)


def _of_steps(bits: Array) -> Array:
    """`[b, t]` of `[b, t, H]`. What lies between parts of wider steps that follow one another in memory is read as
    well: of every second KiB alone memory gives a third as many a second."""
    rows, steps, units = bits.shape
    outer, width, unit = bits.strides
    in_line = (outer == steps * width or rows == 1) and width % unit == 0
    if not bits.size or not in_line or units * unit < LEAST_BYTES or not units * unit < width <= MOST * units * unit:
        return np.asarray(np.bitwise_or.reduce(bits, axis=-1))
    starts = np.arange(rows * steps) * (width // unit)
    memory = as_strided(bits, (starts[-1] + units,), (unit,), writeable=False)  # behind the last part may be nothing
    cuts = np.stack([starts, starts + units], 1).reshape(-1)[:-1]
    return np.asarray(np.bitwise_or.reduceat(memory, cuts)[::2].reshape(rows, steps))
