"""Units at the ends of their gates and of tanh, which no input moves: far too large inputs leave them there."""

from __future__ import annotations

import numpy as np

from rnninspect.core.trace import Array, Bools

# What a unit can be then: 0 behind a closed gate, 1 of a plain cell or a GRU, and tanh(c) of an LSTM, whose c is one
# more or one less after every step that it keeps; from the ninth on that is 1 up to rounding.
ENDS = np.array([1.0, *np.tanh(np.arange(1.0, 9.0))])
ROUNDING = 8  # units in the last place, of gates that are all but closed


def saturated_units(states: Array) -> Bools:
    """Which numbers `[…, H]` are what a saturated unit holds, of either sign: 0 up to rounding only beside another end,
    for small numbers are no shut gates by themselves.

    >>> saturated_units(np.array([[1e-16, -1.0, np.tanh(2.0), 0.5], [1e-16, 0.0, 0.1, 0.2]])).tolist()
    [[True, True, True, False], [False, True, False, False]]
    """
    spacing = np.finfo(states.dtype).eps if states.dtype.kind == "f" else np.finfo(np.float32).eps
    sizes = np.abs(states.astype(np.float64))
    room = ROUNDING * float(spacing)
    ends = (np.abs(sizes[..., None] - ENDS) <= room).any(-1)
    return np.asarray(ends | (sizes == 0) | ((sizes <= room) & ends.any(-1, keepdims=True)))
