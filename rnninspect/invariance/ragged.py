"""Sequences without padding (packed, in a list, one behind the other) as padded arrays, and back as a model takes them.

The check changes padded arrays alone: rows are taken, put in another order and cut there. A model gets what it is given
otherwise, made anew of the real steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from rnninspect.core.arrays import is_array, to_array
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, Bools
from rnninspect.invariance.convert import like
from rnninspect.invariance.nested import last_name, mapped

_OFFSETS = regex(r"cu_?(seq)?_?len|offset|indptr|row_(splits|starts)|ptr$", re.IGNORECASE)
_PACKED = ("data", "batch_sizes", "sorted_indices", "unsorted_indices")


@dataclass(eq=False)
class Packed:
    """A PackedSequence. `padded` `[B, T, …]`, `lengths` `[B]`."""

    padded: Any
    lengths: Any

    def rebuilt(self) -> Any:
        """Packed again; in the order of the lengths where they descend."""
        from torch.nn.utils.rnn import pack_padded_sequence

        descending = bool((np.diff(to_array(self.lengths, "lengths")) <= 0).all())
        return pack_padded_sequence(self.padded, self.lengths, batch_first=True, enforce_sorted=descending)


@dataclass(eq=False)
class Rows:
    """A list with an array a row, each as long as it is."""

    padded: Any
    lengths: Any
    kind: type

    def rebuilt(self) -> Any:
        """The rows in a list, or a tuple, again."""
        return self.kind(row[: int(count)] for row, count in zip(self.padded, self.lengths, strict=True))


@dataclass(eq=False)
class Behind:
    """Rows one behind the other, `[real steps of all rows, …]`; where each begins is another argument."""

    padded: Any

    def rebuilt(self, lengths: Array) -> Any:
        """One behind the other again, of `lengths` `[B]`."""
        steps = to_array(self.padded, "the rows")
        return like(steps[np.arange(steps.shape[1]) < lengths[:, None]], self.padded)


@dataclass(eq=False)
class Offsets:
    """Where each row begins, and where the last one ends: `[B + 1]`, as the lengths `[B]`."""

    lengths: Any

    def rebuilt(self) -> Any:
        """The ends of the rows, behind a zero."""
        counts = to_array(self.lengths, "lengths")
        return like(np.concatenate([[0], np.cumsum(counts)]), self.lengths)


def padded_arguments(arguments: Mapping[str, Any], lists: bool) -> tuple[dict[str, Any], frozenset[str]]:
    """(arguments with padded arrays in the place of what is not padded, the paths of these arrays).

    `lists`: whether a list of arrays may be the rows; else it is several inputs.
    """
    ends = _offsets(arguments)
    bare: set[str] = set()
    changed = {name: _padded(value, name, lists, ends, bare) for name, value in arguments.items()}
    return changed, frozenset(bare)


def rebuilt_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as the model takes them."""
    lengths: list[Array] = []
    _each(arguments, lambda one: lengths.append(to_array(one.lengths, "lengths")) if isinstance(one, Offsets) else None)

    def back(one: Any) -> Any:
        return one.rebuilt(lengths[0]) if isinstance(one, Behind) else one.rebuilt()

    return {name: _each(value, back) for name, value in arguments.items()}


def _each(value: Any, change: Any) -> Any:
    """The same structure with `change` made to every stand-in."""
    if isinstance(value, (Packed, Rows, Behind, Offsets)):
        return change(value)
    if type(value) in (list, tuple) and not is_array(value):
        return type(value)(_each(item, change) for item in value)
    if isinstance(value, dict):
        return {key: _each(item, change) for key, item in value.items()}
    return value


def _offsets(arguments: Mapping[str, Any]) -> tuple[str, Array] | None:
    """The argument that says where rows begin that lie one behind the other, and what it says."""
    arrays: dict[str, Array] = {}

    def visit(path: str, leaf: Any) -> Any:
        arrays[path] = to_array(leaf, path)
        return leaf

    for name, value in arguments.items():
        mapped(value, visit, name)
    for path, array in arrays.items():
        rising = array.ndim == 1 and array.size > 2 and array.dtype.kind in "iu" and array[0] == 0
        if not rising or not _OFFSETS.search(last_name(path)) or not (np.diff(array.astype(np.int64)) > 0).all():
            continue
        if any(other.ndim and other.shape[0] == array[-1] for name, other in arrays.items() if name != path):
            return path, array
    return None


def _padded(value: Any, path: str, lists: bool, ends: tuple[str, Array] | None, bare: set[str]) -> Any:
    if getattr(value, "_fields", None) == _PACKED:
        from torch.nn.utils.rnn import pad_packed_sequence

        bare.add(f"{path}.padded")
        return Packed(*pad_packed_sequence(value, batch_first=True))
    if is_array(value):
        return value if ends is None else _spread(value, path, *ends, bare)
    if type(value) in (list, tuple):
        if lists and _are_rows(value):
            bare.add(f"{path}.padded")
            counts = np.array([len(row) for row in value])
            return Rows(_stacked([to_array(row, path) for row in value], value[0]), counts, type(value))
        return type(value)(_padded(item, f"{path}[{i}]", lists, ends, bare) for i, item in enumerate(value))
    if isinstance(value, dict):
        return {key: _padded(item, f"{path}[{key!r}]", lists, ends, bare) for key, item in value.items()}
    return value


def _spread(value: Any, path: str, where: str, ends: Array, bare: set[str]) -> Any:
    """An array of rows one behind the other as a padded one; the offsets themselves as lengths."""
    if path == where:
        return Offsets(like(np.diff(ends), value))
    array = to_array(value, path)
    if not array.ndim or array.shape[0] != ends[-1]:
        return value
    bare.add(f"{path}.padded")
    return Behind(_stacked([array[a:b] for a, b in pairwise(ends)], value))


def _are_rows(value: Any) -> bool:
    """Whether these are arrays of sequences that differ in their steps alone."""
    if len(value) < 2 or not all(is_array(item) for item in value):
        return False
    shapes = [tuple(item.shape) for item in value]
    return all(shapes) and len({shape[1:] for shape in shapes}) == 1 and len({shape[0] for shape in shapes}) > 1


def _stacked(rows: list[Array], beside: Any) -> Any:
    """Rows `[steps, …]` as one array `[B, T, …]`, behind the shorter ones zeros."""
    padded = np.zeros((len(rows), max(map(len, rows)), *rows[0].shape[1:]), rows[0].dtype)
    for row, steps in enumerate(rows):
        padded[row, : len(steps)] = steps
    return like(padded, beside)


def spread(array: Array, real: Bools) -> Array:
    """A result `[real steps of all rows, …]` as `[B, T, …]`; as it is where it has another shape.

    >>> spread(np.array([1, 2, 3]), np.array([[True, True], [True, False]])).tolist()
    [[1, 2], [3, 0]]
    """
    if not array.ndim or array.shape[0] != real.sum() or array.shape[0] == len(real):
        return array
    whole = np.zeros((*real.shape, *array.shape[1:]), array.dtype)
    whole[real] = array
    return whole
