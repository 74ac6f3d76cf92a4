"""Initial states of one row that a call gives to every row: a learned `[1, 1, H]`, `[L*D, 1, H]`, `[1, H]` or `[H]`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Slot
from rnninspect.core.trace import Array, Track


def over_rows(slots: tuple[Slot, ...], rows: int, tracks: int) -> tuple[Slot, ...]:
    """The one slot with its states of one row repeated for each of `rows`, `[B, H]` or `[L*D, B, H]`; empty where it is
    not of one row, and of several slots. `tracks`: how many layers and directions there are.

    >>> slot = Slot("initial_h", "h_0", np.ones((2, 1, 4)))
    >>> over_rows((slot,), 5, 2)[0].array.shape, over_rows((slot,), 5, 1)[0].array.shape
    ((2, 5, 4), (2, 5, 4))
    """
    if rows == 1 or len(slots) != 1:
        return ()  # of several without names it is not known which are h, and which layers'
    array = _over_rows(slots[0].array, rows, tracks)
    return () if array is None else (replace(slots[0], array=array),)


def spread_note(slots: tuple[Slot, ...], tracks: tuple[Track, ...]) -> str:
    """Say that an initial state of one row was taken for that of every row; empty where none was."""
    for track in tracks:
        if track.initial is not None and len(slots) == 1 and slots[0].array.size < track.initial.size:
            return f"the initial state {slots[0].name} {list(slots[0].array.shape)} is taken for that of every row"
    return ""


def _over_rows(array: Array, rows: int, tracks: int) -> Array | None:
    """`[H]`, `[1, H]`, `[L*D, H]` or `[L*D, 1, H]` with the row repeated; None where it has other axes."""
    if array.ndim == 1 and array.size:
        array = array[None]
    if array.ndim == 2 and len(array) == 1:
        return np.repeat(array, rows, axis=0)
    if array.ndim == 2 and len(array) == tracks != rows:  # as many rows as layers: it may be one layer's `[B, H]`
        array = array[:, None]
    return np.repeat(array, rows, axis=1) if array.ndim == 3 and array.shape[1] == 1 else None


def of_one_row(array: Array) -> bool:
    """Whether an array `[H]`, `[1, H]` or `[L*D, 1, H]` has one row."""
    return array.ndim == 1 or (array.ndim in (2, 3) and array.shape[-2] == 1)
