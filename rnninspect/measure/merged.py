"""Outputs that hold both directions merged into one array, their sum or alike: told by the states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.cell_behind import are_own_steps, are_pairs
from rnninspect.conventions.dumps.readings import readings
from rnninspect.conventions.dumps.roles import Guess
from rnninspect.core.evidence import Reading, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import DIRECTIONS, Array, Bools, Ints, Trace, last_true
from rnninspect.errors import ShapeError
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import gather, parts, take_rows

MOST_ROWS = 64  # rows that are looked at
EITHER, BOTH = 0.9, 0.75  # how far a state may be from where its direction ends, as a share of how far from elsewhere
# The share of each end in a state that is the sum, or mean, of both directions' own; by how many standard errors it
# must differ from none. Measured: so look 19 in 20 of such states, and of others (another run's, with noise, with
# dropout) 1 in 1,800.
LEAST, MOST, SURELY = 0.3, 1.1, 2.0
# Of so few numbers, as two or three rows have, at most this share of a merged state may be left of both ends: so look 9
# in 10 of such states, 1 in 3 of another run's, and 1 in 100 of noise.
FEW_NUMBERS, MOST_LEFT = 24, 0.5
# One direction's own state beside outputs that are the sum of both: how far it is from where it ends, as a share of how
# far from elsewhere, between these.
APART, BESIDE = 0.3, 0.8
SCALED = 1e-6  # share of the squares of a state that is left of a multiple of its end, at most
NEAREST = "each state is nearest to where its direction ends: the outputs are a sum of both directions, or alike"
BY_STATES = f"none was stated; {NEAREST}"


def merging(config: LayerConfig) -> LayerConfig:
    """The same layer, its two directions merged into one array: their sum, or alike."""
    return replace(config, merge_mode="sum", direction="bidirectional")


def may_be_merged(slots: tuple[Slot, ...], config: LayerConfig) -> bool:
    """Whether two directions are stated, named by the states, or lie side by side in one state, and the outputs are no
    wider than a state of one."""
    outputs = [slot.array.shape[-1] for slot in slots if slot.role == "outputs" and slot.array.ndim]
    states = [slot.array for slot in slots if slot.role == "h" and slot.array.ndim]
    widths = {state.shape[-1] for state in states}
    joined = len(states) == 1 and states[0].ndim == 2 and widths == {2 * width for width in outputs}
    joined = joined and not _is_step_in_a_half(slots, states[0])
    told = config.directions or {slot.direction for slot in slots if slot.role == "h" and slot.direction}
    two = len(told) == 2 or (joined and not told and config.layers in (None, 1))
    return two and config.merge_mode == "concat" and len(outputs) == 1 and (joined or widths == set(outputs))


def _is_step_in_a_half(slots: tuple[Slot, ...], state: Array) -> bool:
    """Whether one half of a state `[B, 2H]` holds steps of the outputs, as the top one of two layers does: of all their
    units, or of the forward ones; true of none."""
    outputs = next(slot.array for slot in slots if slot.role == "outputs")
    halves, forward = np.split(state, 2, axis=1), outputs.shape[-1] // 2
    return not state.size or any(
        are_own_steps(outputs, half) or (forward and are_own_steps(outputs[..., :forward], half[:, :forward]))
        for half in halves
    )


def as_merged(reading: Reading) -> Reading:
    """Mark the reading as one of outputs that hold both directions merged, which only a run can separate."""
    because = "there are two, and the outputs are as wide as one: they may be the sum of both directions, or alike"
    return replace(reading, trace=replace(reading.trace, source={**reading.trace.source, "direction": because}))


def are_told_by_states(trace: Trace) -> bool:
    """Whether nobody stated two directions, and the states alone tell of outputs that hold both merged."""
    return trace.source.get("direction") == BY_STATES


def readings_merged(
    convention: Convention, slots: tuple[Slot, ...], config: LayerConfig, whose_known: bool
) -> list[Reading]:
    """The readings of outputs that hold both directions merged, beside the states of both, or one state `[B, H]` that
    is merged too: of that one nothing is compared with the outputs."""
    try:
        return [as_merged(r) for r in readings(convention, slots, merging(config), whose_known)]
    except ShapeError:
        alone = readings(convention, slots, replace(config, direction="forward", merge_mode="concat"), whose_known)
    because = "two were stated, and outputs and state are as wide as one: both may be their sum, or alike"
    merged = []
    for reading in alone:
        tracks = tuple(replace(track, outputs=None) for track in reading.trace.tracks)
        trace = replace(reading.trace, tracks=tracks, source={**reading.trace.source, "direction": because})
        merged.append(replace(reading, trace=trace))
    return merged


def two_directions(slots: tuple[Slot, ...], config: LayerConfig) -> tuple[Slot, ...] | None:
    """The slots with a list of states as those of one layer's two directions, which Keras's Bidirectional returns as
    `[h, c, h, c]`, or `[h, h]` of a GRU, TensorFlow 1 as two pairs; None where it can be no such list: as one
    direction or several layers, some state is a step of the outputs, or the two are h and c of one LSTM."""
    outputs = [slot.array for slot in slots if slot.role == "outputs"]
    states = [slot for slot in slots if slot.role in ("h", "c")]
    if config.layers not in (None, 1) or config.merge_mode != "concat" or len(outputs) != 1 or not _are_listed(states):
        return None
    roles = tuple(slot.role for slot in states)
    if outputs[0].ndim != 3 or outputs[0].shape[-1] != states[0].array.shape[-1]:
        return None
    if any(are_own_steps(outputs[0], slot.array) for slot in states):
        return None
    if roles == ("h", "c") and (config.cell == "lstm" or are_pairs([states[0].array], [states[1].array])):
        return None
    if len(states) == 2:
        states = [replace(slot, role="h") for slot in states]
    elif len(states) != 4 or sorted(roles[:2]) != ["c", "h"] or roles[2:] != roles[:2]:
        return None
    half = len(states) // 2
    again = {
        slot.name: replace(slot, layer=None, direction=DIRECTIONS[number // half]) for number, slot in enumerate(states)
    }
    return tuple(again.get(slot.name, slot) for slot in slots)


def _are_listed(states: list[Slot]) -> bool:
    """Whether states are the entries of one list, `[B, H]` each, or of two pairs of h and c in one (`state.0.h`), that
    nobody named for directions."""
    alike = len({slot.array.shape for slot in states}) == 1 and all(slot.array.ndim == 2 for slot in states)
    if not alike or any(slot.direction is not None for slot in states):
        return False
    names = [slot.name for slot in states]
    pairs = [name.rpartition(".")[0] for name in names]
    in_pairs = len(states) == 4 and pairs[::2] == pairs[1::2]
    return _are_numbered(names) or (in_pairs and _are_numbered(pairs[::2]))


def _are_numbered(names: Sequence[str]) -> bool:
    """Whether the names are those of the entries of one list, in order: `state.0`, `state.1`."""
    stems = {name.rpartition(".")[0] for name in names}
    return len(stems) == 1 and [name.rpartition(".")[2] for name in names] == [str(i) for i in range(len(names))]


def merged_reading(candidates: Sequence[Reading], outputs: Array, two_stated: bool) -> Reading | None:
    """Of readings that take the outputs `[B, T, H]` as two directions merged, the first whose states say so;
    `two_stated`: somebody said that there are two."""
    for reading in candidates:
        trace = reading.trace
        top = [t.final for t in trace.tracks if t.layer == trace.layers - 1 and t.final is not None]
        by_row = outputs.swapaxes(0, 1) if reading.time_major else outputs
        fits = len(top) == 2 and by_row.ndim == 3 and all(s.shape[1] == by_row.shape[2] for s in top)
        if fits and not reading.time_swapped and are_merged(by_row, top[0], top[1], trace):
            evidence = replace(reading.evidence, because=(*reading.evidence.because, NEAREST))
            source = {**trace.source, "direction": f"two were stated; {NEAREST}" if two_stated else BY_STATES}
            return replace(reading, trace=replace(trace, source=source), evidence=evidence)
    return None


def are_merged(outputs: Array, forward: Array, backward: Array, trace: Trace) -> bool:
    """Whether the states of two directions, `[B, H]`, lie near to where their direction ends in `outputs` `[B, T, H]`,
    and equal no step: at the last real step the backward direction has only begun, and the forward one at the first.
    """
    rows = np.flatnonzero(trace.real_counts > 1)[:MOST_ROWS]
    if rows.size < 2:
        return False
    real = trace.mask[rows]
    ends = ((forward, last_true(real)), (backward, real.argmax(1)))
    shares = [_share_of_end(outputs, state, rows, real, at) for state, at in ends]
    whole = [share for share in shares if share is not None]
    return len(whole) == len(ends) and max(whole) < EITHER and sum(whole) / 2 < BOTH


def goes_with_both_ends(facts: TrackFacts) -> bool:
    """Whether the states go with the first and the last real step at once, as the sum or mean of two directions' states
    goes with outputs merged so: each direction is whole at its own end, and has only begun at the other's."""
    rows = np.flatnonzero(facts.real_counts > 2)[:MOST_ROWS]
    fitted = _fit_of_ends(*_ends_and_states(facts, rows)) if rows.size > 1 else None
    if fitted is None:
        return False
    shares, errors, _ = fitted
    return bool((shares > SURELY * errors).all() and shares.min() > LEAST and shares.max() < MOST)


