"""Directions that nobody stated, told by the numbers: a layer that reads backwards, or two in one another's place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rnninspect.conventions.dumps.hypotheses import axes_stated
from rnninspect.core.evidence import Reading
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Bools, TimeOrder, Trace, Track
from rnninspect.measure.choose_reading import Choice, Measurer, Tolerance, may_fit, padded_exactly
from rnninspect.measure.facts import TrackFacts, of_other_rows
from rnninspect.measure.unflipped_half import with_unflipped_half

MOST_ROWS = 64  # rows that are looked at


def turned(
    choice: Choice, readings: list[Reading], config: LayerConfig, tolerance: Tolerance, measurer: Measurer
) -> Choice:
    """The choice read as two directions, as a backward layer alone, or with its outputs in another order, where the
    states say so and nothing that was stated says otherwise. `readings`: all that fit."""
    if config.directions is None:
        choice = with_unflipped_half(choice, readings, tolerance, measurer)
        choice = with_states_viewed(choice, readings, tolerance, measurer)
    if not config.go_backwards and config.keep_order is None:
        choice = read_in_order(choice, tolerance, measurer, config.directions is not None)
    if config.directions is not None:
        return choice
    backwards = read_backwards(choice, tolerance, measurer)
    if backwards is choice and not axes_stated(config):
        return _backwards_by_other_axes(choice, readings, tolerance, measurer)
    return backwards


def read_backwards(choice: Choice, tolerance: Tolerance, measurer: Measurer) -> Choice:
    """The choice read as a backward layer alone, where every state says that it is one, else the choice itself.

    Every state is that of step 0 (`outputs_bw`, Flax `reverse=True, keep_order=True`); or every state is the last step
    and the masked steps come first, or are padded, holes too, as they would be from the other end on (Keras
    `go_backwards`).
    """
    trace = choice.reading.trace
    if not choice.measured or trace.directions > 1:
        return choice
    if any(facts.track.direction == "backward" or facts.steps < 2 for facts in choice.measured):
        return choice
    for order, told, because in (
        ("time", _start_at_zero(choice.measured), "every state equals step 0: it reads backwards"),
        (
            "reversed",
            trace.by_mask and all(map(_padding_first, choice.measured)),
            "masked steps come first, every state is the last: it reads backwards",
        ),
    ):
        if told:
            return _backwards(choice, order, because, tolerance, measurer)  # type: ignore[arg-type]
    if trace.by_mask and not trace.mask.all() and all(map(_all_last, choice.measured)):
        because = "steps repeat, or are zero, where the mask says so from the other end on: it reads backwards"
        reversed_whole = _backwards(choice, "reversed", because, tolerance, measurer)
        if padded_exactly(reversed_whole.measured or ()) and not padded_exactly(choice.measured):
            return reversed_whole
    return choice


def _all_last(facts: TrackFacts) -> bool:
    """Whether every state is the last stored step."""
    return bool(facts.equal[:, -1].all())


def _backwards_by_other_axes(
    choice: Choice, readings: list[Reading], tolerance: Tolerance, measurer: Measurer
) -> Choice:
    """The reading of the other axes as a backward layer alone, where there are as many rows as steps, nobody said which
    is time, no state of the choice is right and all are so; else the choice itself."""
    trace = choice.reading.trace
    if trace.batch_size != trace.steps or not choice.measured or any(f.at_expected.any() for f in choice.measured):
        return choice
    for reading in readings:
        if reading.time_major != choice.reading.time_major and reading.trace.directions == 1:
            other = Choice(reading, (), measurer(reading.trace, tolerance), choice.rounded_to)
            backwards = read_backwards(other, tolerance, measurer)
            if backwards is not other:
                return backwards
    return choice


def with_states_viewed(choice: Choice, readings: list[Reading], tolerance: Tolerance, measurer: Measurer) -> Choice:
    """The reading of two directions whose states are all right once they are taken for a view of `[D, B, H]` that was
    never transposed, or the directions for exchanged, where the choice has no state that equals a step of several; else
    the choice itself."""
    if choice.reading.trace.directions > 1 or not _fits_nowhere(choice):
        return choice
    for reading in readings:
        trace = reading.trace
        if trace.directions < 2 or any(t.final is None for t in trace.tracks if t.outputs is not None):
            continue
        for tracks in _otherwise(trace):
            otherwise = replace(trace, tracks=tracks)
            seen = measurer(otherwise, tolerance) if may_fit(otherwise, tolerance, 1.0) else ()
            if seen and all(not f.mismatched.any() and (~f.uninformative).any() for f in seen):
                return replace(choice, reading=reading, measured=measurer(trace, tolerance), rivals=())
    return choice


def _fits_nowhere(choice: Choice) -> bool:
    """Whether there are rows of two real steps or more, and no state of them equals a step of its own."""
    rows = choice.reading.trace.real_counts > 1
    return bool(rows.any()) and not any((facts.equal.any(1) & rows).any() for facts in choice.measured or ())


def _otherwise(trace: Trace) -> Iterator[tuple[Track, ...]]:
    """The tracks with states taken for a view of `[D, B, H]`, and with states, outputs or both of the other direction;
    as far as their shapes allow it."""
    finals = [t.final for t in trace.tracks if t.final is not None]
    if len({f.shape for f in finals}) == 1:
        for together in {len(finals), trace.directions}:  # all tracks in one vector, or each layer's
            groups = (finals[first : first + together] for first in range(0, len(finals), together))
            viewed = iter([s for group in groups for s in np.stack(group, 1).reshape(together, trace.batch_size, -1)])
            yield tuple(t if t.final is None else replace(t, final=next(viewed)) for t in trace.tracks)
    others = [trace.track(t.layer, "backward" if t.direction == "forward" else "forward") for t in trace.tracks]
    pairs = [(track, other) for track, other in zip(trace.tracks, others, strict=True) if other is not None]
    if len(pairs) < len(others) or any(_shapes(track) != _shapes(other) for track, other in pairs):
        return
    yield tuple(replace(track, final=other.final) for track, other in pairs)
    yield tuple(replace(track, outputs=other.outputs) for track, other in pairs)
    yield tuple(replace(track, outputs=other.outputs, final=other.final) for track, other in pairs)


def _shapes(track: Track) -> list[tuple[int, ...] | None]:
    return [None if array is None else array.shape for array in (track.outputs, track.final)]


def read_in_order(choice: Choice, tolerance: Tolerance, measurer: Measurer, direction_stated: bool = False) -> Choice:
    """The choice with its outputs in another order, where they are of a backward layer alone, no state is of the step
    it ends at, and in that order every one is: outputs as they were read (a backward cell's, Flax without keep_order),
    or the whole axis so (`outputs[:, ::-1]`, Keras `go_backwards`).

    It stays undecided: a state taken after one input fits the first of them too. Where the direction was stated, and
    with it outputs in the order of time, only padding that comes first speaks for another order.
    """
    facts = choice.measured[0] if choice.measured and len(choice.measured) == 1 else None
    if facts is None or facts.track.direction != "backward" or choice.reading.trace.directions > 1:
        return choice
    rows = telling(facts) & (facts.real_counts > 1)
    if facts.steps < 2 or rows.sum() < 2 or not facts.mismatched[rows].all():
        return choice
    orders: tuple[TimeOrder, ...] = ("within", "reversed", "time")
    if direction_stated and facts.track.order == "time":
        orders = ("reversed",) if facts.short.any() else ()
    for order in orders:
        if order == facts.track.order:
            continue
        because = f"{NO_ORDER}; every state is {_WHERE[order]}, so they are taken as {order}"
        other = _backwards(choice, order, because, tolerance, measurer)
        if not other.measured or other.measured[0].mismatched.any():
            continue
        if _pads_so(other.measured[0]) or _computes_padding(other, order):
            return other
    return choice


NO_ORDER = "the order of the outputs along time was not stated"
_WHERE = {
    "within": "of the last real step, as of outputs that stand in the order in which they were read",
    "reversed": "of the last step, as of outputs that are reversed as a whole",
    "time": "of step 0, as of outputs that stand in the order of time",
}


def _pads_so(facts: TrackFacts) -> bool:
    """Whether zeros stand where that order has its padding: before the real steps or behind them."""
    return not facts.zero[facts.mask].any() and bool(facts.zero[~facts.mask].all())


def _computes_padding(choice: Choice, order: TimeOrder) -> bool:
    """Whether padding stands behind the real steps and was computed, as this framework leaves it: it tells no order."""
    facts = (choice.measured or ())[0]
    usual = order != "reversed" and choice.reading.trace.padding == "computed"
    return usual and set(facts.padding) <= {"none", "computed"}


def _backwards(choice: Choice, order: TimeOrder, because: str, tolerance: Tolerance, measurer: Measurer) -> Choice:
    reading = choice.reading
    tracks = tuple(replace(t, direction="backward", order=order) for t in reading.trace.tracks)
    source = {
        **reading.trace.source,
        "direction": because if because.startswith(NO_ORDER) else f"none was stated; {because}",
    }  # taken because it fits: no test of it
    trace = replace(reading.trace, tracks=tracks, source=source)
    evidence = replace(reading.evidence, because=(*reading.evidence.because, because))
    return replace(
        choice, reading=replace(reading, trace=trace, evidence=evidence), measured=measurer(trace, tolerance), rivals=()
    )


def telling(facts: TrackFacts) -> Bools:
    """Say which rows `[B]` have a real step, steps that differ, and a state that is not all zero."""
    return np.asarray((facts.expected >= 0) & ~facts.uniform & ~facts.final_zero)


def _start_at_zero(measured: Sequence[TrackFacts]) -> bool:
    """Whether every row's state is its step 0 and, in two states at least or the only one, not the last step."""
    apart = total = 0
    for facts in measured:
        rows = telling(facts)
        if not (facts.equal[rows, 0].all() and facts.mask[rows, 0].all()):
            return False
        ends = np.take_along_axis(facts.equal, np.maximum(facts.expected, 0)[:, None], 1)[:, 0]
        empty = (facts.real_counts == 0) & facts.zero.all(1)
        several = (facts.real_counts != 1) & ~empty  # an only step is the first and the last one, and tells nothing
        apart, total = apart + int((rows & ~ends).sum()), total + int(several.sum())
    return apart >= max(1, min(2, total))


def _padding_first(facts: TrackFacts) -> bool:
    """Whether every state is the last stored step, and rows begin with as many zero steps as they have masked ones."""
    rows = telling(facts)
    masked = facts.steps - facts.real_counts
    short = rows & (masked > 0)
    if not short.any() or not facts.mask[short, 0].all() or not facts.equal[rows, -1].all():
        return False
    leading = np.where(facts.zero.all(1), facts.steps, (~facts.zero).argmax(1))
    return bool((leading[short] == masked[short]).all())


def without_exchanged(readings: list[Reading]) -> list[Reading]:
    """The readings, but for those of one direction alone where the state holds both: these were exchanged."""
    return [reading for reading in readings if not _holds_both(reading)] or readings


def _holds_both(reading: Reading) -> bool:
    """Whether a state read as one direction's of every layer holds the other direction's too: as many of its vectors
    as half the rows equal steps of the other half of the top outputs, or they are its ends in another order."""
    trace = reading.trace
    others = [t for t in trace.tracks if t.final is None and t.outputs is not None]
    states = [t.final for t in trace.tracks if t.final is not None and t.layer < trace.layers - 1]
    if trace.directions != 2 or len(others) != 1 or not states:
        return False
    if any(of_other_rows(trace, replace(others[0], final=state)) for state in states):
        return True
    rows = slice(None, MOST_ROWS)
    steps = np.asarray(others[0].outputs)[rows]
    hits = [((steps == state[rows, None]).all(-1) & (state[rows, None] != 0).any(-1)).any(1).mean() for state in states]
    return bool(max(hits) >= 0.5)
