"""Whose state it is, where a program took one and several calls were recorded: the calls' own states tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnninspect.core.arrays import is_array, rank, to_array
from rnninspect.recording.base import RecordedCall
from rnninspect.recording.own_lengths import last_of


def call_of(final_state: Any, calls: Sequence[RecordedCall]) -> RecordedCall | None:
    """The one call that returned this state `[B, H]`, bit for bit; None where none did, or several."""
    returned = [one for one in calls if _returned(one, final_state)]
    return returned[0] if len(returned) == 1 else None


def by_rows(final_state: Any, lengths: Any, calls: Sequence[RecordedCall]) -> list[tuple[Any, Any]] | None:
    """(state, lengths) of each call, where every call read one row and returned, bit for bit, that row of the state.

    `lengths`: `[B]`, in place of those that were stated as the calls were made.
    """
    if len(calls) != _rows(final_state):
        return None
    states = [_row(final_state, row) for row in range(len(calls))]
    if not all(map(_returned, calls, states)):
        return None
    return [(state, _length(lengths, calls, row)) for row, state in enumerate(states)]


def _returned(call: RecordedCall, final_state: Any) -> bool:
    """Whether the state's last layer is the one that the call returned."""
    returned = call.states()[1]
    if returned is None or not returned.size:
        return False
    last = returned[-1] if returned.ndim == 3 else returned
    tail = last_of(final_state, last) if last.ndim == 2 else None
    return tail is not None and np.array_equal(tail, last)


def _row(final_state: Any, row: int) -> Any:
    """One row of h, or of h and c; its axis stays."""
    if isinstance(final_state, (tuple, list)):
        return type(final_state)(_row(part, row) for part in final_state)
    return to_array(final_state, "final_state")[..., row : row + 1, :]


def _length(lengths: Any, calls: Sequence[RecordedCall], row: int) -> Any:
    """`[1]`: that row's among lengths `[B]`; else what was given."""
    stated_lengths = calls[row].where.stated_lengths.value if lengths is None else lengths
    one_each = is_array(stated_lengths) and tuple(stated_lengths.shape) == (len(calls),)
    return to_array(stated_lengths, "lengths")[row : row + 1] if one_each else lengths


def _rows(final_state: Any) -> int:
    """How many rows every part of the state has; 0 where it is no state."""
    parts = final_state if isinstance(final_state, (tuple, list)) else (final_state,)
    if not all(is_array(part) and rank(part) in (2, 3) for part in parts):
        return 0
    counts = {int(part.shape[-2]) for part in parts}
    return counts.pop() if len(counts) == 1 else 0
