"""What do the padded steps hold? One class a row, over the masked steps along the stored time axis."""

from __future__ import annotations

import numpy as np

from rnninspect.matching import same
from rnninspect.report import PaddingClass
from rnninspect.trace import Array, Bools


def padding_class(outputs: Array, real: Bools, zero: Bools) -> PaddingClass:
    """The class of one row: `outputs` `[T, H]`, `real` `[T]`, `zero` `[T]` (which steps are all zero).

    none (no padded step), zero, nonfinite, repeat (each padded step equals the step before it; leading ones are zero,
    as Keras does), constant (equal to each other), computed.

    >>> o = np.array([[1.0], [2.0], [2.0], [2.0]]); real = np.array([True, True, False, False])
    >>> padding_class(o, real, (o == 0).all(-1))
    'repeat'
    """
    padded = np.flatnonzero(~real)
    if not padded.size:
        return "none"
    if zero[padded].all():
        return "zero"
    held = outputs[padded]
    if held.dtype.kind == "f" and not np.isfinite(held).all():
        return "nonfinite"
    before = outputs[np.maximum(padded - 1, 0)]
    leading = padded < (np.flatnonzero(real)[0] if real.any() else 0)
    if (same(held, before).all(-1) | (leading & zero[padded])).all() and real.any():
        return "repeat"
    if padded.size > 1 and same(held, held[:1]).all():
        return "constant"
    return "computed"