def may_go_with_both_ends(facts: TrackFacts) -> bool:
    """Whether the states, of too few numbers to be sure, are mostly what the first and the last real step make, in
    shares that may be those of merged directions."""
    ends, states = _ends_and_states(facts, np.flatnonzero(facts.real_counts > 1)[:MOST_ROWS])
    fitted = _fit_of_ends(ends, states) if states.size <= FEW_NUMBERS else None
    if fitted is None:
        return False
    shares, errors, left = fitted
    may_be = (shares + SURELY * errors > LEAST).all() and (shares - SURELY * errors < MOST).all()
    return bool(may_be and left < MOST_LEFT * (states**2).sum())


def goes_with_one_end(facts: TrackFacts) -> bool:
    """Whether the states lie nearest to the last real step, or to the first, and apart from it by what the first steps
    of another direction add there."""
    rows = np.flatnonzero(facts.real_counts > 1)[:MOST_ROWS]
    both, states = _ends_and_states(facts, rows)
    if not rows.size or not (np.isfinite(both).all() and np.isfinite(states).all()):
        return False
    real = facts.mask[rows]
    for at, end in zip((real.argmax(1), last_true(real)), both.T, strict=True):
        share = _share_of_end(facts.outputs, facts.final, rows, real, at) if _goes_with(end, states) else None
        if share is not None and APART < share < BESIDE:
            return True
    return False


