"""Lengths that a call brings of its own, held against those that are stated for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect.core.arrays import is_array, rank, to_array
from rnninspect.core.trace import Array, Ints
from rnninspect.core.wording import argument, worded
from rnninspect.recording.stated import Settled, Stated, by_names, rows_read, settle, with_rows_left_out

_STRIDES = range(2, 17)  # what a layer before this one may divide the lengths by


def settle_own(stated_lengths: Stated, own_lengths: Ints, steps: int, sorted_by_user: bool, called: str) -> Settled:
    """What is stated for a call that brings its own lengths `[B]` (packed, or rows that a loop leaves).

    `sorted_by_user`: its rows are as the model gave them, so that the model may have sorted them. Raises ShapeError
    where what is stated does not fit the call's rows.
    """
    kept = rows_read(stated_lengths.value, own_lengths.size)
    if kept is not None:
        read = replace(stated_lengths, value=to_array(stated_lengths.value)[kept])
        return with_rows_left_out(settle_own(read, own_lengths, steps, sorted_by_user, called), kept)
    if stated_lengths.missing:  # its own lengths are all that it needs, unless what was asked for is nowhere
        return Settled(lengths=own_lengths, open=stated_lengths.missing if stated_lengths.nowhere else "")
    if stated_lengths.value is None:
        beside = _of_batch(by_names(stated_lengths, own_lengths.size, steps)) if sorted_by_user else None
        return _sorted_by_user(beside, own_lengths) or Settled(lengths=own_lengths)
    settled = settle(replace(stated_lengths, exact=True, name="", times=()), own_lengths.size, steps, called)
    if isinstance(stated_lengths.value, str):
        stated_lengths = replace(stated_lengths, exact=False)  # "full" is said of all that the model reads
    lengths = _of_batch(settled)
    if lengths is None or (lengths == own_lengths).all():
        return Settled(lengths=own_lengths)
    if (own_lengths == steps).all() and lengths.max() == steps:  # it was told nothing of its padding
        return settle(stated_lengths, own_lengths.size, steps, called)
    by_length = _sorted_by_user(lengths, own_lengths) if sorted_by_user and not stated_lengths.direct else None
    if by_length is not None:
        return by_length
    kind, difference_in_words, hint = _compared(lengths, own_lengths)
    if stated_lengths.exact or (stated_lengths.direct and kind not in ("shifted", "clamped")):
        return Settled(lengths=lengths)
    note = (
        f"{called} reads lengths {own_lengths.tolist()[:12]}, {lengths.tolist()[:12]} are stated: {difference_in_words}"
    )
    if kind == "strided":
        return Settled(lengths=own_lengths, notes=(note,))
    return Settled(lengths=own_lengths, open=f"{note}; which of the two is right cannot be seen", hint=hint)


def _of_batch(settled: Settled) -> Array | None:
    """`[B]`: the lengths that lengths or a mask say."""
    return settled.lengths if settled.mask is None else settled.mask.sum(1)


def _sorted_by_user(lengths: Array | None, own_lengths: Ints) -> Settled | None:
    """What is taken where a call reads the batch's lengths `[B]` from long to short, and the batch has them in another
    order: the batch's own. None where it does not."""
    permuted = lengths is not None and np.array_equal(np.sort(lengths), np.sort(own_lengths))
    if lengths is None or not permuted or (lengths == own_lengths).all() or not is_by_length(own_lengths):
        return None
    note = "the rows were sorted by length before they were read; they are shown in the batch's own order"
    unsure = "the rows were sorted by length; whether your code puts them back cannot be seen: give final_state="
    return Settled(lengths=lengths.astype(np.int64), order=_sorted_rows(lengths), notes=(note,), open=unsure)


def is_by_length(own_lengths: Array) -> bool:
    """Whether rows `[B]` go from long to short."""
    return bool((np.diff(own_lengths) <= 0).all())


def put_back(states: Array, recorded: Array) -> Ints | None:
    """`[B]`: the recorded row of every state `[B, H]`, where each is another row's and all are there; else None.

    >>> put_back(np.array([[2], [1], [3]]), np.array([[1], [2], [3]]))
    array([1, 0, 2])
    """
    if states.shape != recorded.shape:
        return None
    equal = (states[:, None] == recorded[None]).all(-1)
    one_each = bool((equal.sum(0) == 1).all() and (equal.sum(1) == 1).all())
    return None if not one_each or equal.diagonal().all() else equal.argmax(1).astype(np.int64)


def _sorted_rows(lengths: Array) -> Ints:
    """`[B]`: where every row is once the rows are sorted from long to short; equal ones as `torch.sort` orders them."""
    try:
        import torch

        order = torch.sort(torch.from_numpy(np.ascontiguousarray(lengths)), descending=True).indices.numpy()
    except ImportError:
        order = np.argsort(-lengths, kind="stable")
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    return place


