"""Arrays of unequal precision: outputs or a state that went through a cast, and how to compare them all the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Slot
from rnninspect.core.precision import Precision
from rnninspect.core.trace import Array
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.measure.decimals import PRINTED, evened, sample_of
from rnninspect.measure.difference import precision

WIDTHS = ("bfloat16", "float16", "float32", "float64")  # the narrowest first
BITS = {"bfloat16": 8, "float16": 11}  # of a number, its leading one counted
DISTINCT = 3  # fewer different numbers say nothing: a half and a quarter suit any type
GLANCE = 8  # numbers among which most often as many differ


def alike(
    slots: tuple[Slot, ...], printed: Mapping[str, Precision], tolerance: Tolerance
) -> tuple[tuple[Slot, ...], Precision | None, Tolerance]:
    """Outputs and states rounded alike, as print-outs or else as casts, to what, and the tolerance to match within."""
    samples = {slot: sample_of(slot.array) for slot in slots if slot.role in ("outputs", "h")}  # c decides nothing
    slots, to, tolerance = evened(slots, samples, printed, tolerance)
    if to is None:
        slots, to = cast_alike(slots, samples.values())
    return slots, to, tolerance


def cast_alike(slots: tuple[Slot, ...], samples: Collection[Array]) -> tuple[tuple[Slot, ...], Precision | None]:
    """Outputs and states rounded to the narrowest type among them, as `samples` of them show, and which; as they are
    where all hold the same.

    A cast state then equals the step that it was cast from, bit for bit; that of another run still equals none.
    """
    kind = narrowest(samples)
    if kind is None:
        return slots, None
    alike = tuple(replace(s, array=narrowed(s.array, kind)) if s.role in PRINTED else s for s in slots)
    return alike, Precision(kind=kind)


def narrowest(arrays: Collection[Array]) -> str | None:
    """The narrowest type that one of `arrays` holds numbers of, where another holds more; else None.

    >>> narrowest([np.array([0.5, 0.25, 0.75], np.float16), np.array([0.1, 0.2, 0.3], np.float32)])
    'float16'
    """
    if any(array.dtype.kind != "f" for array in arrays):
        return None
    kinds = {kind for array in arrays if (kind := _holds(array)) is not None}
    return min(kinds, key=WIDTHS.index) if len(kinds) > 1 else None


def _holds(array: Array) -> str | None:
    """The type that a sample of the numbers needs; None where too few differ to tell and the type is wide."""
    if array.dtype == np.float16:
        return "float16"
    numbers = sample_of(array)
    numbers = numbers[np.isfinite(numbers) & (numbers != np.rint(numbers))]
    if not any(len(set(some.tolist())) >= DISTINCT for some in (numbers[:GLANCE], numbers)):
        return None  # np.unique would import numpy.ma
    return precision(numbers)


def cast_from(array: Array) -> str | None:
    """The half precision that numbers `[…]` were rounded to, whatever their type now; None where they are of no such
    type, or so round that they may be whole (one-hot vectors, quarters)."""
    kind = _holds(array)
    if kind not in BITS:
        return None
    numbers = sample_of(array).astype(np.float64)
    parts = np.frexp(numbers[np.isfinite(numbers) & (numbers != 0)])[0] * 2.0 ** BITS[kind]
    return kind if (parts % 8 != 0).mean() > 0.5 else None


def narrowed(array: Array, kind: str) -> Array:
    """The array `[…]` in its own type, its numbers rounded to that of name `kind`."""
    if array.dtype.kind != "f":
        return array
    if kind != "bfloat16":
        with np.errstate(over="ignore"):
            return array.astype(kind).astype(array.dtype)
    bits = array.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32).astype(array.dtype)
