"""The state that one call of a layer hands to the next: carried on as it is, or moved to other rows on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.diagnosis.rule import listed
from rnninspect.errors import UserError
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.recording.base import RecordedCall

ENOUGH = 4  # numbers that must be equal before they tell whose state it is


@dataclass(frozen=True)
class Handover:
    """What is to be said of the state in which a call began. `moved`: why a verdict of `clean` would say too much, of
    rows that began in the states in which others ended; empty where none did."""

    note: str = ""
    moved: str = ""


def handovers(calls: Sequence[RecordedCall]) -> dict[tuple[str, int], Handover]:
    """Of every call that began in what the call of its layer before it returned, how; by its name and number."""
    told: dict[tuple[str, int], Handover] = {}
    last: dict[str, tuple[RecordedCall, Array | None]] = {}
    for call in calls:
        try:
            began, ended = call.states()
        except UserError:
            continue
        before = last.get(call.where.name)
        last[call.where.name] = call, ended
        if before is None or began is None or before[1] is None or began.shape != before[1].shape:
            continue
        number = before[0].where.number
        if np.array_equal(began, before[1]):
            told[call.where.name, call.where.number] = Handover(f"it begins in the state that call {number} returned")
        elif moved := _moved(before[0], call, _by_row(before[1]), _by_row(began)):
            told[call.where.name, call.where.number] = Handover(moved=_in_words(moved, number))
    return told


def _by_row(state: Array) -> Array:
    """`[B, …]`: all that a row of `[B, H]` or `[L*D, B, H]` holds."""
    return np.moveaxis(state, -2, 0).reshape(state.shape[-2], -1)


def _moved(before: RecordedCall, call: RecordedCall, ended: Array, began: Array) -> dict[int, int]:
    """By row, the row that ended in the state in which it began, of rows that other rows' states were given to; in the
    order of the user's batch too, where the model sorts its rows."""
    moved = origins(ended, began)
    if not moved:
        return {}
    try:
        in_batch = _of_batch(before)[1], _of_batch(call)[0]
    except UserError:  # the call's own report says so
        return moved
    last, first = in_batch
    if last is None or first is None or not last.shape == first.shape == ended.shape:
        return moved
    return origins(last, first)


def _of_batch(call: RecordedCall) -> tuple[Array | None, Array | None]:
    """`[B, …]` each: the states in which the call began and ended, in the order of the user's batch."""
    tracks = call.judged(Tolerance()).case.trace.tracks

    def joined(states: list[Array | None]) -> Array | None:
        whole = [state for state in states if state is not None]
        return np.concatenate(whole, 1) if len(whole) == len(states) else None

    return joined([track.initial for track in tracks]), joined([track.final for track in tracks])


def origins(ended: Array, began: Array) -> dict[int, int]:
    """By row of `began` `[B, N]`, the other row whose `ended` `[B, N]` it holds: none of them twice, as where rows are
    put in another order. Nothing where a state is given to several rows, as a beam search does, and where the numbers
    are too few to tell.

    >>> origins(np.arange(12.0).reshape(3, 4), np.arange(12.0).reshape(3, 4)[[0, 2, 1]])
    {1: 2, 2: 1}
    """
    ends = [(state + 0.0).tobytes() for state in ended]  # -0 is 0
    starts = [(state + 0.0).tobytes() for state in began]
    whose = {end: row for row, end in enumerate(ends) if ends.count(end) == 1 and ended[row].any()}
    rows = {row: whose[start] for row, start in enumerate(starts) if start in whose}
    moved = {row: origin for row, origin in rows.items() if row != origin}
    return moved if len(set(rows.values())) == len(rows) and len(moved) * ended.shape[1] >= ENOUGH else {}


def _in_words(moved: dict[int, int], number: int) -> str:
    pairs = listed((f"row {row} in that of row {origin}" for row, origin in moved.items()), 4)
    return (
        f"rows begin in the states in which other rows of call {number} ended ({pairs}): state was carried to the "
        "wrong rows, unless the rows of the batch were put in that order too, which cannot be seen"
    )
