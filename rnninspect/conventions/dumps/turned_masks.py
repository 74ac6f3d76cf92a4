"""A mask `[T, B]` beside as many rows as steps, which its shape does not show, and the states do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnninspect.core.batch import is_of_lengths
from rnninspect.core.trace import Array, Bools, last_true


def is_turned(mask: Bools, outputs: Array, states: Sequence[Array], lengths: Array | None) -> bool:
    """Whether a square mask is `[T, B]`: its columns begin with the real steps, and end, or count, where the states, or
    the lengths, say, and the outputs are blank where they are false, and nowhere else, which they are not so by its
    rows. Beside columns without holes they need not be blank, where by its rows none ends at a state."""
    turned = mask.T
    if mask.shape[0] != mask.shape[1] or (turned == mask).all():
        return False
    counts_steps = is_of_lengths(turned)
    if not turned.any(1).all() or not (counts_steps or lengths is None):
        return False
    if lengths is not None and lengths.shape == mask.shape[:1]:
        counts, ends = mask.sum(1), np.where(mask.any(1), last_true(mask) + 1, 0)
        as_it_lies = bool(((lengths == counts) | (lengths == ends)).all())
        return not as_it_lies and bool((lengths == turned.sum(1)).all())
    both = outputs, outputs.swapaxes(0, 1)
    unturned = [steps for steps in both if holds_ends(mask, steps, states)]
    ended = [steps for steps in both if holds_ends(turned, steps, states)]
    if any(_pads_where_false(mask, steps) for steps in unturned):
        return False
    if any(_pads_where_false(turned, steps) for steps in ended):
        return True  # ends as it lies are held by what repeats behind a row's own
    if unturned:
        return False
    for steps in ended if counts_steps else ():
        blank = _blank_steps(steps)
        if blank is not None and not blank.any():
            return True
    if not counts_steps:
        return False
    has_holes = not (is_of_lengths(mask) or is_of_lengths(mask[:, ::-1]))
    return has_holes and len(mask) > 3 and any(holds_ends(np.ones_like(mask), steps, states) for steps in both)


def _pads_where_false(by_row: Bools, outputs: Array) -> bool:
    """Whether the outputs `[B, T, H]` are blank where `by_row` `[B, T]` is false, and nowhere else."""
    blank = _blank_steps(outputs)
    return blank is not None and bool((blank == ~by_row).all())


def _blank_steps(outputs: Array) -> Bools | None:
    """`[B, T]`: where the outputs `[B, T, H]` are zero, or what they were a step before; None where they stand still
    from row to row: they were padded along the other axis."""
    if ((outputs[1:] == outputs[:-1]) & (outputs[1:] != 0)).all(-1).any():
        return None
    blank = np.asarray((outputs == 0).all(-1))
    blank[:, 1:] |= (outputs[:, 1:] == outputs[:, :-1]).all(-1)
    return blank


def holds_ends(by_row: Bools, outputs: Array, states: Sequence[Array]) -> bool:
    """Whether a state holds the outputs `[B, T, H]` at the last real step of every row that has one, as far as one
    direction of two goes; ends that are alike, or zero, show nothing."""
    rows = np.flatnonzero(by_row.any(1))
    ends = outputs[rows, last_true(by_row)[rows]]
    units = max(1, outputs.shape[-1] // 2)
    if not ends.any(1).all() or len({end.tobytes() for end in ends}) < len(rows):
        return False
    return any(_among(ends[:, :units], state) for state in states if state.ndim > 1)


def _among(ends: Array, state: Array) -> bool:
    """Whether each of `ends` `[N, H]`, as far as the state is wide, is among the states `[…, P]`."""
    width = min(ends.shape[1], state.shape[-1])
    held = {row.tobytes() for row in state.reshape(-1, state.shape[-1])[:, :width].astype(ends.dtype)}
    return all(end.tobytes() in held for end in ends[:, :width])
