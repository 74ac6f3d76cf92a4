"""Which steps are real in one reading: its lengths and its mask, and whether inputs fit beside them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnninspect.conventions.dumps.turned_masks import holds_ends
from rnninspect.conventions.dumps.unpacking import are_shares
from rnninspect.core.batch import check_lengths, check_mask, is_of_lengths, resolve_mask
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.full_lengths import FullLengths
from rnninspect.core.masks import plain_mask
from rnninspect.core.trace import Array, Bools, Ints
from rnninspect.errors import ShapeError


def read_mask(
    by_role: Mapping[Role, tuple[Slot, ...]],
    rows: int,
    steps: int,
    time_major: bool,
    strict: bool,
    full: FullLengths | None,
) -> tuple[Bools, Ints | None, bool]:
    """The mask, the lengths, and whether what was stated of them fits.

    What the user states must fit the stated axes (`strict`); on swapped axes lengths of another count fall away.
    """
    lengths = by_role["lengths"][0].array if by_role["lengths"] else None
    mask = by_role["mask"][0].array if by_role["mask"] else None
    if full == "stated" or (full and lengths is None and mask is None):
        lengths, mask = np.full(rows, steps), None
    if lengths is not None and are_shares(lengths):
        lengths = np.rint(lengths * steps)
    if mask is not None:
        mask = _without_steps_beyond(plain_mask(mask), rows, steps)
    if mask is not None and mask.shape != (rows, steps) and mask.shape == (steps, rows):
        if not strict and _counts_other_rows(mask) and not _ends_show(mask.T, by_role, time_major):
            return np.ones((rows, steps), dtype=np.bool_), None, False
        mask = mask.T if time_major or not strict or _counts_other_rows(mask.T) else mask
    try:
        if lengths is not None:
            check_lengths(lengths, rows)
        if mask is not None:
            check_mask(mask if mask.shape == (rows, steps) else by_role["mask"][0].array, rows, steps)
    except ShapeError:
        if strict:
            raise
        return np.ones((rows, steps), dtype=np.bool_), None, False
    real, lengths_read = resolve_mask(rows, steps, lengths, mask)
    return real, lengths_read, True


def _without_steps_beyond(mask: Array, rows: int, steps: int) -> Array:
    """A mask `[B, W]` or `[W, B]` of inputs that are wider than the outputs, cut to their T steps where none is real
    beyond: what is cut to the longest row has left out padding alone."""
    if mask.ndim != 2 or mask.dtype.kind not in "biuf":
        return mask
    if mask.shape[0] == rows and mask.shape[1] > steps and not mask[:, steps:].any():
        return mask[:, :steps]
    if mask.shape[1] == rows and mask.shape[0] > steps and rows != mask.shape[0] and not mask[steps:].any():
        return mask[:steps]
    return mask


def _counts_other_rows(mask: Array) -> bool:
    """Whether a mask `[m, n]` is one of m rows, each real from its first step on, and of n rows would have holes: it
    speaks of other axes, as lengths `[m]` do."""
    values = np.asarray(mask)
    if values.dtype.kind not in "biuf":
        return False
    real = values.astype(np.bool_)
    return is_of_lengths(real) and not is_of_lengths(real.T)


def _ends_show(mask: Array, by_role: Mapping[Role, tuple[Slot, ...]], time_major: bool) -> bool:
    """Whether the states hold the outputs where the rows of a mask `[B, T]` end, of which one ends before the last
    step: it speaks of these axes, though it has holes along them."""
    outputs, states = by_role["outputs"], [slot.array for slot in by_role["h"]]
    if len(outputs) != 1 or outputs[0].array.ndim != 3 or mask[:, -1].all():
        return False
    array = outputs[0].array
    return holds_ends(np.asarray(mask, dtype=np.bool_), array.swapaxes(0, 1) if time_major else array, states)


def inputs_fit(
    by_role: Mapping[Role, tuple[Slot, ...]], rows: int, steps: int, time_major: bool, exactly: bool = False
) -> bool:
    """Whether the inputs, where given, have these rows and steps along the same axes; `exactly`: and no more steps."""
    shapes = [s.array.shape[:2][:: -1 if time_major else 1] for s in by_role["inputs"] if s.array.ndim > 1]
    return all(shape[0] == rows and (shape[1] == steps or (shape[1] > steps and not exactly)) for shape in shapes)


def turned_note(by_role: Mapping[Role, tuple[Slot, ...]], rows: int, steps: int, time_major: bool) -> str:
    """That a mask was read as `[T, B]` beside outputs `[B, T, H]`."""
    turned = [s for s in by_role["mask"] if s.array.shape == (steps, rows) != (rows, steps) and not time_major]
    return f"{turned[0].short or 'the mask'} [{steps}, {rows}] is read as [T, B]" if turned else ""


def share_note(by_role: Mapping[Role, tuple[Slot, ...]]) -> str:
    """That lengths were read as shares of T."""
    lengths = by_role["lengths"]
    return f"{lengths[0].name} are read as fractions of T" if lengths and are_shares(lengths[0].array) else ""
