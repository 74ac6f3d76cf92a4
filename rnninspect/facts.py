"""Facts of one track: which steps each final row equals, what the padding holds, which steps are zero.

One pass over the outputs, a tile at a time, so that a file larger than memory is measured in place; a second pass only
over the rows whose final state equals no step of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnninspect.matching import gather, same
from rnninspect.nearest import near_steps, nearest_steps
from rnninspect.padding import padding_classes
from rnninspect.report import PaddingClass, Status
from rnninspect.scan import scan
from rnninspect.trace import Array, Bools, Ints, Trace, Track, last_true


@dataclass(frozen=True, eq=False)
class TrackFacts:
    """What was measured of one track; steps along its stored time axis.

    `mask` `[B, T]`, `expected` `[B]` (-1: no real step), `expected_known`: whether what was stated tells the step.
    `equal`, `near`, `zero`, `nonfinite`, `repeats` (equals the step before it): `[B, T]`. `nearest`, `distance`,
    `margin`: `[B]`. `padding`: a class a row.
    `uniform` `[B]`: every step of the row is equal, so it cannot tell steps apart (False where T is 1).
    """

    track: Track
    mask: Bools
    expected: Ints
    expected_known: bool
    equal: Bools
    near: Bools
    zero: Bools
    repeats: Bools
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
    def at_end(self) -> Array:
        """`[B, H]`: the outputs at the expected step (at step 0, where none is expected)."""
        return gather(self.outputs, np.arange(self.expected.size), np.maximum(self.expected, 0))

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
    rows = outputs.shape[0]
    mask, expected = trace.stored_mask(track), trace.expected_steps(track)
    seen = scan(outputs, final)
    hit = seen.equal.any(1)
    at_expected = np.take_along_axis(seen.equal, np.maximum(expected, 0)[:, None], 1)[:, 0] & (expected >= 0)
    nearest, distance, margin = (
        np.where(at_expected, expected, seen.equal.argmax(1)),
        np.zeros(rows),
        np.full(rows, np.nan),
    )
    near: Bools = np.broadcast_to(np.False_, mask.shape)
    lost = np.flatnonzero(~hit)
    if lost.size:
        best = nearest_steps(outputs, final, lost, seen.repeats)
        nearest[lost], distance[lost], margin[lost] = best.step, best.distance, best.margin
        if rtol or atol:
            near = np.zeros(mask.shape, dtype=np.bool_)
            near[lost] = near_steps(outputs, final, lost, rtol, atol)
    return TrackFacts(
        track=track,
        mask=mask,
        expected=expected,
        expected_known=_knows_end(trace, track),
        equal=seen.equal,
        near=near,
        zero=seen.zero,
        repeats=seen.repeats,
        nonfinite=seen.nonfinite,
        nearest=nearest,
        distance=distance,
        margin=margin,
        padding=padding_classes(outputs, mask, seen),
        uniform=seen.repeats[:, 1:].all(1) & (mask.shape[1] > 1),
    )


def may_end_right(trace: Trace, track: Track, rtol: float, atol: float) -> Bools | None:
    """`[B]`: rows whose final state equals or is near the expected step, told by that step alone; True where none is
    expected. None where `measure` gives None."""
    outputs, final = track.outputs, track.final
    if outputs is None or final is None or outputs.shape[2] != final.shape[1]:
        return None
    expected = trace.expected_steps(track)
    if not _knows_end(trace, track):
        return np.ones(expected.shape, dtype=np.bool_)
    ends = gather(outputs, np.arange(expected.size), np.maximum(expected, 0))
    close = same(ends, np.asarray(final))
    if rtol or atol:
        gap, room = np.abs(ends.astype(np.float64) - final), atol + rtol * np.abs(final.astype(np.float64))
        close = close | (gap <= room)
    return np.asarray((expected < 0) | close.all(-1))


def _knows_end(trace: Trace, track: Track) -> bool:
    """Whether what was stated tells the step that the final state must equal."""
    return trace.knows_padding or (track.direction == "backward" and track.order == "time")
