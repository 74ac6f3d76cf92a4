"""Facts of one track: which steps each final row equals, what the padding holds, which steps are zero.

One pass over the outputs, in blocks of rows, so that a file larger than memory is measured in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnninspect import matching
from rnninspect.padding import padding_class
from rnninspect.report import PaddingClass, Status
from rnninspect.trace import Array, Bools, Ints, Trace, Track, last_true

BLOCK_BYTES = 8 << 20


@dataclass(frozen=True, eq=False)
class TrackFacts:
    """What was measured of one track; steps along its stored time axis.

    `mask` `[B, T]`, `expected` `[B]` (-1: no real step), `expected_known`: whether what was stated tells the step.
    `equal`, `near`, `zero`, `nonfinite`: `[B, T]`. `nearest`, `distance`, `margin`: `[B]`. `padding`: a class a row.
    `uniform` `[B]`: every step of the row is equal, so it cannot tell steps apart (False where T is 1).
    """

    track: Track
    mask: Bools
    expected: Ints
    expected_known: bool
    equal: Bools
    near: Bools
    zero: Bools
    nonfinite: Bools
    nearest: Ints
    distance: Array
    margin: Array
    padding: tuple[PaddingClass, ...]
    uniform: Bools

    @property
    def outputs(self) -> Array:
        assert self.track.outputs is not None
        return self.track.outputs

    @property
    def final(self) -> Array:
        assert self.track.final is not None
        return self.track.final

    @property
    def steps(self) -> int:
        return int(self.mask.shape[1])

    @cached_property
    def ends(self) -> Ints:
        """`[B]`: the row's last real step + 1, its length where padding is on the right; 0 without a real step."""
        return np.where(self.mask.any(1), last_true(self.mask) + 1, 0).astype(np.int64)

    @cached_property
    def final_zero(self) -> Bools:
        """`[B]`: the final state is all zero."""
        return np.asarray((self.final == 0).all(-1))

    @cached_property
    def at_expected(self) -> Bools:
        """`[B]`: the final state equals, or is near, the expected step (any step, where none is expected)."""
        if not self.expected_known:
            return np.asarray((self.equal | self.near).any(1))
        steps = np.maximum(self.expected, 0)[:, None]
        hit = np.take_along_axis(self.equal | self.near, steps, 1)[:, 0]
        return np.asarray(hit & (self.expected >= 0))

    @cached_property
    def silent(self) -> Bools:
        """`[B]`: rows that say nothing: no real step, all steps equal, or all zero at the expected step too."""
        return np.asarray(
            (self.expected < 0) | (self.uniform & self.at_expected) | (self.at_expected & self.final_zero)
        )

    @cached_property
    def off(self) -> Bools:
        """`[B]`: rows with a real step whose final state is not the expected output. What rules must explain."""
        return np.asarray((self.expected >= 0) & ~self.at_expected)

    @cached_property
    def short(self) -> Bools:
        """`[B]`: rows that can tell something about lengths: padded, not empty, steps not all equal."""
        return np.asarray((self.ends > 0) & (~self.mask).any(1) & ~self.uniform)

    def equals(self, steps: Ints) -> Bools:
        """`[B]`: whether `final[b]` equals its own row's `steps[b]`; False outside the time axis."""
        inside = (steps >= 0) & (steps < self.steps)
        hit = np.take_along_axis(self.equal, np.clip(steps, 0, self.steps - 1)[:, None], 1)[:, 0]
        return np.asarray(hit & inside)

    def status(self, row: int) -> Status:
        """DESIGN's word for one row (`elsewhere` in another row is for the caller, who can search)."""
        if self.expected[row] < 0 or self.silent[row]:
            return "no-evidence"
        hits = np.flatnonzero(self.equal[row])
        if not self.expected_known:
            return "match" if hits.size == 1 else "ambiguous" if hits.size else "none"
        if self.equal[row, self.expected[row]]:
            others = hits[(hits != self.expected[row]) & self.mask[row, hits]]
            return "ambiguous" if others.size else "match"
        if hits.size:
            return "elsewhere"
        return "near" if self.near[row].any() else "none"


def measure(trace: Trace, track: Track, rtol: float = 0.0, atol: float = 0.0) -> TrackFacts | None:
    """The facts of one track, or None where its outputs or its final state were not recorded.

    Shapes: outputs `[B, T, H]`, final `[B, H]`; a final state of another width gives None.
    """
    outputs, final = track.outputs, track.final
    if outputs is None or final is None or outputs.shape[2] != final.shape[1]:
        return None
    rows, steps, units = outputs.shape
    mask = trace.stored_mask(track)
    flags = [np.zeros((rows, steps), dtype=np.bool_) for _ in range(4)]
    equal, near, zero, nonfinite = flags
    nearest, distance, margin = np.zeros(rows, dtype=np.int64), np.zeros(rows), np.full(rows, np.nan)
    padding: list[PaddingClass] = []
    uniform = np.zeros(rows, dtype=np.bool_)
    expected = trace.expected_steps(track)
    for block in _blocks(rows, max(1, steps * units * outputs.itemsize)):
        o, h = outputs[block], final[block]
        equal[block] = matching.equal_steps(o, h)
        zero[block] = matching.zero_steps(o)
        nonfinite[block] = _nonfinite(o)
        uniform[block] = _uniform(o)
        lost = np.flatnonzero(~equal[block].any(1)) + block.start
        if lost.size:
            best = matching.nearest_steps(outputs[lost], final[lost])
            nearest[lost], distance[lost], margin[lost] = best.step, best.distance, best.margin
            if rtol or atol:
                near[lost] = matching.near_steps(outputs[lost], final[lost], rtol, atol)
        for i, row in enumerate(range(block.start, block.stop)):
            padding.append(padding_class(o[i], mask[row], zero[row]))
    hit = equal.any(1)
    at_expected = np.take_along_axis(equal, np.maximum(expected, 0)[:, None], 1)[:, 0] & (expected >= 0)
    nearest[hit] = np.where(at_expected, expected, equal.argmax(1))[hit]
    known = trace.knows_padding or (track.direction == "backward" and track.order == "time")
    return TrackFacts(
        track, mask, expected, known, equal, near, zero, nonfinite, nearest, distance, margin, tuple(padding), uniform
    )


def _nonfinite(outputs: Array) -> Bools:
    """`[B, T]`: a NaN or infinity in that step. One sum tells a clean block; only others are looked at in full."""
    if outputs.dtype.kind != "f":
        return np.zeros(outputs.shape[:2], dtype=np.bool_)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(outputs.sum(dtype=np.promote_types(outputs.dtype, np.float32))):
            return np.zeros(outputs.shape[:2], dtype=np.bool_)
    return np.asarray(~np.isfinite(outputs).all(-1))


def _uniform(outputs: Array) -> Bools:
    """`[B]`: all steps equal, of two or more."""
    if outputs.shape[1] < 2:
        return np.zeros(outputs.shape[0], dtype=np.bool_)
    ends = matching.same(outputs[:, -1, : matching.HEAD], outputs[:, 0, : matching.HEAD])
    alike: Bools = np.asarray(ends.all(-1))
    for b in np.flatnonzero(alike):
        alike[b] = matching.same(outputs[b], np.broadcast_to(outputs[b, :1], outputs[b].shape)).all()
    return alike


def _blocks(rows: int, row_bytes: int) -> list[slice]:
    size = max(1, BLOCK_BYTES // row_bytes)
    return [slice(i, min(i + size, rows)) for i in range(0, rows, size)]
