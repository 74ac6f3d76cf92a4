"""Arrays that went through a print-out: how many decimals they were rounded to, and how to compare them all the same.

A state that was printed with four decimals equals no output that kept six. Rounded alike, both hold the same numbers
again, up to one unit of the last digit where a number was rounded twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnninspect.core.tiles import release
from rnninspect.core.trace import Array

# Beyond these decimals the type's own spacing could pass for rounding (float32 near 1 is spaced 6e-8).
MOST = {"float16": 2, "float32": 6, "float64": 12}
SAMPLE, STRETCH = 4096, 64
DISTINCT = 3  # fewer different fractions say nothing: a half and a quarter are round in any type
CHANCE = 1e-10  # that so many full-precision numbers are round by accident


def decimals(array: Array) -> int | None:
    """The decimals that the array was rounded to, told from a sample; None for full precision or too few numbers.

    >>> decimals(np.round(np.linspace(0, 1, 50) ** 2, 3)), decimals(np.linspace(0, 1, 50) ** 2)
    (3, None)
    """
    if array.dtype.name not in MOST or not array.size or not array.ndim:
        return None
    sample = _sample(array)
    fractions = np.sort(sample[np.isfinite(sample) & (sample != np.rint(sample))])
    fractions = fractions[np.diff(fractions, prepend=np.nan) != 0]  # np.unique would import numpy.ma at every start
    if fractions.size < DISTINCT:
        return None
    spacing = float(np.finfo(fractions.dtype).eps) / 2
    exact = fractions.astype(np.float64)
    for digits in range(1, MOST[array.dtype.name] + 1):
        if _holds(fractions, exact, digits):
            return digits if (spacing * 10.0**digits) ** fractions.size <= CHANCE else None
    return None


def _sample(array: Array) -> Array:
    """About SAMPLE numbers from all over the array, STRETCH of them side by side: a mapped file is read by pages."""
    if array.size <= SAMPLE:
        return np.array(array).reshape(-1)
    starts = np.linspace(0, array.size - STRETCH, SAMPLE // STRETCH).astype(np.int64)
    places = starts[:, None] + np.arange(STRETCH)
    parts = []
    for some in np.split(places, 8):  # each stretch may map 2 MiB around it
        parts.append(np.asarray(array[np.unravel_index(some.reshape(-1), array.shape)]))
        release(array)
    return np.concatenate(parts)


def coarsest(arrays: Sequence[Array]) -> int | None:
    """The decimals to round all of `arrays` to, so that equal numbers are equal again; None where they are already.

    Arrays of one type that were rounded alike, or not at all, need nothing.
    """
    found = [decimals(array) for array in arrays]
    known = [d for d in found if d is not None]
    if not known or (len(set(found)) == 1 and len({array.dtype for array in arrays}) == 1):
        return None
    return min(known)


def rounded(array: Array, digits: int) -> Array:
    """The array as float64, rounded to that many decimals."""
    return np.round(array.astype(np.float64), digits)


def moved(array: Array, evened: Array) -> bool:
    """Whether rounding changed any number of the array; where it did not, no room is needed for numbers rounded twice.

    >>> moved(np.array([2.0, 0.25]), np.array([2.0, 0.25])), moved(np.array([2.0, 0.251]), np.array([2.0, 0.25]))
    (False, True)
    """
    return not np.array_equal(array, evened.astype(array.dtype), equal_nan=array.dtype.kind == "f")


def unit(digits: int) -> float:
    """How far two print-outs of one number may be apart: one unit of the last digit, where one was rounded twice."""
    return 1.05 * 10.0**-digits


def _holds(fractions: Array, exact: Array, digits: int) -> bool:
    return bool((np.round(exact, digits).astype(fractions.dtype) == fractions).all())