def last_of(final_state: Any, last: Array) -> Array | None:
    """Of the user's state the part `[B, H]` that `last` `[B, H]` of the recorded one may be; None where none is."""
    state = final_state[0] if isinstance(final_state, (tuple, list)) and final_state else final_state
    if state is None or not is_array(state) or rank(state) < 2:
        return None
    by_user = to_array(state, "final_state")
    by_user = by_user[-1] if by_user.ndim == 3 else by_user
    if by_user.shape[0] != last.shape[0] or by_user.shape[1] < last.shape[1]:
        return None
    return np.asarray(by_user[:, -last.shape[1] :])


def perhaps_put_back(
    arrays: Mapping[str, Array], settled: Settled, final_state: Any
) -> tuple[dict[str, Array], Settled]:
    """The arrays in the order of the user's state, if they were read from long to short and it has other rows' states
    in each place: the code may have sorted the rows and put them back. Else as they are."""
    lengths, last = settled.lengths, arrays["h_n"][-1]
    tail = last_of(final_state, last) if lengths is not None and is_by_length(lengths) else None
    moved = None if tail is None else put_back(tail, last)
    if lengths is None or moved is None:
        return dict(arrays), settled
    unsure = (
        "final_state holds the rows in another order than that in which they were read, from long to short: right if "
        "your code sorted them and put them back, which lengths in the batch's own order would show; "
        f"{worded(argument('lengths', 'name'))}"
    )
    opened = "; ".join(filter(None, [settled.open, unsure]))
    return reordered(arrays, moved), replace(settled, lengths=lengths[moved], open=opened)


def reads_padding(inputs: Array, own_lengths: Array, lengths: Ints) -> bool:
    """Whether rows of `inputs` `[B, T, F]` that are read past their stated end, `own_lengths` `[B]` past `lengths`
    `[B]`, read one and the same vector there: padding, not data.

    Then the rows are in the batch's own order, and their lengths in another's.
    """
    past = [inputs[b, lengths[b] : own_lengths[b]] for b in np.flatnonzero(lengths < own_lengths)]
    frames = np.concatenate(past) if past else inputs[:0, 0]
    return bool(len(frames) > 1 and (frames == frames[0]).all() and (inputs[:, 0] != frames[0]).any())


def reordered(arrays: Mapping[str, Array], order: Ints) -> dict[str, Array]:
    """Every array, `[B, …]`, or `[L*D, B, H]` of states, with its rows in that order `[B]`."""
    states = ("h_n", "c_n", "h_0", "c_0")
    return {name: array[:, order] if name in states else array[order] for name, array in arrays.items()}


def fitted_order(order: Ints, lengths: Ints, fits: Callable[[int, int], bool]) -> Ints:
    """The order `[B]`, rows of equal lengths exchanged so that `fits(row, recorded row)` holds for as many as can."""
    best = order.copy()
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        free = best[rows].tolist()
        if len(free) < 2:
            continue
        for row in rows:
            chosen = next((place for place in free if fits(int(row), place)), None)
            best[row] = -1 if chosen is None else chosen
            if chosen is not None:
                free.remove(chosen)
        for row in rows[best[rows] < 0]:
            best[row] = free.pop(0)
    return best


def _compared(stated_lengths: Array, own_lengths: Ints) -> tuple[str, str, str]:
    """(kind, in words, the rule that it may be) of lengths that a call reads where others are stated."""
    difference = own_lengths - stated_lengths
    if (difference == difference[0]).all():
        by = f"{abs(int(difference[0]))} {'less' if difference[0] < 0 else 'more'} in every row"
        return "shifted", f"{by} (a mistake, unless the steps were shifted too)", "off-by-one-length"
    for stride in _STRIDES:
        for offset in range(1 - stride, stride):
            if ((stated_lengths + offset) // stride == own_lengths).all() and stated_lengths.size > 1:
                return "strided", f"divided by {stride}, as after layers that take every {stride} steps together", ""
    shortest, longest = own_lengths.min(), own_lengths.max()
    if (own_lengths == np.clip(stated_lengths, shortest, longest)).all():
        return "clamped", _cut(shortest, longest), ""
    if np.array_equal(np.sort(stated_lengths), np.sort(own_lengths)):
        return "misaligned", "the same lengths in another order of rows", "lengths-misaligned"
    return "other", "they differ", "lengths-misaligned"


def _cut(shortest: int, longest: int) -> str:
    """How lengths that lie between these two, both reached, were cut."""
    if shortest == longest:
        return f"every row is read for {longest} steps"
    return f"cut to {shortest} to {longest} steps"
