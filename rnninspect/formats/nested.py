"""Nested lists and objects of JSON -> named arrays: rectangular or ragged, with the place of every fault."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError
from rnninspect.formats.base import ANONYMOUS, refuse_duplicates

PADDED = "shorter ones are padded with zeros, and their lengths taken from them where none are stated"
EXACT_INTEGERS = 1 << 53  # up to which a float64 holds every whole number


def from_nested(data: Any, source: str, name: str = ANONYMOUS) -> dict[str, Array]:
    """Named arrays from lists and objects; names of nested objects are joined by dots.

    Ragged sequences are padded with zeros and their `lengths` derived, unless the object states them. Text in an object
    becomes an array of text, which whoever reads a file leaves out; null is nothing.

    >>> from_nested([[1, 2, 3], [4]], "x")["lengths"]
    array([3, 1])
    """
    data = of_samples(data, source)
    if not isinstance(data, dict):
        array, lengths = _array(data, source, name)
        return {name: array} if lengths is None else {name: array, "lengths": lengths}
    arrays: dict[str, Array] = {}
    derived: Array | None = None
    for key, value in data.items():
        path = f"{name}.{key}" if name else str(key)
        if path in arrays:
            refuse_duplicates(source, [path])
        if value is None:
            continue
        if _is_text(value):
            arrays[path] = np.asarray(value)
            continue
        if isinstance(value, dict):
            inner = from_nested(value, source, path)
            refuse_duplicates(source, [*arrays.keys() & inner.keys()])
            arrays |= inner
            continue
        arrays[path], lengths = _array(value, source, path)
        derived = lengths if lengths is not None else derived
    if derived is not None and not arrays.keys() & {"lengths", "length"}:
        arrays["lengths"] = derived
    return arrays


def of_samples(data: Any, source: str) -> Any:
    """A list of objects, one a row, as one object of lists; anything else as it is.

    >>> of_samples([{"h": [1], "length": 2}, {"h": [3], "length": 1}], "x")
    {'h': [[1], [3]], 'length': [2, 1]}

    Raises ShapeError where a row lacks a name that another has.
    """
    if not isinstance(data, list) or not data or not all(isinstance(row, dict) for row in data):
        return data
    names = dict.fromkeys(name for row in data for name in row)
    for name in names:
        lacking = [b for b, row in enumerate(data) if name not in row]
        if lacking:
            raise ShapeError(
                f"{source}[{lacking[0]}] has no {name!r}, which other rows have; each needs the same names"
            )
    return {name: [row[name] for row in data] for name in names}


def of_pair(data: Any) -> Any:
    """A list of outputs `[B, T, D*H]` and their state `[…, B, H]`, as a call returns them, as an object with the places
    for names; anything else, such as two rows, as it is.

    >>> list(of_pair([[[[1.0], [2.0]]], [[2.0]]])), of_pair([[[1.0]], [[2.0], [3.0]]])
    (['0', '1'], [[[1.0]], [[2.0], [3.0]]])
    """
    if not isinstance(data, list) or len(data) != 2:
        return data
    try:
        outputs, state = map(np.asarray, data)
    except ValueError:  # ragged
        return data
    if outputs.ndim != 3 or state.ndim < 2 or state.shape[1:] == outputs.shape[1:]:
        return data
    fits = state.shape[-2] in outputs.shape[:2] and outputs.shape[2] in (state.shape[-1], 2 * state.shape[-1])
    return {str(place): part for place, part in enumerate(data)} if fits else data


def is_ragged(data: Any) -> bool:
    """Whether the rows of a list (or of an object's lists) have different numbers of steps."""
    if isinstance(data, dict):
        return any(is_ragged(v) for v in data.values())
    if not isinstance(data, list) or not data or not all(isinstance(row, list) for row in data):
        return False
    return len({len(row) for row in data}) > 1


def row_steps(data: Any) -> Array | None:
    """`[B]`, how many steps each row of a list, or of an object's lists, is given with; None where all rows have as
    many, or the lists differ in it.

    >>> row_steps({"inputs": [[1, 2], [3]], "h": [[1], [2]]})
    array([2, 1])
    """
    data = of_samples(data, "")
    ragged = [
        value
        for value in (data.values() if isinstance(data, dict) else [data])
        if isinstance(value, list) and is_ragged(value)
    ]
    counts = {tuple(len(row) for row in value) for value in ragged}
    return np.array(counts.pop()) if len(counts) == 1 else None


def _is_text(data: Any) -> bool:
    """Whether this is a text, or a list of texts alone."""
    return isinstance(data, str) or (isinstance(data, list) and bool(data) and all(isinstance(x, str) for x in data))


def _array(data: Any, source: str, name: str) -> tuple[Array, Array | None]:
    """The array, and the lengths of its rows where they are ragged."""
    place = f"{source}: {name}" if name else source
    kinds: set[type] = set()
    largest = _only_numbers(data, place, "", kinds)
    if bool in kinds and len(kinds) > 1:
        raise ShapeError(f"{place} holds true or false among numbers; give numbers alone, or true and false alone")
    if not is_ragged(data):
        try:
            return _exact(np.asarray(data), largest, place), None
        except ValueError:
            raise ShapeError(_uneven(data, place)) from None
    lengths = np.array([len(row) for row in data])
    try:
        steps = [np.asarray(step) for row in data for step in row]
    except ValueError:
        raise ShapeError(_uneven(data, place)) from None
    shapes = {step.shape for step in steps}
    if len(shapes) > 1:
        raise ShapeError(_uneven(data, place))
    shape = shapes.pop() if shapes else ()
    padded = np.zeros((len(data), int(lengths.max()), *shape), dtype=np.result_type(*steps) if steps else float)
    for b, row in enumerate(data):
        if row:
            padded[b, : len(row)] = row
    return _exact(padded, largest, place), lengths


def _exact(array: Array, largest: int, place: str) -> Array:
    """The array; ShapeError where a whole number in it is not the one that was written, but the nearest float."""
    if array.dtype.kind == "f" and largest > EXACT_INTEGERS:
        raise ShapeError(
            f"{place} holds fractions and {largest}, and whole numbers beyond 2**53 are not exact beside them"
        )
    return array


def _only_numbers(data: Any, place: str, path: str, kinds: set[type]) -> int:
    """The largest whole number, by size; ShapeError where there is anything but numbers. `kinds` gets their types."""
    if isinstance(data, list):
        return max((_only_numbers(item, place, f"{path}[{i}]", kinds) for i, item in enumerate(data)), default=0)
    kinds.add(type(data))
    if isinstance(data, int):
        return abs(data)
    if isinstance(data, float):
        return 0
    what = "an object" if isinstance(data, dict) else "null" if data is None else f"the text {data!r}"
    raise ShapeError(f"{place}{path} is {what}; numbers are needed")


def _uneven(data: Any, place: str) -> str:
    """Which rows have steps of another number of features than most."""
    counts = [[len(step) if isinstance(step, list) else 0 for step in row] for row in data if isinstance(row, list)]
    flat = [n for row in counts for n in row]
    usual = max(set(flat), key=flat.count) if flat else 0
    bad = [f"row {b} step {t} has {n}" for b, row in enumerate(counts) for t, n in enumerate(row) if n != usual]
    shown = ", ".join(bad[:20]) + (f" (and {len(bad) - 20} more)" if len(bad) > 20 else "")
    return f"{place}: steps have different numbers of features: {shown or 'the nesting is uneven'}, most have {usual}"
