"""What the caller, or the inputs' names, say of which steps are real: lengths and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from rnninspect.core.arrays import to_array
from rnninspect.core.full_lengths import FULL
from rnninspect.core.masks import is_additive, plain_mask
from rnninspect.core.names_of_lengths import LENGTHS_NAME, MASK_NAME, PAD_IS_TRUE, runs_on, says_padding
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, Bools
from rnninspect.core.wording import argument
from rnninspect.errors import ShapeError, UnknownNameError
from rnninspect.invariance.batch import Input
from rnninspect.invariance.nested import last_name

_PLAIN_NAME = regex(r"len(s|gth|gths)?$")  # no width, size or step that may count something else


@dataclass(frozen=True, eq=False)
class Sequences:
    """One statement of what is real: lengths `[B]`, or a mask; `name`: the input that states it; `target`: of which."""

    values: Array
    is_mask: bool = False
    name: str | None = None
    target: str | None = None
    relative: bool = False

    @property
    def rows(self) -> int:
        return int(self.values.shape[0])

    @property
    def longest(self) -> int:
        """The fewest steps that the time axis can have."""
        if self.is_mask:
            return int(self.values.shape[1])
        return 1 if self.relative else int(self.values.max(initial=1))


def find_input(inputs: Sequence[Input], name: str, what: str) -> Input:
    """The input of that path, argument or key. Raises UnknownNameError, which lists those that there are."""
    for match in (lambda path: path == name, lambda path: last_name(path) == name):
        hits = [one for one in inputs if match(one.path)]
        if hits:
            return hits[0]
    by_number = regex(r"inputs\[(\d+)\]").fullmatch(name)  # of a model whose inputs have names that it made up
    if by_number and int(by_number[1]) < len(inputs):
        return inputs[int(by_number[1])]
    raise UnknownNameError(f"input for {what}", name, [one.path for one in inputs])


def statements(inputs: Sequence[Input], lengths: Any, mask: Any) -> list[Sequences]:
    """What the caller says of the rows' real steps, else what the inputs' names say; none where nothing does.

    Raises UnknownNameError on a name that no input has, ShapeError on lengths or masks of another form.
    """
    if isinstance(lengths, str) and lengths == FULL:
        return []
    sequences: list[Sequences] = []
    if isinstance(lengths, Mapping):
        for target, value in lengths.items():
            path = find_input(inputs, str(target), "lengths").path
            sequences += [replace(one, target=path) for one in _lengths(inputs, value)]
    elif isinstance(lengths, (list, tuple)) and lengths and all(isinstance(v, str) for v in lengths):
        sequences = [one for name in lengths for one in _lengths(inputs, name)]
    elif lengths is not None:
        sequences = _lengths(inputs, lengths)
    if isinstance(mask, Mapping):
        for target, value in mask.items():
            path = find_input(inputs, str(target), "mask").path
            sequences += [replace(one, target=path) for one in _mask(inputs, value)]
    elif mask is not None:
        sequences += _mask(inputs, mask)
    elif lengths is None:
        alike = [one for one in inputs if LENGTHS_NAME.search(last_name(one.path))]
        named = [one for one in alike if _is_lengths(one)]
        wrong = [one for one in alike if _PLAIN_NAME.search(last_name(one.path)) and _is_negative(one)]
        if wrong and not named:
            _refuse_no_lengths(wrong[0])
        sequences = [sequence for one in named for sequence in _named(one)]
        if not sequences:
            masks = [i for i in inputs if MASK_NAME.search(last_name(i.path)) and is_mask(i.array)]
            masks = [i for i in masks if not _is_causal(i.array)]
            by_content = _by_content(inputs) if not masks else []
            sequences = [one for i in by_content for one in _named(i)]
            sequences += [one for i in _of_their_own(inputs, masks) or masks[:1] for one in _mask(inputs, i.path)]
    elif sequences and sequences[0].name and not isinstance(lengths, (Mapping, list, tuple)):
        more = [i for i in inputs if LENGTHS_NAME.search(last_name(i.path)) and _is_lengths(i)]
        beside = [one for i in more if i.path != sequences[0].name for one in _named(i)]
        sequences += [one for one in beside if one.rows == sequences[0].rows]
    rows = {one.rows for one in sequences}
    if len(rows) > 1:
        listed = ", ".join(f"{one.name or 'what is given'} of {one.rows}" for one in sequences)
        raise ShapeError(
            f"lengths and masks speak of {', '.join(map(str, sorted(rows)))} rows ({listed}); one count is needed: "
            f"where one of them is neither, name the one that is, {argument('lengths', sequences[0].name or '…')}"
        )
    return sequences


def _by_content(inputs: Sequence[Input]) -> list[Input]:
    """Whole numbers `[B]` behind which, in every shorter row of an input, one value stands that no row ends with."""
    return [one for one in inputs if _is_lengths(one) and any(_ends_rows(one.array, data.array) for data in inputs)][:1]


def _ends_rows(lengths: Array, data: Array) -> bool:
    if data.ndim < 2 or lengths.ndim != 1 or data.shape[0] != len(lengths) or lengths.dtype.kind not in "iu":
        return False
    steps = data.shape[1]
    short = [(row[:n], row[n:]) for row, n in zip(data, lengths.tolist(), strict=True) if n < steps]
    if len(short) < 2 or not (lengths.min() > 0 and lengths.max() == steps):
        return False
    filling = short[0][1][0]
    return all((behind == filling).all() and not (real[-1] == filling).all() for real, behind in short)


def _of_their_own(inputs: Sequence[Input], masks: Sequence[Input]) -> list[Input]:
    """The masks that are named after an input, of which there are two or more: `source_mask` beside `source`."""
    names = {last_name(one.path) for one in inputs}
    stems = {MASK_NAME.sub("_", last_name(one.path)).strip("_"): one for one in reversed(masks)}
    named = [one for stem, one in reversed(stems.items()) if stem in names]
    return named if len(named) > 1 else []


def _named(one: Input) -> list[Sequences]:
    values = one.array.reshape(one.array.shape[0], -1)[:, 0]
    relative = values.dtype.kind == "f" and bool((values <= 1).all())
    return [Sequences(values, name=one.path, relative=relative)]


def _is_lengths(one: Input) -> bool:
    array = one.array
    if array.ndim == 2 and 1 in array.shape and array.size > 1:
        array = array.reshape(-1)
    parts = array.dtype.kind == "f" and bool(((array > 0) & (array <= 1)).all())
    whole = array.dtype.kind in "iu" or parts or (array.dtype.kind == "f" and bool((array == np.floor(array)).all()))
    return array.ndim == 1 and array.size > 0 and whole and bool((array >= 0).all())


def _is_negative(one: Input) -> bool:
    """Whether it is a whole number a row, one of which is below 0."""
    whole = one.array.ndim == 1 and one.array.dtype.kind in "if" and bool((one.array == np.floor(one.array)).all())
    return whole and bool((one.array < 0).any())


def _refuse_no_lengths(one: Input) -> NoReturn:
    """Raise ShapeError: what an input that was named holds is no lengths."""
    array = one.array
    if array.size and array.dtype.kind in "if" and max(array.shape, default=1) == array.size:
        raise ShapeError(f"lengths must be whole numbers from 0; {one.path} holds {array.ravel().tolist()[:8]}")
    raise ShapeError(f"{one.path} has shape {list(array.shape)}, {array.dtype}: there is one length per row")


def _lengths(inputs: Sequence[Input], value: Any) -> list[Sequences]:
    if isinstance(value, str):
        one = find_input(inputs, value, "lengths")
        if is_mask(one.array) and one.array.ndim > 1:
            return _mask(inputs, value)
        if not _is_lengths(one):
            _refuse_no_lengths(one)
        return _named(one)
    array = to_array(value, "lengths")
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim != 1 or not array.size:
        raise ShapeError(f"lengths has shape {list(array.shape)}; one number per row is needed: [B]")
    broken = array.dtype.kind == "f" and bool((array != np.floor(array)).any())  # NaN among them
    if (broken and not (array <= 1).all()) or (array < 0).any():
        raise ShapeError(f"lengths must be whole numbers from 0, got {array.tolist()[:8]}")
    relative = array.dtype.kind == "f" and bool((array <= 1).all()) and bool((array != np.floor(array)).any())
    for one in inputs:  # the array that the model itself is given
        if _is_lengths(one) and one.array.size == array.size:
            shape = one.array.reshape(-1)
            if (shape == array).all():
                return [Sequences(array, name=one.path, relative=relative)]
            if shape.dtype.kind == "f" and np.allclose(shape, array / array.max(initial=1)):
                return [Sequences(array, name=one.path)]
    return [Sequences(array, relative=relative)]


def is_mask(array: Array) -> bool:
    """Whether an array `[…]` may be a mask: of truth values, of 0 and 1, or added to scores."""
    return array.ndim >= 2 and (array.dtype.kind == "b" or bool(np.isin(array, (0, 1)).all()) or is_additive(array))


def _is_causal(array: Array) -> bool:
    """Whether it is a mask `[T, T]` of which steps see which, before or behind them, rather than one `[B, T]`."""
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
        return False
    lower = np.tril(np.ones(array.shape, bool))
    truth = np.asarray(array == 0 if is_additive(array) else array, bool)
    return any(bool((truth == one).all()) for one in (lower, ~lower, lower.T, ~lower.T))


def turned(sequences: Sequence[Sequences]) -> list[Sequences]:
    """The same with masks read as `[T, B]`; empty where there is none, or they are of unequal rows then."""
    masks = [replace(one, values=one.values.T) if one.is_mask else one for one in sequences]
    return masks if any(one.is_mask for one in sequences) and len({one.rows for one in masks}) == 1 else []


def _seen_steps(mask: Array) -> Bools | None:
    """`[B, T]`: the steps that any step sees, of a mask `[B, T, T]`; None where it does not show whether True hides:
    every row's first step sees itself, or every row's last one.
    """
    if mask.ndim != 3 or mask.shape[1] != mask.shape[2]:
        return None
    truth = np.asarray(mask == 0 if is_additive(mask) else mask, bool)
    first, last = truth[:, 0, 0], truth[:, -1, -1]
    side = next((end for end in (first, last) if end.all() or not end.any()), None)
    if side is None:
        return None
    return np.asarray((truth if side[0] else ~truth).any(1))


def _mask(inputs: Sequence[Input], value: Any) -> list[Sequences]:
    name = find_input(inputs, value, "mask").path if isinstance(value, str) else None
    array = find_input(inputs, value, "mask").array if isinstance(value, str) else to_array(value, "mask")
    added, shape = is_additive(array), array.shape
    array = plain_mask(array)
    seen = _seen_steps(array)
    if seen is not None:
        return [Sequences(seen, True, name)]
    if array.ndim == 3 and any(one.array.shape[:3] == array.shape and one.path != name for one in inputs):
        hides = name is not None and bool(PAD_IS_TRUE.search(last_name(name)))
        return [Sequences(np.asarray((array == 0 if hides else array != 0).any(2)), True)]  # of the words of each step
    if array.ndim != 2:
        raise ShapeError(f"mask has shape {list(shape)}; one value per row and step is needed: [B, T]")
    if added:
        return [Sequences(array, True, name)]
    truth = array.astype(bool)
    if not runs_on(truth) and not runs_on(~truth) and (runs_on(truth.T) or runs_on(~truth.T)):
        truth = truth.T  # [T, B]
    if name is not None and says_padding(truth, last_name(name)):
        truth = ~truth
    if not truth[:, 0].any() and not truth[:, -1].all() and truth.any():
        raise ShapeError(
            "mask: no row begins, and not every row ends, with a real step; it must be True where a step is real"
        )
    return [Sequences(truth, True, name)]
