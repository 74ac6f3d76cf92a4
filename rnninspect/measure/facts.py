"""Facts of one track: which steps each final row equals, what the padding holds, which steps are zero.

One pass over the outputs, a tile at a time, so that a large file is measured in place; a second one, for the nearest
step, only where it is asked for, and over the rows whose final state equals no step of their own."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from rnninspect.core.finding import PaddingClass, Status
from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Bools, Ints, Trace, Track, count_true, last_true
from rnninspect.errors import ShapeError
from rnninspect.measure.filled import holds_the_fill
from rnninspect.measure.matching import any_of, gather, same, step_keys
from rnninspect.measure.nearest import Nearest, near_steps, nearest_steps
from rnninspect.measure.padding import padding_classes
from rnninspect.measure.scan import Scan, scan


@frozen(eq=False)
class TrackFacts:
    """What was measured of one track; steps along its stored time axis.

    `mask` `[B, T]`, `expected` `[B]` (-1: no real step), `expected_known`: whether what was stated tells the step.
    `equal`, `near`, `zero`, `nonfinite`, `repeats` (equals the step before it): `[B, T]`. `padding`: a class a row.
    `uniform` `[B]`: every step of the row is equal, so it cannot tell steps apart (False where T is 1).
    `lengths_known`: lengths or a mask say which steps are real.
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
    padding: tuple[PaddingClass, ...]
    uniform: Bools
    lengths_known: bool = True

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
    def real_counts(self) -> Ints:
        """`[B]`: how many steps of each row are real."""
        return count_true(self.mask)

    @cached_property
    def closest(self) -> Nearest:
        """`[B]` each: the nearest step, its distance, and the margin to the second nearest; of a row whose final state
        equals a step, that step (the expected one first), 0 and NaN. Only the other rows are read for it."""
        hit = self.equal.any(1)
        at_expected = np.take_along_axis(self.equal, np.maximum(self.expected, 0)[:, None], 1)[:, 0]
        step = np.where(at_expected & (self.expected >= 0), self.expected, self.equal.argmax(1))
        distance, margin = np.zeros(hit.size), np.full(hit.size, np.nan)
        unmatched = np.flatnonzero(~hit)
        if unmatched.size:
            nearest = nearest_steps(self.outputs, self.final, unmatched, self.repeats)
            step[unmatched], distance[unmatched], margin[unmatched] = nearest.step, nearest.distance, nearest.margin
        return Nearest(step, distance, margin)

    @property
    def nearest(self) -> Ints:
        return self.closest.step

    @property
    def distance(self) -> Array:
        return self.closest.distance

    @property
    def margin(self) -> Array:
        return self.closest.margin

    @cached_property
    def at_end(self) -> Array:
        """`[B, H]`: the outputs at the expected step (at step 0, where none is expected)."""
        return gather(self.outputs, np.arange(self.expected.size), np.maximum(self.expected, 0))

    @cached_property
    def final_zero(self) -> Bools:
        """`[B]`: the final state is all zero."""
        return np.asarray((self.final == 0).all(-1))

    @cached_property
    def final_blank(self) -> Bools:
        """`[B]`: the final state is all zero, or the value that padding was filled with: it is no step's by itself."""
        return self.final_zero | holds_the_fill(self.final, self.equal, self.mask)

    @cached_property
    def somewhere(self) -> Bools:
        """`[B]`: the final state equals, or is near, some step of its row."""
        return np.asarray(self.equal.any(1) | self.has_near)

    @cached_property
    def at_expected(self) -> Bools:
        """`[B]`: the final state equals, or is near, the expected step (any step, where none is expected)."""
        if not self.expected_known:
            return self.somewhere
        at = np.arange(self.expected.size), np.maximum(self.expected, 0)
        return np.asarray((self.equal[at] | self.near[at]) & (self.expected >= 0))

    @cached_property
    def maybe_empty(self) -> Bools:
        """`[B]`: rows that may have no real step, where nothing says which are real: all of their outputs are zero, and
        not all of every row's, or every state is the initial one. Such a row ends in a state that no output is."""
        empty = np.asarray(self.zero.all(1))
        if self.lengths_known or (empty.size > 1 and empty.all() and not self._is_initial()):
            return np.zeros_like(empty)
        return empty

    def _is_initial(self) -> bool:
        """Whether an initial state was given, and every final one is it."""
        start = self.track.initial
        return start is not None and start.shape == self.final.shape and bool(same(self.final, start).all())

    @cached_property
    def has_near(self) -> Bools:
        """`[B]`: some step is near the final state."""
        return any_of(self.near)

    @cached_property
    def all_near(self) -> Bools:
        """`[B]`: the tolerance takes every step of the row for its final state, and so cannot tell the steps apart."""
        if not self.has_near.any():
            return self.has_near
        return np.asarray((self.equal | self.near).all(1) & self.has_near & (self.steps > 1))

    @cached_property
    def uninformative(self) -> Bools:
        """`[B]`: rows that say nothing: no real step, all steps equal, all within the tolerance, or all zero at the
        expected step too."""
        silent = self.uniform | self.final_zero | self.all_near
        return np.asarray((self.expected < 0) | self.maybe_empty | (self.at_expected & silent))

    @cached_property
    def mismatched(self) -> Bools:
        """`[B]`: rows with a real step whose final state is not the expected output. What rules must explain."""
        return np.asarray((self.expected >= 0) & ~self.at_expected & ~self.maybe_empty)

    @cached_property
    def short(self) -> Bools:
        """`[B]`: rows that can tell something about lengths: padded, not empty, steps not all equal."""
        return np.asarray((self.ends > 0) & (~self.mask).any(1) & ~self.uniform)

    def equals(self, steps: Ints) -> Bools:
        """`[B]`: whether `final[b]` equals its own row's `steps[b]`; False outside the time axis."""
        inside = (steps >= 0) & (steps < self.steps)
        hit = np.take_along_axis(self.equal, np.clip(steps, 0, self.steps - 1)[:, None], 1)[:, 0]
        return np.asarray(hit & inside)

    @cached_property
    def statuses(self) -> tuple[Status, ...]:
        """The status of each row; `elsewhere` (equal to a step of another row) is left to the caller."""
        hits = np.count_nonzero(self.equal, axis=1)
        rules: dict[Status, Bools] = {"no-evidence": (self.expected < 0) | self.uninformative}
        if self.expected_known:
            hit = self.equals(self.expected)
            others = np.count_nonzero(self.equal & self.mask, axis=1) > hit  # real steps besides the expected one
            rules |= {
                "match": hit & ~others,
                "ambiguous": hit,
                "elsewhere": hits > 0,
                "near": self.has_near,
            }
        else:
            rules |= {"match": hits == 1, "ambiguous": hits > 0}
        names: list[Status] = [*rules, "none"]
        return tuple(names[i] for i in np.select(list(rules.values()), range(len(rules)), len(rules)).tolist())


