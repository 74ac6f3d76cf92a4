"""How narrow the floats are that a model computes with: by so much two runs of a right model may differ.

A result's own dtype does not tell: what was computed in float32 may be returned in float64, as numbers of Python are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.invariance.batch import Batch, Input
from rnninspect.invariance.model import LiveModel, OutOfTime, RunFailed
from rnninspect.invariance.nested import flat

# What rounding may do to runs of the same shapes, and of others, of a result's largest value. Right models in half
# precision were seen to differ by 1 and 3 units in the last place of it (2**-10, 2**-7): by 2 and 8 they may.
ROUNDING = {
    "float64": (2e-10, 2e-9),
    "float32": (2e-6, 2e-5),
    "float16": (2 * 2**-10, 8 * 2**-10),
    "bfloat16": (2 * 2**-7, 8 * 2**-7),
}
WIDTHS = {"bfloat16": 1, "float16": 2, "float32": 4, "float64": 8}  # in bytes; bfloat16 rounds more than float16
_NAMES = {width: name for name, width in WIDTHS.items()}
_BITS = {1: 8, 2: 11}  # of a number's mantissa
_ENOUGH = 16  # different numbers: fewer may be round by chance


def precision_of(live: LiveModel, batch: Batch, results: Mapping[str, Array]) -> str:
    """The narrowest floats that take part: in the inputs, in the results, in what the model was seen to compute."""
    dtypes = [str(getattr(one.original, "dtype", "")) for one in batch.inputs]
    floats = [array for array in results.values() if array.dtype.kind == "f"]
    widths = [WIDTHS[name] for name in ("bfloat16", "float16") if any(dtype.endswith(name) for dtype in dtypes)]
    widths += [array.dtype.itemsize for array in floats if array.dtype.itemsize in _NAMES]
    if live.coarsest is None:
        data = [one.array.dtype for one in batch.inputs if one.kind == "data" and one.array.dtype.kind == "f"]
        widths.append(min((dtype.itemsize for dtype in data), default=4))
        widths += [width for width in _BITS if _hold_numbers_of(floats, width)]
    else:
        widths.append(live.coarsest)
    if floats and all(_of_float32(array) for array in floats):
        widths.append(4)
    return _NAMES[min(widths)]


def _of_float32(array: Array) -> bool:
    """Whether every number is one of float32."""
    if array.dtype.itemsize <= 4:
        return True
    with np.errstate(over="ignore"):
        return np.array_equal(array, array.astype(np.float32), equal_nan=True)


def _hold_numbers_of(floats: Iterable[Array], width: int) -> bool:
    """Whether all these are numbers of that half precision, and so many and so unlike that this is no chance.

    Counts, shares of a few steps and flags are such numbers too: they all are whole multiples of a step that is not
    much smaller than the largest of them.
    """
    parts = [array.reshape(-1).astype(np.float64) for array in floats]
    values = np.unique(np.abs(np.concatenate(parts))) if parts else np.zeros(0)
    values = values[np.isfinite(values) & (values > 0)]
    if len(values) < _ENOUGH or not np.array_equal(values, _rounded_to(values, width)):
        return False
    mantissas, exponents = np.frexp(values)
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    lowest = np.log2((whole & -whole).astype(np.float64)) - 53 + exponents
    return bool(exponents.max() - lowest.min() >= _BITS[width] + 2)


def _rounded_to(values: Array, width: int) -> Array:
    """The nearest numbers of a half precision, of positive ones."""
    mantissas, exponents = np.frexp(values)
    rounded = np.ldexp(np.round(np.ldexp(mantissas, _BITS[width])), exponents - _BITS[width])
    with np.errstate(over="ignore"):
        return np.asarray(rounded if width == 1 else values.astype(np.float16).astype(np.float64))


def measured_width(model: Any, inputs: Sequence[Input]) -> int | None:
    """The width of the floats that a function casts its inputs to, as far as its results show; None where they do not.

    Inputs that are numbers of half precision are moved by less than half a unit in its last place: what casts them to
    that precision returns exactly the same. `model`: a `Model`.
    """
    parts = [one for one in inputs if _has_fractions(one.array)]
    if not parts:
        return None
    wide = any(one.array.dtype.itemsize == 8 for one in parts)
    try:
        base = _moved(model, inputs, 0.0)
        if not _same(base, _moved(model, inputs, 2.0**-13)):
            return 4 if not wide or _same(base, _moved(model, inputs, 2.0**-26)) else 8
        if _same(base, _moved(model, inputs, 2.0**-6)):
            return None  # they are not read
        return 1 if _same(base, _moved(model, inputs, 1.5 * 2.0**-11)) else 2
    except (RunFailed, OutOfTime):
        return None


def _has_fractions(array: Array) -> bool:
    return array.dtype.kind == "f" and array.dtype.itemsize > 2 and bool((np.round(array) != array).any())


def _moved(model: Any, inputs: Sequence[Input], share: float) -> dict[str, Array]:
    """The results with what is no whole number rounded to half precision and moved by this share of itself."""
    changed = []
    for one in inputs:
        if _has_fractions(one.array):
            with np.errstate(all="ignore"):
                sizes = _rounded_to(np.abs(one.array).astype(np.float64), 1) * (1 + share)
            one = replace(one, array=np.copysign(sizes, one.array).astype(one.array.dtype))
        changed.append(one)
    return flat(model.run(Batch(tuple(changed), (), 0)))


def _same(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(array, second[path], equal_nan=array.dtype.kind == "f") for path, array in first.items()
    )
