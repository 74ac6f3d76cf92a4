"""Two dumps of the same inputs, step by step: where they first differ, by how much, and what that points to.

Real steps are compared; padded ones are counted apart, and so are NaN and infinities, which never enter a difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnninspect.trace import Array, Bools, Ints, Trace, Track

EXPONENTS = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24, "float64": 2.0**-53}
GROWTH = 256.0  # roundings that a drift may add up to before it is something else


@dataclass(frozen=True, eq=False)
class TrackDifference:
    """One track of both dumps. `difference` `[B, T]`: the largest absolute difference of each step (0 where both are
    non-finite alike). `real` `[B, T]`. `nonfinite` `[B, T]`: one of the two is not finite there. `first` `[B]`: the
    first real step in reading order that differs, -1 where none does. `scale`: the largest finite magnitude."""

    track: Track
    other: Track
    real: Bools
    difference: Array
    nonfinite: Bools
    first: Ints
    scale: float

    @property
    def largest(self) -> float:
        """The largest difference over real steps."""
        return float(self.difference[self.real].max(initial=0.0))

    @property
    def largest_padded(self) -> float:
        """The largest difference over padded steps."""
        return float(self.difference[~self.real].max(initial=0.0))

    def worst(self) -> tuple[int, int, int]:
        """(row, step, unit) of the largest difference over real steps."""
        row, step = np.unravel_index(np.where(self.real, self.difference, -1.0).argmax(), self.difference.shape)
        assert self.track.outputs is not None
        assert self.other.outputs is not None
        gap = _gap(self.track.outputs[row, step], self.other.outputs[row, step])
        return int(row), int(step), int(gap.argmax())


def differences(trace: Trace, other: Trace) -> list[TrackDifference]:
    """Every track that both recorded outputs of; the time axis is compared as far as both go.

    Raises ValueError with the shapes where a track's rows or units differ.
    """
    found = []
    for track in trace.tracks:
        match = other.track(track.layer, track.direction)
        if track.outputs is None or match is None or match.outputs is None:
            continue
        a, b = track.outputs, match.outputs
        if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[2]:
            raise ValueError(f"{track.name}: outputs are {a.shape} here and {b.shape} there")
        found.append(_track(trace, track, match))
    return found


def _track(trace: Trace, track: Track, other: Track) -> TrackDifference:
    assert track.outputs is not None
    assert other.outputs is not None
    steps = min(track.outputs.shape[1], other.outputs.shape[1])
    a, b = track.outputs[:, :steps], other.outputs[:, :steps]
    real = trace.stored_mask(track)[:, :steps]
    finite: Bools = np.asarray(np.isfinite(a.astype(np.float64)).all(-1) & np.isfinite(b.astype(np.float64)).all(-1))
    difference = np.array([_gap(a[i], b[i]).max(-1) for i in range(a.shape[0])])
    first = np.full(a.shape[0], -1, dtype=np.int64)
    backward = track.direction == "backward" and track.order == "time"
    for row in np.flatnonzero((difference * real).any(1)):
        differing = np.flatnonzero((difference[row] > 0) & real[row])
        first[row] = differing[-1 if backward else 0]
    values = np.abs(np.concatenate([x[real & finite].ravel() for x in (a, b)]).astype(np.float64))
    lost: Bools = np.asarray(~finite)
    return TrackDifference(track, other, real, difference, lost, first, float(values.max(initial=1.0)))


def _gap(a: Array, b: Array) -> Array:
    """Absolute differences in float64; where either is not finite, 0 (those places are counted apart)."""
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
    gap[~np.isfinite(gap)] = 0.0
    return gap


def precision(values: Array) -> str:
    """The lowest precision that holds every value: a float32 array may carry bfloat16 or float16 numbers.

    >>> precision(np.array([0.5, 0.25], dtype=np.float32)), precision(np.array([0.1], dtype=np.float32))
    ('bfloat16', 'float32')
    """
    finite = values[np.isfinite(values)]
    if values.dtype.kind != "f" or not finite.size:
        return "float64"
    single = finite.astype(np.float32)
    if not np.array_equal(single.astype(np.float64), finite.astype(np.float64)):
        return "float64"
    if not (single.view(np.uint32) & 0xFFFF).any():
        return "bfloat16"
    with np.errstate(over="ignore"):
        half = np.array_equal(single.astype(np.float16).astype(np.float32), single)
    return "float16" if half else "float32"


def is_drift(found: TrackDifference) -> bool:
    """Whether the difference is rounding: no larger than GROWTH roundings of the coarser of the two precisions, and
    at the rows' first steps no larger than a few of them."""
    assert found.track.outputs is not None
    assert found.other.outputs is not None
    coarse = max(EXPONENTS[precision(x)] for x in (found.track.outputs, found.other.outputs))
    unit = coarse * found.scale
    backward = found.track.direction == "backward" and found.track.order == "time"
    real = found.real
    starts = [np.flatnonzero(row)[-1 if backward else 0] for row in real if row.any()]
    rows = np.flatnonzero(real.any(1))
    at_start = float(found.difference[rows, starts].max(initial=0.0)) if rows.size else 0.0
    return found.largest <= GROWTH * unit and at_start <= 16 * unit


def in_words(found: list[TrackDifference]) -> str:
    """What the first differing steps point to: the table that people debug recurrent ports by."""
    differing = [d for d in found if d.largest > 0]
    if not differing:
        padded = any(d.largest_padded > 0 for d in found)
        return "only padded steps differ: another convention for the padding" if padded else "no difference"
    if all(is_drift(d) for d in differing):
        return "rounding that grows with the steps: another precision, device or order of summation"
    short = [_only_short_rows(d) for d in differing]
    if all(d.track.direction == "backward" for d in differing) and all(short):
        return "only the backward half of short rows differs: the reversal read the padding"
    steps = {int(s) for d in differing for s in _read_index(d)}
    if steps == {0}:
        return "every differing row differs from its first step on: layout, gate order, biases, or the initial state"
    if min(steps) == 1:
        return "step 0 agrees and step 1 does not: the forget bias or the recurrent kernel"
    return f"rows first differ after {min(steps)} or more steps: lengths, masks, or the inputs themselves"


def _read_index(found: TrackDifference) -> Ints:
    """How many real steps had been read before the first difference, for each differing row."""
    backward = found.track.direction == "backward" and found.track.order == "time"
    counts = []
    for row in np.flatnonzero(found.first >= 0):
        real = np.flatnonzero(found.real[row])
        at = int(np.searchsorted(real, found.first[row]))
        counts.append(real.size - 1 - at if backward else at)
    return np.asarray(counts, dtype=np.int64)


def _only_short_rows(found: TrackDifference) -> bool:
    """Whether full rows agree and some shorter ones do not."""
    full = found.real.all(1)
    return bool(full.any() and (found.first[full] < 0).all() and (found.first[~full] >= 0).any())
