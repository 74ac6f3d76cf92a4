"""Sequences without padding (packed, in a list, one behind the other) as padded arrays, and back as a model takes them.

The check changes padded arrays alone: rows are taken, put in another order and cut there. A model gets what it is given
otherwise, made anew of the real steps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from rnninspect.core.arrays import is_array, to_array
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, Bools
from rnninspect.invariance.convert import like
from rnninspect.invariance.nested import is_leaf, last_name, mapped, mapping_like
from rnninspect.invariance.random_numbers import is_typed_key

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
    """A list with an array, or a list of numbers, a row, each as long as it is. `inner`: what a row becomes again."""

    padded: Any
    lengths: Any
    kind: Callable[[Any], Any]
    inner: type | None = None

    def rebuilt(self) -> Any:
        """The rows in a list, or a tuple, again."""
        rows = (row[: int(count)] for row, count in zip(self.padded, self.lengths, strict=True))
        return self.kind(rows if self.inner is None else (self.inner(row.tolist()) for row in rows))


@dataclass(eq=False)
class Items:
    """What holds no arrays but may have an item a row, as texts do. `at` `[B]`: which items these rows have, counted
    from behind, as no lengths are. `item`: gives one.
    """

    at: Array
    item: Callable[[int], Any]
    kind: Callable[[list[Any]], Any]

    def rebuilt(self) -> Any:
        """The items in a list, a tuple or an array again."""
        return self.kind([self.item(int(i)) for i in self.at])


@dataclass(eq=False)
class Samples:
    """A list with a mapping, or a tuple, a row. `columns`: what all of them hold, by key or place."""

    columns: dict[Any, Any]
    kind: type
    inner: type

    def rebuilt(self) -> Any:
        """The samples in a list, or a tuple, again."""
        rows = (dict(zip(self.columns, row, strict=True)) for row in zip(*self.columns.values(), strict=True))
        return self.kind(row if self.inner is dict else self.inner(row.values()) for row in rows)


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
    if isinstance(value, Samples):
        return change(replace(value, columns=_each(value.columns, change)))
    if isinstance(value, (Packed, Rows, Behind, Offsets, Items)):
        return change(value)
    if type(value) in (list, tuple) and not is_array(value):
        return type(value)(_each(item, change) for item in value)
    if isinstance(value, dict):
        return mapping_like(value, {key: _each(item, change) for key, item in value.items()})
    return value


def _offsets(arguments: Mapping[str, Any]) -> tuple[str, Array] | None:
    """The argument that says where rows begin that lie one behind the other, and what it says."""
    arrays: dict[str, Array] = {}

    def visit(path: str, leaf: Any) -> Any:
        if has_numbers(leaf):
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
    if isinstance(value, dict):
        items = {key: _padded(item, f"{path}[{key!r}]", lists, ends, bare) for key, item in value.items()}
        return mapping_like(value, items)
    if getattr(value, "_fields", None) == _PACKED:
        from torch.nn.utils.rnn import pad_packed_sequence

        bare.add(f"{path}.padded")
        return Packed(*pad_packed_sequence(value, batch_first=True))
    if is_text(value):
        return _items(value)
    if getattr(value, "is_nested", False) is True:
        rows = value.detach().unbind()
        bare.add(f"{path}.padded")
        return Rows(_stacked([to_array(row, path) for row in rows], rows[0]), _counts(rows), _nested_like(value))
    if is_array(value):
        return value if ends is None else _spread(value, path, *ends, bare)
    if type(value) in (list, tuple) and not is_leaf(value):
        if lists and _are_rows(value):
            bare.add(f"{path}.padded")
            listed = [to_array(row, path) for row in value]
            if is_array(value[0]):
                return Rows(_stacked(listed, value[0]), _counts(value), type(value))
            return Rows(_stacked(listed, listed[0]), _counts(value), type(value), type(value[0]))
        if lists and _are_samples(value):
            columns = {
                key: _padded(column, f"{path}.columns[{key!r}]", lists, ends, bare)
                for key, column in _columns(value).items()
            }
            return Samples(columns, type(value), type(value[0]))
        if value and not _holds_numbers(value):
            return _items(value)
        return type(value)(_padded(item, f"{path}[{i}]", lists, ends, bare) for i, item in enumerate(value))
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


def are_items(path: str, array: Array) -> bool:
    """Whether the array `[B]` stands for items without arrays: one of each row, or what the model is set up by."""
    return path.endswith(".at") and array.dtype.kind == "i" and bool((array < 0).all())


def is_text(value: Any) -> bool:
    """Whether it is an array of texts."""
    if not isinstance(value, np.ndarray) or not value.ndim:
        return False
    return value.dtype.kind in "US" or (value.dtype == object and all(isinstance(one, str) for one in value.flat))


def has_numbers(leaf: Any) -> bool:
    """Whether an array can be read as numbers before it is padded: it is no text, no key of jax, and not nested."""
    return not is_typed_key(leaf) and not is_text(leaf) and getattr(leaf, "is_nested", False) is not True


def _counts(rows: Any) -> Array:
    return np.array([len(row) for row in rows])


def _nested_like(value: Any) -> Callable[[Any], Any]:
    """What makes a nested tensor of rows, laid out as this one."""
    import torch

    return lambda rows: torch.nested.as_nested_tensor(list(rows), layout=value.layout)


def _items(value: Any) -> Items:
    kind = np.array if isinstance(value, np.ndarray) else type(value)
    return Items(np.arange(-len(value), 0), value.__getitem__, kind)


def _holds_numbers(value: Any) -> bool:
    """Whether a list has arrays or lists of numbers in it, at any depth."""
    if is_leaf(value) or is_dataclass(value):
        return True
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return any(_holds_numbers(part) for part in parts)


def _are_samples(value: Any) -> bool:
    """Whether these are mappings, or tuples, that hold the same things each, one of which is a sequence of its own
    length."""
    kinds = {type(item) for item in value}
    if len(value) < 2 or len(kinds) != 1 or not kinds <= {dict, list, tuple}:
        return False
    alike = len({tuple(item) if isinstance(item, dict) else len(item) for item in value}) == 1
    return alike and any(_are_rows(column) for column in _columns(value).values())


def _columns(samples: Any) -> dict[Any, list[Any]]:
    """What samples hold, by key or place."""
    keys = samples[0] if isinstance(samples[0], dict) else range(len(samples[0]))
    return {key: [sample[key] for sample in samples] for key in keys}


def _are_rows(value: Any) -> bool:
    """Whether these are sequences that differ in their steps alone."""
    if len(value) < 2 or not (all(map(is_array, value)) or all(type(item) is list and is_leaf(item) for item in value)):
        return False
    shapes = [np.shape(item) if type(item) is list else tuple(item.shape) for item in value]
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