def _goes_with(end: Array, states: Array) -> bool:
    """Whether states `[N]` go with an end `[N]` of their rows beyond chance, and surely by less than all of it, of
    which another direction's first steps are a part."""
    x, y = end - end.mean(), states - states.mean()
    squares = max(float(x @ x), np.finfo(np.float64).tiny)
    slope = float(x @ y) / squares
    error = np.sqrt(((y - slope * x) ** 2).sum() / max(1, y.size - 2) / squares)
    return bool(min(slope, 1 - slope) > (1.0 if y.size <= FEW_NUMBERS else SURELY) * error)


def _share_of_end(outputs: Array, states: Array, rows: Ints, real: Bools, ends: Ints) -> float | None:
    """How far the states `[B, H]` of these rows `[N]` are from their steps `ends` `[N]` of outputs `[B, T, H]`, as a
    share of how far from the other `real` ones `[N, T]`; None where a state equals a step."""
    shares: list[Array] = []
    for part in parts(rows.size, outputs.shape[1] * outputs.shape[2]):
        picked, among = rows[part], real[part]
        steps, held = take_rows(outputs, picked).astype(np.float64), np.asarray(states[picked], dtype=np.float64)
        apart = np.where(among, np.abs(steps - held[:, None]).sum(-1), 0.0)
        end = np.take_along_axis(apart, ends[part, None], 1)[:, 0]
        others = (apart.sum(1) - end) / (among.sum(1) - 1)
        if not (apart[among] > 0).all() or not (others > 0).all():
            return None
        shares.append(end / others)
    return float(np.concatenate(shares).mean())


