"""Two dumps of the same inputs, step by step: where they first differ, by how much, and what that points to.

Real steps are compared; padded ones are counted apart, and so are NaN and infinities, which never enter a difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from typing import Literal

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.tiles import release, tiles
from rnninspect.core.trace import Array, Bools, Ints, Trace, Track, last_true
from rnninspect.measure.matching import parts

EXPONENTS = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24, "float64": 2.0**-53}
PIECE = 1 << 19  # numbers that are compared at a time, in float64
HALF_RANGE = 2.0**40  # between the smallest and the largest float16
GROWTH = 256.0  # roundings that a drift may add up to before it is something else
FEW = 16.0  # roundings that a single step may differ by in two runs that agree


@frozen(eq=False)
class TrackDifference:
    """One track of both dumps. `difference` `[B, T]`: the largest absolute difference of each step (0 where both are
    non-finite alike). `real` `[B, T]`. `nonfinite` `[B, T]`: one of the two is not finite there. `scale`: the largest
    finite magnitude."""

    track: Track
    other: Track
    real: Bools
    difference: Array
    nonfinite: Bools
    scale: float

    @property
    def largest(self) -> float:
        """The largest difference over real steps."""
        return float(self.difference[self.real].max(initial=0.0))

    @property
    def largest_padded(self) -> float:
        """The largest difference over padded steps."""
        return float(self.difference[~self.real].max(initial=0.0))

    @cached_property
    def first(self) -> Ints:
        """`[B]`: the first real step in reading order that differs, -1 where none does; by more than rounding, where
        any step of the track does."""
        differs = (self.difference > 0) & self.real
        if differs.any():
            steps = self.real.shape[1]
            units = [EXPONENTS[precision(t.outputs[:, :steps])] for t in (self.track, self.other)]  # type: ignore[index]
            beyond = differs & (self.difference > FEW * max(units) * self.scale)
            differs = beyond if beyond.any() else differs
        backward = self.track.direction == "backward" and self.track.order == "time"
        first = np.where(differs.any(1), last_true(differs) if backward else differs.argmax(1), -1)
        return np.asarray(first, dtype=np.int64)

    @cached_property
    def precisions(self) -> tuple[str, str]:
        """The lowest precision that holds all outputs of the one, and of the other."""
        assert self.track.outputs is not None
        assert self.other.outputs is not None
        return precision(self.track.outputs), precision(self.other.outputs)

    def worst(self) -> tuple[int, int, int]:
        """(row, step, unit) of the largest difference over real steps."""
        row, step = np.unravel_index(np.where(self.real, self.difference, -1.0).argmax(), self.difference.shape)
        assert self.track.outputs is not None
        assert self.other.outputs is not None
        gap = _gap(self.track.outputs[row, step], self.other.outputs[row, step])
        return int(row), int(step), int(gap.argmax())


@frozen(eq=False)
class StateDifference:
    """The final h or c of one track in both dumps. `difference` `[B]`: the largest absolute difference of each row,
    infinite where only one of the two is finite."""

    track: Track
    state: Literal["h", "c"]
    difference: Array

    @property
    def rows(self) -> list[int]:
        """The rows that differ."""
        return [int(row) for row in np.flatnonzero(self.difference)]


def state_differences(trace: Trace, other: Trace) -> list[StateDifference]:
    """The final states that both dumps hold, in one shape, and that differ in some row."""
    compared: list[StateDifference] = []
    for track in trace.tracks:
        match = other.track(track.layer, track.direction)
        pairs = [] if match is None else [("h", track.final, match.final), ("c", track.cell, match.cell)]
        for state, a, b in pairs:
            if a is None or b is None or a.shape != b.shape:
                continue
            gap = _gap(a, b)
            gap[np.isfinite(a) != np.isfinite(b)] = np.inf
            if gap.any():
                compared.append(StateDifference(track, state, gap.max(-1)))  # type: ignore[arg-type]
    return compared


def differences(trace: Trace, other: Trace) -> list[TrackDifference]:
    """Every track that both recorded outputs of; the time axis is compared as far as both go.

    Raises ValueError with the shapes where a track's rows or units differ.
    """
    compared = []
    for track in trace.tracks:
        match = other.track(track.layer, track.direction)
        if track.outputs is None or match is None or match.outputs is None:
            continue
        a, b = track.outputs, match.outputs
        if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[2]:
            raise ValueError(f"{track.name}: outputs are {a.shape} here and {b.shape} there")
        compared.append(_difference_of(trace, track, match))
    return compared


def _difference_of(trace: Trace, track: Track, other: Track) -> TrackDifference:
    assert track.outputs is not None
    assert other.outputs is not None
    steps = min(track.outputs.shape[1], other.outputs.shape[1])
    a, b = track.outputs[:, :steps], other.outputs[:, :steps]
    real = trace.stored_mask(track)[:, :steps]
    difference, nonfinite, scale = np.zeros(real.shape), np.zeros(real.shape, dtype=np.bool_), 0.0
    for here in _pieces(a):
        x, y = np.asarray(a[here]).astype(np.float64), np.asarray(b[here]).astype(np.float64)
        release(b[here])
        sizes = np.maximum(np.abs(x).max(-1, initial=0.0), np.abs(y).max(-1, initial=0.0))  # NaN where there is one
        finite = np.isfinite(sizes)
        nonfinite[here] = ~finite
        scale = float(sizes[real[here] & finite].max(initial=scale))
        if not np.array_equal(x, y):
            difference[here] = _gap(x, y).max(-1, initial=0.0)
    return TrackDifference(track, other, real, difference, nonfinite, scale)


def _pieces(outputs: Array) -> Iterator[tuple[slice, slice]]:
    """Rows and steps of `[B, T, H]` in the order of memory, as many at a time as float64 copies have room for."""
    units = outputs.shape[2]
    for rows, steps in tiles(outputs):
        for i in parts(rows.stop - rows.start, (steps.stop - steps.start) * units, PIECE):
            for j in parts(steps.stop - steps.start, (i.stop - i.start) * units, PIECE):
                yield (
                    slice(rows.start + i.start, rows.start + i.stop),
                    slice(steps.start + j.start, steps.start + j.stop),
                )


def _gap(a: Array, b: Array) -> Array:
    """Absolute differences in float64; where either is not finite, 0 (those places are counted apart)."""
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
    gap[~np.isfinite(gap)] = 0.0
    return gap


def precision(values: Array) -> str:
    """The lowest precision that holds every value of `[…]`: a float32 array may carry bfloat16 or float16 numbers.

    >>> precision(np.array([0.5, 0.25], dtype=np.float32)), precision(np.array([0.1], dtype=np.float32))
    ('bfloat16', 'float32')
    """
    if values.dtype.kind != "f":
        return "float64"
    any_finite = brief = half = False
    low, high = np.inf, 0.0
    one = values[(slice(1),) * max(1, values.ndim - 1)]  # a vector, which most often says all
    pieces = (values[part] for part in parts(len(values), values[:1].size, PIECE))
    for piece in chain([one], pieces):
        numbers = np.asarray(piece)
        numbers = numbers[np.isfinite(numbers)]  # a copy
        release(piece)
        if not numbers.size:
            continue
        with np.errstate(over="ignore"):
            single = numbers.astype(np.float32)
            if not np.array_equal(single.astype(np.float64), numbers.astype(np.float64)):
                return "float64"
            bits = single.view(np.uint32)  # of 23 behind the point, bfloat16 has the first 7 and float16 the first 10
            brief = not (bits & 0xFFFF).any() and (brief or not any_finite)
            sizes = np.abs(single[single != 0])
            low, high = min(low, sizes.min(initial=np.inf)), max(high, sizes.max(initial=0.0))
            half = not (bits & 0x1FFF).any() and high < low * HALF_RANGE and (half or not any_finite)
        any_finite = True
        if values.dtype.itemsize <= 4 and not (brief or half):
            return "float32"  # whatever the rest holds
    if not any_finite:
        return "float64"
    return "bfloat16" if brief else "float16" if half else "float32"


def is_drift(compared: TrackDifference) -> bool:
    """Whether the difference is rounding: no larger than GROWTH roundings of the coarser of the two precisions, and
    at the rows' first steps no larger than a few of them."""
    unit = max(EXPONENTS[name] for name in compared.precisions) * compared.scale
    backward = compared.track.direction == "backward" and compared.track.order == "time"
    real = compared.real
    starts = [np.flatnonzero(row)[-1 if backward else 0] for row in real if row.any()]
    rows = np.flatnonzero(real.any(1))
    at_start = float(compared.difference[rows, starts].max(initial=0.0)) if rows.size else 0.0
    return compared.largest <= GROWTH * unit and at_start <= FEW * unit
