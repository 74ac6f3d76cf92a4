"""Directions that nobody stated, told by the numbers: a layer that reads backwards, and two directions merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Reading
from rnninspect.core.trace import Array, Bools, TimeOrder, Trace, last_true
from rnninspect.measure.choose_reading import Choice, Measurer, Tolerance
from rnninspect.measure.facts import TrackFacts

MOST_ROWS = 64  # rows that are looked at to tell merged directions
EITHER, BOTH = 0.9, 0.75  # how far a state may be from where its direction ends, as a share of how far from elsewhere


def read_backwards(choice: Choice, tolerance: Tolerance, measurer: Measurer) -> Choice:
    """The choice read as a backward layer alone, where every state says that it is one, else the choice itself.

    Every state is that of step 0 (`outputs_bw`, Flax `reverse=True, keep_order=True`); or every state is the last step
    and the masked steps come first (Keras `go_backwards`).
    """
    trace = choice.reading.trace
    if not choice.measured or len(choice.measured) != 1 or trace.layers > 1 or trace.directions > 1:
        return choice
    facts = choice.measured[0]
    if facts.track.direction == "backward" or facts.steps < 2:
        return choice
    for order, told, because in (
        ("time", _starts_at_zero(facts), "every state equals step 0: it reads backwards"),
        (
            "reversed",
            trace.mask_given and _padding_first(facts),
            "masked steps come first, every state is the last: it reads backwards",
        ),
    ):
        if told:
            return _backwards(choice, order, because, tolerance, measurer)  # type: ignore[arg-type]
    return choice


def _backwards(choice: Choice, order: TimeOrder, because: str, tolerance: Tolerance, measurer: Measurer) -> Choice:
    reading = choice.reading
    tracks = tuple(replace(t, direction="backward", order=order) for t in reading.trace.tracks)
    source = {
        **reading.trace.source,
        "direction": f"none was stated; {because}",
    }  # taken because it fits: no test of it
    trace = replace(reading.trace, tracks=tracks, source=source)
    evidence = replace(reading.evidence, because=(*reading.evidence.because, because))
    return replace(
        choice, reading=replace(reading, trace=trace, evidence=evidence), measured=measurer(trace, tolerance), rivals=()
    )


def _telling(facts: TrackFacts) -> Bools:
    return np.asarray((facts.expected >= 0) & ~facts.uniform & ~facts.final_zero)


def _starts_at_zero(facts: TrackFacts) -> bool:
    """Whether every row's state is its step 0 and, in two rows at least, not the last one."""
    rows = _telling(facts)
    ends = np.take_along_axis(facts.equal, np.maximum(facts.expected, 0)[:, None], 1)[:, 0]
    return bool(facts.equal[rows, 0].all() and (rows & ~ends).sum() > 1 and facts.mask[rows, 0].all())


def _padding_first(facts: TrackFacts) -> bool:
    """Whether every state is the last stored step, and rows begin with as many zero steps as they have masked ones."""
    rows = _telling(facts)
    masked = (~facts.mask).sum(1)
    short = rows & (masked > 0)
    if not short.any() or not facts.mask[short, 0].all() or not facts.equal[rows, -1].all():
        return False
    leading = np.where(facts.zero.all(1), facts.steps, (~facts.zero).argmax(1))
    return bool((leading[short] == masked[short]).all())


def are_merged(outputs: Array, forward: Array, backward: Array, trace: Trace) -> bool:
    """Whether the states of two directions, `[B, H]`, lie near to where their direction ends in `outputs` `[B, T, H]`,
    and equal no step: at the last real step the backward direction has only begun, and the forward one at the first.
    """
    rows = np.flatnonzero(trace.mask.sum(1) > 1)[:MOST_ROWS]
    if rows.size < 2:
        return False
    steps, real = np.asarray(outputs[rows], dtype=np.float64), trace.mask[rows]
    shares = []
    for state, ends in ((forward, last_true(real)), (backward, real.argmax(1))):
        apart = np.where(real, np.abs(steps - np.asarray(state[rows], dtype=np.float64)[:, None]).sum(-1), 0.0)
        end = np.take_along_axis(apart, ends[:, None], 1)[:, 0]
        others = (apart.sum(1) - end) / (real.sum(1) - 1)
        if not (apart[real] > 0).all() or not (others > 0).all():
            return False
        shares.append(float((end / others).mean()))
    return max(shares) < EITHER and sum(shares) / 2 < BOTH


def merged_reading(candidates: Sequence[Reading], outputs: Array) -> Reading | None:
    """Of readings that take the outputs as two directions merged, the first whose states say so; None else."""
    for reading in candidates:
        trace = reading.trace
        top = [t.final for t in trace.tracks if t.layer == trace.layers - 1 and t.final is not None]
        by_row = outputs.swapaxes(0, 1) if reading.time_major else outputs
        fits = len(top) == 2 and by_row.ndim == 3 and all(s.shape[1] == by_row.shape[2] for s in top)
        if fits and not reading.time_swapped and are_merged(by_row, top[0], top[1], trace):
            told = (
                "each state is nearest to where its direction ends: the outputs are a sum of both directions, or alike"
            )
            evidence = replace(reading.evidence, because=(*reading.evidence.because, told))
            source = {**trace.source, "direction": f"none was stated; {told}"}
            return replace(reading, trace=replace(trace, source=source), evidence=evidence)
    return None
