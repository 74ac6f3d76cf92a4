"""What is stated about a call's rows, held against the call: lengths or a mask that fit it, or why none do."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rnninspect.core.arrays import is_array, rank, to_array
from rnninspect.core.full_lengths import FULL
from rnninspect.core.masks import plain_mask
from rnninspect.core.names_of_lengths import rows_by_name
from rnninspect.core.trace import Array, Bools, Ints
from rnninspect.errors import ShapeError, UnknownNameError, UserError

_HIDES = ("padding_mask", "pad_mask")  # how torch's own masks end that are True where a step is padding


@dataclass(frozen=True, eq=False)
class Stated:
    """What was stated for one call, as it came.

    `value`: lengths `[B]`, a mask `[B, T]`, `full`, or None. `exact`: it speaks of this very layer, not of whatever the
    model reads. `name`: the argument that held it. `missing`: why there is none, though some were asked for;
    `nowhere`: no other call was given any either.
    `times`: the sizes of the first two axes of the tensors beside that argument, by which it may be another's.
    `direct`: the layer reads one of these tensors as it is, so that what counts its steps counts the layer's too.
    `beside`: where nothing was stated, arguments with names of lengths and masks.
    """

    value: Any = None
    exact: bool = False
    name: str = ""
    missing: str = ""
    nowhere: bool = False
    times: tuple[tuple[int, int], ...] = ()
    direct: bool = False
    beside: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Settled:
    """What is taken for a call of `[B, T]`: lengths `[B]` or a mask `[B, T]`, or neither.

    `order`: `[B]`, the recorded row of every row of the user's batch, where the model sorted its rows. `open`: why
    nothing that agrees with itself is proven, in words. `notes`: what a reader should know. `hint`: the rule whose
    mistake would look like this, where right code may look like it too. `kept`: `[B']`, True for the rows of the user's
    batch that the call read, where those without a step were left out of it.
    """

    lengths: Ints | None = None
    mask: Array | None = None
    order: Ints | None = None
    open: str = ""
    notes: tuple[str, ...] = field(default=())
    hint: str = ""
    kept: Bools | None = None


def by_names(stated_lengths: Stated, rows: int, steps: int) -> Settled:
    """What the arguments' names say where nothing was stated; nothing where they are another sequence's."""
    read = rows_by_name(stated_lengths.beside, rows, steps) if rows > 1 else None
    if read is None:
        return Settled()
    name, array = read
    if array.ndim == 2:
        return Settled(mask=array, notes=(f"the mask is read from the argument {name}",))
    if not _belongs(array, rows, steps, stated_lengths.times):
        return Settled()
    return Settled(lengths=array, notes=(f"the lengths are read from the argument {name}",))


def by_name(value: Any, name: str) -> Any:
    """A mask that an argument of this name holds, True where a step is real: torch's `key_padding_mask` is inverted."""
    array = to_array(value, name)
    return array if array.ndim < 2 or not name.endswith(_HIDES) else array == 0


def settle(stated_lengths: Stated, rows: int, steps: int, called: str) -> Settled:
    """What is stated for a call of `[rows, steps]` that brings no lengths of its own. `called`: which call, in words.

    Raises ShapeError where an exact statement does not fit the call, UserError on a name.
    """
    if stated_lengths.missing:
        return Settled(open=stated_lengths.missing)
    value = stated_lengths.value
    if value is None:
        return by_names(stated_lengths, rows, steps)
    kept = rows_read(value, rows)
    if kept is not None:
        return with_rows_left_out(
            settle(replace(stated_lengths, value=to_array(value)[kept]), rows, steps, called), kept
        )
    if isinstance(value, str) and value == FULL:
        return Settled(lengths=np.full(rows, steps))
    _refuse_name(value)
    numbers = _counted(to_array(value, "lengths"), rows, steps)
    whole = numbers.reshape(rows, -1) if numbers.ndim > 1 and numbers.size == rows else numbers
    mask = _as_mask(numbers, rows, steps)
    if mask is not None:
        return Settled(mask=mask)
    if whole.size != rows:
        why = f"{_described(stated_lengths, numbers)}, but {called} has {rows} rows and {steps} steps"
        if not _count_the_other_axis(numbers, rows, steps):
            return _unfit(stated_lengths, why)
        crossed = f"{why}: if they count its rows, it was given [B, T, F] for [T, B, F], or the other way round"
        return _unfit(stated_lengths, crossed, "batch-time-swapped")
    lengths = whole.reshape(-1)
    if not stated_lengths.exact and lengths.dtype.kind in "iuf" and lengths.size and lengths.max() > steps:
        return _unfit(
            stated_lengths,
            f"{_described(stated_lengths, numbers)} up to {lengths.max():g}, but {called} has {steps} steps",
        )
    if stated_lengths.name and not _belongs(lengths, rows, steps, stated_lengths.times):
        return _unfit(
            stated_lengths,
            f"{called} has {steps} steps, as no tensor beside {stated_lengths.name} has, or only another than the one "
            f"that {stated_lengths.name} (up to {lengths.max():g}) counts",
        )
    return Settled(lengths=lengths)


