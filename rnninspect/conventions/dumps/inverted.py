"""Masks in other forms than `[B, T]`, true where a step is real: with more axes, as a number that attention adds, or
true at padding, as torch's `key_padding_mask` is, which numbers tell, and not names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rnninspect.conventions.dumps.shapes import is_mask
from rnninspect.conventions.dumps.turned_masks import holds_ends, is_turned
from rnninspect.core.batch import is_of_lengths
from rnninspect.core.evidence import Slot
from rnninspect.core.masks import of_one_head, plain_mask
from rnninspect.core.trace import Array, Bools
from rnninspect.core.wording import argument
from rnninspect.errors import ShapeError

PADDING_NAME = r"(?:.*_)?(?:key_)?pad(?:ding)?_mask|is_pad(?:ding)?"  # what such masks are mostly called


# What a note says where a run over the padding alone, beside a mask that is true at real steps, gives the same numbers.
OR_CALLED_SO = (
    "or it is true at real steps and the layer was called with the opposite, so that it read the padding alone"
)


def with_true_at_real_steps(
    slots: tuple[Slot, ...], is_by_user: bool, reversed_time_axis: int | None = None
) -> tuple[tuple[Slot, ...], str]:
    """The slots with a mask that is true at real steps, and a note where it came the other way round.

    `reversed_time_axis`: the axis along which the outputs are stored T-1 first, which no mask is; None where none is.
    A mask that only its name showed (not `is_by_user`), and of which no number tells, is left out.
    Raises ShapeError where true may be either, and a row without a true step has outputs.
    """
    masks = [s for s in slots if s.role == "mask"]
    outputs = [s.array for s in slots if s.role == "outputs" and s.array.ndim == 3]
    if len(masks) != 1 or not outputs:
        return slots, ""
    slot, added = _in_two_axes(masks[0], outputs[0])
    slots = tuple(slot if s is masks[0] else s for s in slots)
    mask = _aligned(slot.array, outputs[0])
    others = tuple(s for s in slots if s is not slot)
    shown = slot.short or "the mask"
    if mask is not None and _is_turned(mask, outputs[0], others):
        note = f"{shown} {list(mask.shape)} is read as [T, B]: its columns end where the states or lengths do"
        return (*others, replace(slot, array=slot.array.T)), "; ".join(filter(None, [added, note]))
    if mask is None or added:
        return slots, added
    stored = mask if reversed_time_axis is None else np.flip(mask, reversed_time_axis)
    told = min(_tellings(mask, stored, outputs[0], others), key=lambda told: told[0] is None, default=None)
    if told is not None and told[0] is not False:
        inverted = replace(slot, array=slot.array == 0)
        note = f"{shown}: true is read as padding, for {told[1]}"
        return (*others, inverted), note if told[0] else f"{note}; {OR_CALLED_SO}"
    if told is not None:
        return slots, ""
    by_name = re.fullmatch(PADDING_NAME, slot.name) is not None
    if by_name and not is_by_user:
        return others, ""
    if _leaves_out_a_row(mask, outputs[0]) or (by_name and _comes_behind(mask)):
        why = "its name says so" if by_name else "it has no true step in a row that has outputs"
        raise ShapeError(
            f"{shown}: true may stand for padding ({why}), and no number tells; give {argument('lengths')}, or the "
            "mask with true at real steps"
        )
    return slots, ""


def _in_two_axes(slot: Slot, outputs: Array) -> tuple[Slot, str]:
    """The mask as `plain_mask` reads it, and a note where it is a number that attention adds to its scores."""
    plain = plain_mask(slot.array)
    for rows, steps in (outputs.shape[:2], outputs.shape[1::-1]) if slot.array.ndim == 3 else ():
        plain = of_one_head(plain, rows, steps)
    plain = plain if plain.shape in (outputs.shape[:2], outputs.shape[1::-1]) else slot.array  # which a refusal names
    added = slot.array.dtype.kind != "b" and plain.dtype.kind == "b"
    shown = f"{slot.short or 'the mask'} {list(slot.array.shape)}"
    note = f"{shown} is read as added to scores: 0 at real steps, {slot.array.min():g} at padding" if added else ""
    return (slot if plain is slot.array else replace(slot, array=plain)), note


def _aligned(mask: Array, outputs: Array) -> Bools | None:
    """The mask along the first two axes of the outputs; None where it is none of them."""
    if not is_mask(mask) or mask.ndim != 2:
        return None
    if mask.shape == outputs.shape[:2]:
        return np.asarray(mask != 0)
    return np.asarray(mask.T != 0) if mask.shape == outputs.shape[1::-1] else None


def _is_turned(mask: Bools, outputs: Array, slots: Sequence[Slot]) -> bool:
    lengths = next((s.array.reshape(-1) for s in slots if s.role == "lengths"), None)
    return is_turned(mask, outputs, [s.array for s in slots if s.role == "h"], lengths)


def _tellings(mask: Bools, stored: Bools, outputs: Array, slots: Sequence[Slot]) -> Iterator[tuple[bool | None, str]]:
    """What tells whether true is padding, and how, the surest first; None where it is so or the run left out the real
    steps. `stored`: the mask along the outputs."""
    if not mask.any():
        yield True, "no step at all would be real"
    lengths = next((s.array.reshape(-1) for s in slots if s.role == "lengths"), None)
    for by_row in (mask, mask.T):
        if lengths is not None and lengths.shape == by_row.shape[:1]:
            counts = by_row.sum(1)
            if (lengths == counts).all() != (lengths == by_row.shape[1] - counts).all():
                yield bool((lengths != counts).any()), "the lengths count the steps where it is false"
    filled, blank_inputs = _filled_outputs(outputs), _blank_inputs(mask, slots)
    value = f"{outputs[filled][0, 0]:g}" if filled.any() and outputs[filled][0, 0] else "zero"
    for blank, along, what in (
        (blank_inputs, mask, "the inputs are blank"),
        (filled, stored, f"the outputs are {value}"),
    ):
        if blank is None or not blank.any() or blank.all():
            continue
        if not along.all() and (blank == along).all():
            is_so = _is_padding(mask) if blank is filled else True
            yield is_so, f"{what} where it is true, and nowhere else"
        if (blank == ~along).all():
            yield False, ""
    states = [s.array for s in slots if s.role == "h"]
    for by_row, steps in ((stored, outputs), (stored.T, outputs.swapaxes(0, 1))):
        if is_of_lengths(~by_row) and not is_of_lengths(by_row):
            if _holds_the_last(by_row, steps) and not (by_row[:, ::-1] == ~by_row).all():  # as one read backwards
                yield _whole_rows_tell(by_row) or None, "the outputs stand still where it is true"
            if _ends_before(by_row, steps, states):
                yield True, "states are the last outputs before it becomes true"
        elif by_row.any(1).all() and holds_ends(by_row, steps, states) and not holds_ends(~by_row, steps, states):
            yield False, ""


def _comes_first(mask: Bools) -> bool:
    """Whether true comes before false in every row of `[B, T]`, along one axis at least: of rows that get longer, true
    comes behind along the other."""
    return _comes_behind(~mask)


def _whole_rows_tell(mask: Bools) -> bool | None:
    """Whether true is padding by the rows `[B, T]` that are all true or all false: a batch has rows without padding,
    and seldom one that is nothing else. None where it has neither, or both."""
    full, empty = bool(mask.all(1).any()), bool((~mask).all(1).any())
    return None if full == empty else empty


def _is_padding(mask: Bools) -> bool | None:
    """Whether true is padding where the outputs are zero at true alone; None where it may as well be the real steps,
    left out: padding before the data is rare beside such a mask, and so is a row of nothing else."""
    told = None if mask.shape[0] == mask.shape[1] else _whole_rows_tell(mask)
    if _comes_first(mask):
        return told
    return None if told is False else True


def _filled_outputs(outputs: Array) -> Bools:
    """The steps `[B, T]` that are zero; where none is, those that hold another number in every unit, all the same."""
    zero = np.asarray((outputs == 0).all(-1))
    if zero.any() or outputs.shape[-1] < 2:
        return zero
    level = np.asarray((outputs == outputs[..., :1]).all(-1))
    values = outputs[level][:, :1]
    return level if len(values) > 1 and (values == values[0]).all() else zero


def _blank_inputs(mask: Bools, slots: Sequence[Slot]) -> Bools | None:
    """Where the inputs, along the mask's axes, hold one vector, that of the first step at which it is true, or false
    where that is none; None without such inputs."""
    inputs = next((s.array for s in slots if s.role == "inputs" and s.array.ndim == 3), None)
    if inputs is None:
        return None
    if inputs.shape[:2] != mask.shape:
        inputs = inputs.swapaxes(0, 1)
    if inputs.shape[:2] != mask.shape:
        return None
    for steps in (mask, ~mask):
        blank = np.asarray((inputs == inputs[steps][0]).all(-1)) if steps.sum() > 1 else None
        if blank is not None and blank[steps].all():
            return blank
    return None


def _holds_the_last(mask: Bools, outputs: Array) -> bool:
    """Whether the outputs `[B, T, H]` are what they were a step before wherever the mask is true, and not elsewhere."""
    stands = np.asarray((outputs[:, 1:] == outputs[:, :-1]).all(-1))
    behind = mask[:, 1:]
    return bool(behind.sum() > 1 and stands[behind].all() and not stands[~behind].any())


def _ends_before(mask: Bools, outputs: Array, states: Sequence[Array]) -> bool:
    """Whether states hold the last outputs `[B, T, H]` before the mask becomes true, of every row of several lengths,
    and not those of the last column.

    Ends that are alike, or zero, show nothing: Keras repeats a row's state over its padding, and along the other axis
    of a square batch that is one row's state several times. Nor do states of another number of rows than the mask's:
    what they lie at then is padding along the other axis.
    """
    counts = (~mask).sum(1)
    states = [state for state in states if len(mask) in state.shape[:-1]]
    rows = np.flatnonzero((counts > 0) & (counts < mask.shape[1]))
    if len(set(counts[rows].tolist())) < 2 or not states:
        return False
    at_ends = outputs[rows, counts[rows] - 1]
    if not at_ends.any(1).all() or len({end.tobytes() for end in at_ends}) < len(rows):
        return False
    ended, last = (
        np.logical_or.reduce([_in_any(ends, state) for state in states]) for ends in (at_ends, outputs[rows, -1])
    )
    return bool(ended.all() and not last.any())


def _in_any(ends: Array, state: Array) -> Bools:
    """`[N]`: whether each of `ends` `[N, H]`, as far as a state is wide, is among the states `[…, P]`."""
    width = min(ends.shape[1], state.shape[-1])
    among = state.reshape(-1, state.shape[-1])[:, :width]
    return np.asarray((ends[:, None, :width] == among[None]).all(-1).any(1))


def _comes_behind(mask: Bools) -> bool:
    """Whether true comes behind false in every row of `[B, T]`, whichever axis is that of time."""
    return any(is_of_lengths(~m) and not is_of_lengths(m) for m in (mask, mask.T))


def _leaves_out_a_row(mask: Bools, outputs: Array) -> bool:
    """Whether a row without a true step has outputs, where true comes behind the false steps of every row; of as many
    rows as steps, however the axes of the outputs lie."""
    if (np.diff(mask.astype(np.int8), axis=1) <= 0).all():
        return False  # as it lies it pads on the right, but for a row that is all padding
    if mask.shape[0] == mask.shape[1] and not _leaves_one_out(mask, outputs.swapaxes(0, 1)):
        return False
    return _leaves_one_out(mask, outputs)


def _leaves_one_out(mask: Bools, outputs: Array) -> bool:
    """Whether a row, along either axis, has outputs and no true step, and in all others true comes last."""
    for by_row, steps in ((mask, outputs), (mask.T, outputs.swapaxes(0, 1))):
        empty = ~by_row.any(1)
        if is_of_lengths(~by_row) and not is_of_lengths(by_row) and empty.any() and (steps[empty] != 0).any():
            return True
    return False
