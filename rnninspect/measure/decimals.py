"""Arrays that went through a print-out: how many decimals they were rounded to, and how to compare them all the same.

A state that was printed with four decimals equals no output that has six. Rounded alike, both hold the same numbers
again, up to one unit of the last digit where a number was rounded twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Role, Slot
from rnninspect.core.precision import Precision
from rnninspect.core.tiles import release
from rnninspect.core.trace import Array
from rnninspect.measure.choose_reading import Tolerance

# Beyond these decimals the type's own spacing could pass for rounding (float32 near 1 is spaced 6e-8).
MOST = {"float16": 2, "float32": 6, "float64": 12}
SAMPLE, STRETCH = 4096, 64
PRINTED: tuple[Role, ...] = ("outputs", "h", "c")  # roles whose numbers are compared with one another
DISTINCT = 3  # fewer different fractions say nothing: a half and a quarter are round in any type
FULL = 15  # decimals that float64 can be rounded to
SHORTEST = 7  # digits from which on the text of a float32 may be off by its spacing and not by a unit
ROUNDED_ALIKE = 50  # units of the last decimal that steps must differ by, where none may be equal by rounding
WHOLE = 2.0**53  # below which float64 holds every whole number, so that numbers of few decimals are round to more too
GLANCE = 8  # numbers that most often tell that none is rounded
CHANCE = -10  # power of ten: that so many full-precision numbers are round by accident


def decimals(array: Array) -> int | None:
    """The decimals that the array `[…]` was rounded to, told from a sample; None for full precision or too few numbers.

    >>> decimals(np.round(np.linspace(0, 1, 50) ** 2, 3)), decimals(np.linspace(0, 1, 50) ** 2)
    (3, None)
    """
    if array.dtype.name not in MOST or not array.size or not array.ndim:
        return None
    sample = _in_its_precision(sample_of(array))
    sample = sample[np.isfinite(sample)]
    fractions = sample[sample != np.rint(sample)]
    most = MOST[fractions.dtype.name]
    few = fractions[:GLANCE].astype(np.float64)
    if (np.abs(few) * 10.0**most < WHOLE).all() and not _holds(fractions[:GLANCE], few, most):
        return None  # nor do fewer decimals hold these
    fractions = np.sort(fractions)
    fractions = fractions[np.diff(fractions, prepend=np.nan) != 0]  # np.unique would import numpy.ma at every start
    if fractions.size < DISTINCT:
        return None
    spacing = np.spacing(np.abs(fractions)).astype(np.float64)
    exact = fractions.astype(np.float64)
    if max(-exact[0], exact[-1]) * 10.0**most < WHOLE and not _holds(fractions, exact, most):
        return None
    for digits in range(1, most + 1):
        if _holds(fractions, exact, digits):
            chance = np.log10(np.minimum(spacing * 10.0**digits, 1.0)).sum()  # that full-precision numbers do so
            return digits if chance <= CHANCE else None
    return None


def _in_its_precision(sample: Array) -> Array:
    """The numbers as float32 where all are: a list of those holds their further digits, as `tolist()` gives them."""
    narrow = sample.astype(np.float32)
    return narrow if sample.dtype == np.float64 and np.array_equal(narrow, sample, equal_nan=True) else sample


def alike_below(array: Array) -> float:
    """How little the steps of a print-out `[…]` may differ for two to be equal by rounding alone; 0 for full precision.

    >>> alike_below(np.round(np.linspace(0, 1, 50) ** 2, 3)), alike_below(np.linspace(0, 1, 50) ** 2)
    (0.05, 0.0)
    """
    places = decimals(array)
    return 0.0 if places is None else ROUNDED_ALIKE / 10.0**places


def sample_of(array: Array) -> Array:
    """About SAMPLE numbers `[n]` of the array `[…]`, STRETCH of them side by side: a mapped file is read by pages."""
    if array.size <= SAMPLE:
        return np.array(array).reshape(-1)
    starts = np.linspace(0, array.size - STRETCH, SAMPLE // STRETCH).astype(np.int64)
    places = starts[:, None] + np.arange(STRETCH)
    parts = []
    for some in np.split(places, 8):  # each stretch may map 2 MiB around it
        parts.append(np.asarray(array[np.unravel_index(some.reshape(-1), array.shape)]))
        release(array)
    return np.concatenate(parts)


def coarsest(arrays: Sequence[Array], printed: Sequence[Precision | None] = ()) -> Precision | None:
    """Find what to round all of `arrays` to, so that equal numbers are equal again; None where they are already.

    `printed`: how each was rounded, None where the file does not tell: then its numbers do. Arrays of one type that
    were rounded alike, or not at all, need nothing; whole numbers suit any precision.

    >>> coarsest([np.array([0.123]), np.array([0.1235])], [Precision(decimals=3), Precision(decimals=4)])
    Precision(decimals=3, digits=None, kind=None)
    """
    precisions = printed or [None] * len(arrays)
    rounded_to = [
        (array.dtype, Precision(decimals(array)) if precision is None else precision)
        for array, precision in zip(arrays, precisions, strict=True)
        if precision is None or not _are_whole(array)
    ]
    places = [p.decimals for _, p in rounded_to if p.decimals is not None]
    digits = [p.digits for _, p in rounded_to if p.digits is not None]
    if not (places or digits) or len(set(rounded_to)) == 1:
        return None
    return Precision(min(places, default=None), min(digits, default=None))


def evened(
    slots: tuple[Slot, ...], samples: Mapping[Slot, Array], printed: Mapping[str, Precision], tolerance: Tolerance
) -> tuple[tuple[Slot, ...], Precision | None, Tolerance]:
    """Outputs and states rounded alike, to what, and the tolerance within which two print-outs of one number match.

    Args: `slots`; `samples` of those whose numbers tell; `printed`: how arrays were rounded, by name, as a file says;
    `tolerance`: what was stated.
    """
    precisions = [slot.printed or printed.get(slot.name) for slot in samples]
    arrays = [sample if p is None else s.array for (s, sample), p in zip(samples.items(), precisions, strict=True)]
    to = coarsest(arrays, precisions)
    if to is None:
        return slots, None, tolerance
    evened = tuple(replace(s, array=rounded(s.array, to)) if s.role in PRINTED else s for s in slots)
    if any(moved(old.array, new.array) for old, new in zip(slots, evened, strict=True)):
        rtol, atol = room(to)
        tolerance = replace(tolerance, rtol=max(tolerance.rtol, rtol), atol=max(tolerance.atol, atol))
    return evened, to, tolerance


def rounded(array: Array, to: Precision) -> Array:
    """The array `[…]` as float64, rounded to that precision."""
    values = array.astype(np.float64)
    if to.digits is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            powers = np.floor(np.log10(np.abs(values)))
        powers = np.where(np.isfinite(powers), powers, 0.0)
        scale = 10.0 ** np.clip(min(to.digits, FULL - 1) - powers, -300, 300)
        values = np.round(values * scale) / scale
    return values if to.decimals is None else np.round(values, min(to.decimals, FULL))


def _are_whole(array: Array) -> bool:
    """Whether no number has a fraction: zeros and ones tell no precision."""
    return array.dtype.kind != "f" or bool(np.all(np.isnan(array) | (array == np.rint(array))))


def moved(array: Array, evened: Array) -> bool:
    """Whether rounding changed any number of the array `[…]`; if not, no room is needed for numbers rounded twice.

    >>> moved(np.array([2.0, 0.25]), np.array([2.0, 0.25])), moved(np.array([2.0, 0.251]), np.array([2.0, 0.25]))
    (False, True)
    """
    return not np.array_equal(array, evened.astype(array.dtype), equal_nan=array.dtype.kind == "f")


def unit(digits: int) -> float:
    """How far two print-outs of one number may be apart: one unit of the last digit, where one was rounded twice."""
    return 1.05 * 10.0 ** -min(digits, FULL)


def room(to: Precision) -> tuple[float, float]:
    """(rtol, atol) within which two print-outs of one number lie, rounded to that precision.

    From SHORTEST digits on, numbers may have been printed as the shortest text that gives their float32 again (numpy).

    >>> room(Precision(decimals=4))
    (0.0, 0.000105)
    """
    rtol = 0.0 if to.digits is None else unit(to.digits)
    if max(to.decimals or 0, to.digits or 0) >= SHORTEST:
        rtol = max(rtol, float(np.finfo(np.float32).eps))
    return rtol, 0.0 if to.decimals is None else unit(to.decimals)


def _holds(fractions: Array, exact: Array, digits: int) -> bool:
    return bool((np.round(exact, digits).astype(fractions.dtype) == fractions).all())
