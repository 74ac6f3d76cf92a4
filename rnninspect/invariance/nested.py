"""What a model is given and returns, whatever nests it: visited array by array, and flat lists of arrays."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from rnninspect.core.arrays import holds_arrays, is_array, padded, to_array
from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError

Visit = Callable[[str, Any], Any]
_NUMBERS = (int, float)


def is_leaf(value: Any) -> bool:
    """Whether it is an array of any framework, or a list of numbers alone, arrays without axes among them.

    >>> is_leaf(np.zeros(2)), is_leaf([3, 1]), is_leaf([[3], [1, 2]]), is_leaf("ab"), is_leaf([np.array(3)])
    (True, True, False, False, True)
    """
    if is_array(value):
        return True
    return type(value) in (list, tuple, range) and len(value) > 0 and all(_is_number(v) for v in value)


def _is_number(value: Any) -> bool:
    if isinstance(value, np.generic):
        return value.dtype.kind in "fiub"
    return (isinstance(value, _NUMBERS) and value is not True) or (is_array(value) and value.shape == ())


def mapped(value: Any, visit: Visit, path: str = "") -> Any:
    """The same structure with `visit(path, leaf)` in place of every leaf; what holds no numbers stays as it is."""
    if is_leaf(value):
        return visit(path, value)
    if isinstance(value, Mapping):
        return mapping_like(
            value, {k: mapped(v, visit, f"{path}[{k!r}]" if path else str(k)) for k, v in value.items()}
        )
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(v, visit, _attribute(path, k)) for k, v in zip(value._fields, value, strict=True)))
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(v, visit, f"{path}[{i}]") for i, v in enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = copy.copy(value)
        for item in dataclasses.fields(value):
            replaced = mapped(getattr(value, item.name), visit, _attribute(path, item.name))
            object.__setattr__(changed, item.name, replaced)
        return changed
    if holds_attributes(value):
        changed = copy.copy(value)
        for name, part in vars(value).items():
            object.__setattr__(changed, name, mapped(part, visit, _attribute(path, name)))
        return changed
    return value


def holds_attributes(value: Any) -> bool:
    """Whether it is a plain object with arrays for attributes, as a batch often is; nothing that can be called.

    >>> from types import SimpleNamespace
    >>> holds_attributes(SimpleNamespace(x=np.zeros(2))), holds_attributes(SimpleNamespace(name="x"))
    (True, False)
    """
    if callable(value) or not hasattr(value, "__dict__"):
        return False
    return any(is_array(part) or holds_arrays(part) for part in vars(value).values())


def _attribute(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def mapping_like(value: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """The items in a mapping of the same kind, where that can be made."""
    if type(value) is dict:
        return items
    try:
        changed: Any = copy.copy(value)
        for key, item in items.items():
            changed[key] = item
        return changed
    except Exception:  # it takes no items, or cannot be copied
        kind: Any = type(value)
    try:
        return kind(items)
    except Exception:  # its items are what counts
        return items


def last_name(path: str) -> str:
    """The last key or attribute of a path.

    >>> last_name("batch['lengths']"), last_name("x"), last_name("state[0]")
    ('lengths', 'x', 'state')
    """
    head = path
    while head.endswith("]") and head[head.rindex("[") + 1 : -1].isdigit():
        head = head[: head.rindex("[")]
    if head.endswith("]"):
        return head[head.rindex("[") + 1 : -1].strip("'\"")
    return head.rpartition(".")[2]


def flat(value: Any, row_lists: Collection[str] = ()) -> dict[str, Array]:
    """Every array of a result by its path; what holds no numbers is left out.

    `row_lists`: the paths of lists with an item a row; they are stacked as one array, behind the shorter ones zeros.
    """
    arrays: dict[str, Array] = {}
    _collect(value, "", row_lists, arrays)
    return arrays


def _collect(value: Any, path: str, row_lists: Collection[str], arrays: dict[str, Array]) -> None:
    if path in row_lists and isinstance(value, list):
        rows = _rows(value)
        if rows is not None:
            arrays[path] = rows
            return

    def visit(inner: str, leaf: Any) -> Any:
        with suppress(ShapeError):  # complex numbers, objects: nothing that is compared
            arrays[inner] = to_array(leaf, inner or "the result")
        return leaf

    if path not in row_lists and isinstance(value, list) and not is_leaf(value):
        for i, item in enumerate(value):
            _collect(item, f"{path}[{i}]", row_lists, arrays)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _collect(item, f"{path}[{key!r}]" if path else str(key), row_lists, arrays)
    elif isinstance(value, tuple) and not hasattr(value, "_fields") and not is_leaf(value):
        for i, item in enumerate(value):
            _collect(item, f"{path}[{i}]", row_lists, arrays)
    elif isinstance(value, (bool, *_NUMBERS)) and not is_array(value):
        arrays[path] = np.asarray(value)
    else:
        mapped(value, visit, path)


def _rows(value: list[Any]) -> Array | None:
    """A list with an item a row as one array, or None where the items cannot be put together."""
    try:
        return padded(value, "rows")[0]
    except ShapeError:
        return None


def lists_of(value: Any, rows: int, path: str = "") -> set[str]:
    """The paths of lists that hold as many items as there are rows."""
    names: set[str] = set()
    if isinstance(value, list) and len(value) == rows and value and not is_leaf(value):
        names.add(path)
    if isinstance(value, Mapping):
        items = [(f"{path}[{k!r}]" if path else str(k), v) for k, v in value.items()]
    elif isinstance(value, (list, tuple)) and not is_leaf(value):
        items = [(f"{path}[{i}]", v) for i, v in enumerate(value)]
    else:
        items = []
    return names.union(*(lists_of(v, rows, p) for p, v in items))