def rows_read(value: Any, rows: int) -> Bools | None:
    """`[B']`: the rows of lengths `[B']` or a mask `[B', T]` that have a step, where a call read so many `rows` and the
    batch has more: those without one were left out of it. None where they are not so many."""
    if value is None or isinstance(value, str):
        return None
    numbers = to_array(value, "lengths")
    if numbers.ndim not in (1, 2) or len(numbers) <= rows:
        return None
    has_steps = numbers.reshape(len(numbers), -1).any(1)
    return np.asarray(has_steps) if int(has_steps.sum()) == rows else None


def with_rows_left_out(settled: Settled, kept: Bools) -> Settled:
    """What is taken for the rows that a call read, of which `kept` `[B']` are the batch's: the others were left out."""
    note = f"rows without a step were left out of the call: row i is row {np.flatnonzero(kept).tolist()[:12]}[i]"
    return replace(settled, kept=kept, notes=(*settled.notes, f"{note} of the batch"))


def states_read(final_state: Any, rows: int, kept: Bools | None) -> Any:
    """The state that the user's code took, `[B', H]` or `[L*D, B', H]`, or h and c of it, without the rows of the batch
    that the call did not read: as `kept` says, else those that are zero, if so many `rows` are left."""
    if isinstance(final_state, (tuple, list)):
        parts = [states_read(part, rows, kept) for part in final_state]
        return final_state if all(a is b for a, b in zip(parts, final_state, strict=True)) else tuple(parts)
    if final_state is None or not is_array(final_state) or rank(final_state) not in (2, 3):
        return final_state
    state = to_array(final_state, "final_state")
    size = state.shape[-2]
    if size <= rows or not state.size:
        return final_state
    which = np.asarray(state.reshape(-1, size, state.shape[-1]).any((0, 2))) if kept is None else kept
    return state[..., which, :] if which.size == size and rows == int(which.sum()) else final_state


def in_proportion(stated_lengths: Stated, inputs: Array, called: str) -> Settled | None:
    """What lengths `[B]` in another unit (frames, characters) say of a call with `inputs` `[B, T, F]`: their share of
    the longest. None where they are no such lengths, or where the inputs do not show them: at least two rows that are
    shorter must end in one and the same input, which is then padding, and no row may begin with it.
    """
    rows, steps = inputs.shape[:2]
    numbers = np.empty(0) if stated_lengths.value is None else to_array(stated_lengths.value, "lengths").reshape(-1)
    if numbers.size != rows or numbers.dtype.kind not in "iuf" or numbers.max(initial=0) <= steps:
        return None
    lengths = np.ceil(numbers * steps / numbers.max()).astype(np.int64)
    last = inputs[lengths < steps, -1]
    if len(last) < 2 or (last != last[0]).any() or (inputs[:, 0] == last[0]).all(-1).any():
        return None
    note = (
        f"{called} has {steps} steps, lengths up to {numbers.max():g} are stated: taken in proportion, as "
        f"{lengths.tolist()[:12]}, for the rows that are shorter end in one and the same input"
    )
    return Settled(lengths=lengths, notes=(note,))


