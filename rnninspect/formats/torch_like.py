"""Writes arrays into what `torch.save` wrote: the same dicts, lists and tuples, and the dtypes of their tensors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.formats.base import ANONYMOUS
from rnninspect.formats.tree import little


def filled(tree: Any, arrays: Mapping[str, Array]) -> Any:
    """What was loaded, with the arrays `[…]` in place of the leaves of their names; None where one has no place in it.

    An array that is new stands at the top, where that is a dict.
    """
    left = dict(arrays)
    whole = _filled(tree, left, ANONYMOUS)
    if not left:
        return whole
    if not isinstance(whole, dict):
        return None
    return whole | {name: _tensor(array, None) for name, array in left.items()}


def _filled(tree: Any, left: dict[str, Array], name: str) -> Any:
    def inner(key: object, value: Any) -> Any:
        return _filled(value, left, f"{name}.{key}" if name else str(key))

    if isinstance(tree, Mapping):
        kind = OrderedDict if isinstance(tree, OrderedDict) else dict
        return kind((key, inner(key, value)) for key, value in tree.items())
    if isinstance(tree, (list, tuple)) and not (tree and all(isinstance(item, Number) for item in tree)):
        fields = getattr(tree, "_fields", None)
        items = [inner(key, value) for key, value in zip(fields or range(len(tree)), tree, strict=True)]
        return type(tree)(*items) if fields else type(tree)(items)
    array = left.pop(name, None)
    if array is None:
        return tree
    if isinstance(tree, (list, tuple)):
        return type(tree)(array.tolist())
    return array.item() if isinstance(tree, Number) else _tensor(array, tree)


def _tensor(array: Array, like: Any) -> Any:
    """The array as a tensor, of the dtype of the one that stood there."""
    import torch

    tensor = torch.from_numpy(np.array(little(array)))
    return tensor if like is None else tensor.to(like.dtype)