def measure(trace: Trace, track: Track, rtol: float = 0.0, atol: float = 0.0) -> TrackFacts | None:
    """The facts of one track, or None where its outputs or its final state were not recorded.

    Shapes: outputs `[B, T, H]`, final `[B, H]`; a final state of another width gives None.
    """
    outputs, final = track.outputs, track.final
    if outputs is None or final is None or outputs.shape[2] != final.shape[1]:
        return None
    _check_exact(track.name, outputs, final)
    mask, expected = trace.stored_mask(track), trace.expected_steps(track)
    seen = scan(outputs, final)
    near: Bools = np.broadcast_to(np.False_, mask.shape)
    matched = seen.equal.any(1)
    if (rtol or atol) and _knows_end(trace, track):  # numbers rounded twice may equal a neighbour of the expected step
        matched = np.take_along_axis(seen.equal, np.maximum(expected, 0)[:, None], 1)[:, 0] & (expected >= 0)
    unmatched = np.flatnonzero(~matched)
    if unmatched.size and (rtol or atol):
        near = np.zeros(mask.shape, dtype=np.bool_)
        near[unmatched] = near_steps(outputs, final, unmatched, rtol, atol)
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
        padding=padding_classes(outputs, mask, seen),
        uniform=seen.repeats[:, 1:].all(1) & (mask.shape[1] > 1),
        lengths_known=trace.knows_padding,
    )


