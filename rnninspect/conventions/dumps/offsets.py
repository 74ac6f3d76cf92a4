"""Lengths as places in rows that lie one behind the other: `cu_seqlens`, offsets, or where each row ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Slot
from rnninspect.core.trace import Array, Ints, last_true


def with_lengths_of_offsets(slots: tuple[Slot, ...]) -> tuple[tuple[Slot, ...], str]:
    """The slots with lengths `[B]`, and a note, where those of the dump are places: one more than rows from 0 on, or
    one a row, whose distances are where the padded outputs end in zeros."""
    lengths = [s for s in slots if s.role == "lengths" and s.array.dtype.kind in "iu" and s.array.ndim == 1]
    states = [s.array for s in slots if s.role == "h" and s.array.ndim > 1]
    if len(lengths) != 1 or not states:
        return slots, ""
    places = np.asarray(lengths[0].array, dtype=np.int64)
    if places.size < 2 or (np.diff(places) < 0).any() or places[0] < 0:
        return slots, ""
    counts = np.diff(places) if places[0] == 0 and _are_one_more(places, slots, states) else _by_zeros(places, slots)
    if counts is None:
        return slots, ""
    read = replace(lengths[0], array=counts)
    shown = ", ".join(map(str, counts[:12].tolist())) + (", …" if counts.size > 12 else "")
    note = (
        f"{lengths[0].short or 'lengths'} [{places.size}] are read as places in rows that lie one behind the other, "
        f"which are {shown} steps long"
    )
    return tuple(read if slot is lengths[0] else slot for slot in slots), note


def _are_one_more(places: Ints, slots: tuple[Slot, ...], states: list[Array]) -> bool:
    """Whether there is a row between each two of these places, and they end where the outputs do."""
    rows = places.size - 1
    outputs = [s.array for s in slots if s.role == "outputs"]
    if any(rows not in state.shape[:-1] for state in states) or not outputs:
        return False
    joined = all(array.ndim == 2 and len(array) == places[-1] for array in outputs)
    padded = all(
        array.ndim == 3
        and rows in array.shape[:2]
        and np.diff(places).max() <= max(array.shape[:2])
        and not _may_be_lengths(places, array)
        for array in outputs
    )
    return joined or padded


def _may_be_lengths(places: Ints, outputs: Array) -> bool:
    """Whether these are one a row along either axis of the outputs, none beyond the steps: an empty row's is 0."""
    first, second = outputs.shape[:2]
    return any(places.size == rows and places.max() <= steps for rows, steps in ((first, second), (second, first)))


def _by_zeros(places: Ints, slots: tuple[Slot, ...]) -> Ints | None:
    """`[B]`: the steps behind which the rows of outputs are zero, where these places are where rows of so many steps
    begin, or end, one behind the other."""
    outputs = next((s.array for s in slots if s.role == "outputs" and s.array.ndim == 3), None)
    if outputs is None or outputs.dtype.kind != "f":
        return None
    for array in (outputs, outputs.swapaxes(0, 1)):
        if len(array) != places.size or places[-1] <= array.shape[1]:
            continue
        written = np.asarray((array != 0).any(-1))
        ends = np.where(written.any(1), last_true(written) + 1, 0)
        total = np.cumsum(ends)
        if np.array_equal(places, total) or np.array_equal(places, total - ends):
            return np.asarray(ends, dtype=np.int64)
    return None
