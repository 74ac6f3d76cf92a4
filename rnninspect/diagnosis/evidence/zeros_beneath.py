"""States of lower layers that are all zero: never written, or computed so by units that are shut."""

from __future__ import annotations

import numpy as np

from rnninspect.core.trace import Array, Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import tolerance

TINY = 1e-4  # of the largest state of the layer's other rows: what is less is a unit that is all but shut
CHANCE = 1e-4  # of rows whose units all shut by themselves, from which on nothing is proven


def never_written(case: Case, track: Track) -> Bools:
    """`[B]`: rows of a layer without outputs whose state is zero as no right run leaves it: a run of the weights says
    so, or without one, the layer's units are not such as shut often."""
    zero = _zero(case, track)
    return zero if not zero.any() or _ran(case, track) is not None else zero & (_chance(track, zero) < CHANCE)


def perhaps_written(case: Case, track: Track) -> Bools:
    """`[B]`: such rows of which nothing tells whether their state was written: all of their few units may be shut."""
    return _zero(case, track) & ~never_written(case, track)


def _zero(case: Case, track: Track) -> Bools:
    """`[B]`: rows of a layer without outputs whose h is all zero though the row has real steps, and the layer above
    ends in another state. A layer that gives such zeros is excluded: by inputs that are none, by a run of the weights,
    and, where it may rectify, by outputs that are all positive."""
    nothing = np.zeros(case.trace.batch_size, dtype=np.bool_)
    if track.outputs is not None or track.final is None or not case.trace.knows_padding:
        return nothing
    if len(nothing) == 1 and case.config.layers is None:
        return nothing  # `[1, B, H]` of rows of one step may be read so
    zero = case.trace.mask.any(1) & (track.final == 0).all(-1)  # whatever c is: an open gate gives it on
    above = np.logical_or.reduce([~f.final_zero for f in case.facts if f.track.layer > track.layer] or [nothing])
    zero = zero & above
    if not zero.any() or _may_rectify(case):
        return nothing
    if case.batch is not None:
        real = case.batch.inputs[:, : case.trace.steps] * case.trace.mask[..., None]
        zero = zero & real.any((1, 2))
        ran = _ran(case, track)
        if ran is not None and zero.any():
            zero = zero & (np.abs(ran) > tolerance(case)).any(-1)
    return np.asarray(zero)


def _ran(case: Case, track: Track) -> Array | None:
    """`[B, H]`: the state that a run of the weights gives; None where there is none."""
    if case.batch is None or case.weights is None:
        return None
    ran = case.reference.track(track.layer, track.direction)
    return None if ran is None else ran.final


def _chance(track: Track, zero: Bools) -> float:
    """How likely it is that every unit of a row that is `zero` `[B]` shut by itself, as often as those of the other
    rows do (the rule of succession)."""
    assert track.final is not None
    others = np.abs(np.asarray(track.final)[~zero])
    shut = np.count_nonzero(others <= TINY * others.max(initial=0))
    each = (shut + 1) / (others.size + 2)
    return float(each ** (track.final.shape[1] * np.count_nonzero(zero)))


def _may_rectify(case: Case) -> bool:
    """Whether the layers may be of a plain RNN with relu, whose units may all be zero: no output is negative."""
    cell = case.weights.spec.cell if case.weights is not None else case.config.cell
    plain = cell in (None, "rnn") and all(track.cell is None for track in case.trace.tracks)
    return plain and not any(bool((facts.outputs < 0).any()) for facts in case.facts)


def all_zero(cell: Array | None, rows: int) -> Bools:
    """`[B]`: c is all zero; True where there is none."""
    return np.ones(rows, dtype=np.bool_) if cell is None else np.asarray((cell == 0).all(-1))