def _check_exact(name: str, outputs: Array, final: Array) -> None:
    """Raise ShapeError where whole numbers meet floats that cannot hold them: 2**53 + 1 would equal its neighbour."""
    for whole, other in ((outputs, final), (final, outputs)):
        wide = whole.dtype.kind in "iu" and whole.itemsize == 8 and other.dtype.kind == "f"
        if wide and whole.size and max(-int(whole.min()), int(whole.max())) > 1 << 53:
            raise ShapeError(
                f"{name}: whole numbers beyond 2**53 ({whole.dtype}) cannot be compared with {other.dtype}, which "
                "rounds them; save outputs and state in one dtype"
            )


def under(facts: TrackFacts, trace: Trace) -> TrackFacts:
    """The facts of the same track where `trace` says which steps are real: its outputs are not read again."""
    mask = trace.stored_mask(facts.track)
    seen = Scan(facts.equal, facts.zero, facts.repeats, facts.nonfinite)
    return replace(
        facts,
        mask=mask,
        expected=trace.expected_steps(facts.track),
        expected_known=_knows_end(trace, facts.track),
        padding=padding_classes(facts.outputs, mask, seen),
        lengths_known=trace.knows_padding,
    )


def may_end_right(trace: Trace, track: Track, rtol: float, atol: float, rows: Ints) -> Bools | None:
    """`[N]`: whether the final states of these rows `[N]` equal, or are near, the expected step, told by that step
    alone; True where none is expected. None where `measure` gives None."""
    outputs, final = track.outputs, track.final
    if outputs is None or final is None or outputs.shape[2] != final.shape[1]:
        return None
    if not _knows_end(trace, track):
        return np.ones(rows.size, dtype=np.bool_)
    expected = trace.expected_steps(track)[rows]
    ends, target = gather(outputs, rows, np.maximum(expected, 0)), np.asarray(final[rows])
    close = same(ends, target)
    if rtol or atol:
        gap, room = np.abs(ends.astype(np.float64) - target), atol + rtol * np.abs(target.astype(np.float64))
        close = close | (gap <= room)
    right = np.asarray((expected < 0) | close.all(-1))
    if not trace.knows_padding:  # a row of zeros may have no real step
        right[~right] = [not np.any(outputs[row]) for row in rows[~right]]
    return right


def of_other_rows(trace: Trace, track: Track) -> bool | None:
    """Whether the final states are the outputs at the expected steps in another order of the rows, each once. None
    where nothing tells: rows of no step, an end that is not known, and where `measure` gives None."""
    outputs, final = track.outputs, track.final
    if outputs is None or final is None or outputs.shape[2] != final.shape[1] or not _knows_end(trace, track):
        return None
    expected = trace.expected_steps(track)
    ends, states = step_keys(gather(outputs, np.arange(expected.size), np.maximum(expected, 0))), step_keys(final)
    if (expected < 0).any() or (np.sort(ends)[1:] == np.sort(ends)[:-1]).all():
        return None
    return bool((ends != states).any() and np.array_equal(np.sort(ends), np.sort(states)))


def fits_anywhere(track: Track, rtol: float, atol: float, rows: slice) -> bool:
    """Whether the final state of any of these rows equals, or is near, a step of its own. False where `measure` gives
    None."""
    outputs, final = track.outputs, track.final
    if outputs is None or final is None or outputs.shape[2] != final.shape[1]:
        return False
    outputs, final = outputs[rows], final[rows]
    _check_exact(track.name, outputs, final)
    return bool(near_steps(outputs, final, np.arange(len(final)), rtol, atol).any())


def _knows_end(trace: Trace, track: Track) -> bool:
    """Whether what was stated tells the step that the final state must equal."""
    return trace.knows_padding or trace.steps == 1 or (track.direction == "backward" and track.order == "time")