def is_scaled_end(facts: TrackFacts) -> bool:
    """Whether the states are one multiple of an end of their rows, and one number more: nothing else is in them."""
    ends, states = _ends_and_states(facts, np.flatnonzero(facts.real_counts > 1)[:MOST_ROWS])
    if not (np.isfinite(ends).all() and np.isfinite(states).all()):
        return False
    fitted = [np.polynomial.Polynomial.fit(end, states, 1)(end) - states for end in ends.T if np.ptp(end) > 0]
    return any(float(left @ left) <= SCALED * float(states @ states) for left in fitted)


def goes_with_two_halves(facts: TrackFacts) -> bool:
    """Whether the states go better with the last real step in one half of an even number of units and the first in the
    other, as those of two directions side by side do, than with both steps in all units."""
    units, odd = divmod(facts.final.shape[1], 2)
    ends, states = _ends_and_states(facts, np.flatnonzero(facts.real_counts > 1)[:MOST_ROWS])
    fitted = None if odd else _fit_of_ends(ends, states)
    if fitted is None:
        return False
    first, last = ends.T.reshape(2, -1, 2 * units)
    halves = np.concatenate([last[:, :units], first[:, units:]], 1).ravel()
    left = states - halves * (halves @ states) / max(float(halves @ halves), np.finfo(np.float64).tiny)
    return float((left**2).sum()) < fitted[2]


def _ends_and_states(facts: TrackFacts, rows: Ints) -> tuple[Array, Array]:
    """`[N, 2]`, `[N]`: the numbers of the first and the last real step of these rows, and those of their states."""
    ends = [gather(facts.outputs, rows, at) for at in (facts.mask[rows].argmax(1), last_true(facts.mask[rows]))]
    both = np.stack([np.asarray(end, dtype=np.float64).ravel() for end in ends], 1)
    return both, np.asarray(facts.final[rows], dtype=np.float64).ravel()


def _fit_of_ends(both: Array, states: Array) -> tuple[Array, Array, float] | None:
    """The shares `[2]` of both ends `[N, 2]` in the states `[N]` by least squares, their standard errors, and the sum
    of squares that is left; None where nothing tells them apart."""
    if not (np.isfinite(both).all() and np.isfinite(states).all()) or np.linalg.matrix_rank(both) < 2:
        return None
    squares = np.linalg.inv(both.T @ both)
    shares = squares @ both.T @ states
    left = float(((states - both @ shares) ** 2).sum())
    return shares, np.sqrt(np.diag(squares) * left / max(1, states.size - 2)), left


def reading_merged(
    convention: Convention, guess: Guess, slots: tuple[Slot, ...], config: LayerConfig
) -> Reading | None:
    """The reading of outputs that hold both directions merged into one, where the states say so; None elsewhere."""
    outputs = [s.array for s in slots if s.role == "outputs"]
    planes = {s.array.shape[0] for s in slots if s.role == "h" and s.array.ndim == 3}
    if len(outputs) != 1 or config.merge_mode not in ("concat", "sum") or config.layers in planes:
        return None  # as many planes as layers were stated: a stack of one direction
    try:
        merged = readings(convention, slots, merging(config), guess.whose_known)
        return merged_reading(merged, outputs[0], config.directions is not None)
    except ShapeError:
        return None
