"""`DynamicQuantizeLSTM` of com.microsoft: its 8-bit weights as the numbers that they stand for.

W is `[D, F, 4H]` and R `[D, H, 4H]`, where LSTM has `[D, 4H, F]` and `[D, 4H, H]`; scale and zero point are `[D]`, or
`[D, 4H]` where every column has its own (onnxruntime/docs/ContribOperators.md). When it runs, what it reads and h are
rounded to 8 bits anew at every call and step, over all rows at once: a run of these weights comes near its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnninspect.core.trace import Array

OPERATOR = "DynamicQuantizeLSTM"
SCALES = ("W_scale", "W_zero_point", "R_scale", "R_zero_point")  # inputs behind those of LSTM
STATED = "quantised"  # an attribute that such a node gets beside those of its own


def dequantised(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """An LSTM's arrays by role from those of such a node, float32; ValueError where shapes do not go together."""
    floats = {role: array for role, array in arrays.items() if role not in SCALES}
    for role in ("W", "R"):
        whole = arrays[role]
        scale, zero = (_by_column(arrays[f"{role}_{part}"], whole) for part in ("scale", "zero_point"))
        floats[role] = np.ascontiguousarray(((whole.astype(np.float32) - zero) * scale).swapaxes(1, 2))
    return floats


def _by_column(part: Array, like: Array) -> Array:
    """`[D, 1, 1]` or `[D, 1, 4H]`, float32, of `[]`, `[D]` or `[D, 4H]`."""
    directions, _, columns = like.shape
    if part.size not in (1, directions, directions * columns):
        raise ValueError(f"{list(part.shape)} for {list(like.shape)}")
    return part.astype(np.float32).reshape(1 if part.size == 1 else directions, 1, -1)