def _refuse_name(value: Any) -> None:
    if isinstance(value, str) and value != FULL:
        raise UserError(
            f"lengths={value!r}: an argument is read as it is called, so name it in record(lengths={value!r}); "
            "give numbers here, one per row"
        )


def _counted(numbers: Array, rows: int, steps: int) -> Array:
    """Lengths as numbers of steps: shares of the longest row, in (0, 1] with a 1 among them, are multiplied out."""
    shares = numbers.dtype.kind == "f" and numbers.size == rows and (numbers != np.floor(numbers)).any()
    if not shares or not (numbers.min() > 0 and numbers.max() == 1):
        return numbers
    return np.asarray(np.rint(numbers * steps), dtype=np.int64)


def _as_mask(numbers: Array, rows: int, steps: int) -> Array | None:
    """`[B, T]`, True = real, where the numbers can be one (in `[B, T]`, `[T, B]`, or with axes of one)."""
    numbers = plain_mask(numbers) if numbers.ndim > 1 else numbers
    if numbers.ndim < 2 or numbers.size != rows * steps or (numbers.size == rows and numbers.dtype.kind != "b"):
        return None
    if not np.isin(numbers, (0, 1)).all():
        return None
    squeezed = numbers.reshape([n for n in numbers.shape if n != 1] or [1])
    if (rows, steps) != squeezed.shape and squeezed.shape == (steps, rows):
        squeezed = squeezed.T
    return np.asarray(squeezed.reshape(rows, steps) != 0)


def _described(stated_lengths: Stated, numbers: Array) -> str:
    who = stated_lengths.name or "lengths"
    return f"{who} has {numbers.size} values" if numbers.ndim < 2 else f"{who} is {numbers.shape}"


def _count_the_other_axis(numbers: Array, rows: int, steps: int) -> bool:
    """Whether there is a length for every step, and none counts more than there are rows: batch and time exchanged."""
    return numbers.shape == (steps,) and numbers.dtype.kind in "iu" and 0 < numbers.max(initial=0) <= rows


def _unfit(stated_lengths: Stated, why: str, hint: str = "") -> Settled:
    if stated_lengths.exact:
        raise ShapeError(why)
    return Settled(open=why, hint=hint)


def _belongs(lengths: Array, rows: int, steps: int, times: tuple[tuple[int, int], ...]) -> bool:
    """Whether an argument's lengths count the steps of this call: by the time axes of the tensors beside it."""
    axes = {b if a == rows else a for a, b in times if rows in (a, b)}
    if not axes or steps == lengths.max(initial=0):
        return True
    return steps in axes and not any(other == lengths.max(initial=0) for other in axes - {steps})


def stated_for(
    lengths: Any, name: str, layers: list[str] | None = None, values: Mapping[str, Any] | None = None
) -> Stated:
    """What is stated for the call of a layer of that name. `layers`: those of the model, where they are to be checked.

    `values`: the arguments that a name may stand for, copied; None where names cannot be read. Raises UnknownNameError
    where lengths are given for a layer that the model lacks, UserError where they are a name that cannot be read.
    """
    by_layer = isinstance(lengths, Mapping)
    if by_layer and layers is not None:
        unknown = [key for key in lengths if key not in layers]
        if unknown:
            raise UnknownNameError("recurrent layer for lengths", str(unknown[0]), layers)
    stated_values = list(lengths.values()) if by_layer else [lengths]
    for value in stated_values:
        if values is None and ((isinstance(value, str) and value != FULL) or callable(value)):
            raise UserError(f"lengths={value!r}: here lengths are given as numbers [B], as a mask [B, T], or 'full'")
    value = lengths.get(name) if by_layer else lengths
    if isinstance(value, str) and value != FULL and values is not None:
        if value not in values:
            return Stated(
                missing=f"its lengths were to be read from {value}, which the call was not given", nowhere=True
            )
        return Stated(values[value], by_layer, value)
    if value is None and values:
        return Stated(beside=values)
    return Stated(copy.copy(value), by_layer or (isinstance(value, str) and value == FULL))
