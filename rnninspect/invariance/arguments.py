"""What a model is called with: its arguments by name, and every array among them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from rnninspect.core.arrays import to_array
from rnninspect.errors import UserError
from rnninspect.invariance.batch import Input
from rnninspect.invariance.model import LiveModel
from rnninspect.invariance.nested import mapped
from rnninspect.invariance.ragged import has_numbers

_LENGTHS, _MASK = ("lengths", "length", "lens"), ("mask",)


def arguments_of(
    live: LiveModel, inputs: Sequence[Any], options: Mapping[str, Any], lengths: Any, mask: Any
) -> dict[str, Any]:
    """The arguments by name; lengths and masks that were stated as arrays are passed on where there is a place.

    Raises UserError where the model does not take these inputs.
    """
    arguments = live.bind(inputs, options)
    free = [name for name in live.free() if name not in arguments]
    for value, names in ((lengths, _LENGTHS), (mask, _MASK)):
        if value is None or isinstance(value, (str, Mapping)) or _has(arguments, value):
            continue
        if isinstance(value, (list, tuple)) and any(isinstance(item, str) for item in value):
            continue
        exact = [name for name in free if name in names]
        alike = [name for name in free if any(word[:3] in name for word in names)]
        for name in (exact or alike)[:1]:
            arguments[name] = _beside(value, [*inputs, *options.values()])
    return arguments


def _has(arguments: Mapping[str, Any], value: Any) -> bool:
    """Whether the very numbers are among the arguments already."""
    array = to_array(value, "lengths")
    return any(one.array.shape == array.shape and (one.array == array).all() for one in inputs_of(arguments))


def _beside(value: Any, inputs: Sequence[Any]) -> Any:
    """Lengths as a tensor beside tensors, else as they are."""
    beside = next((one for one in inputs if hasattr(one, "detach")), None)
    if beside is None or hasattr(value, "detach"):
        return value
    import torch

    return torch.as_tensor(np.array(value))


def inputs_of(arguments: Mapping[str, Any], bare: Collection[str] = ()) -> list[Input]:
    """Every array among the arguments; `bare`: the paths of those that the model gets without their padding.

    Raises UserError where there is none.
    """
    leaves: list[Input] = []

    def visit(path: str, leaf: Any) -> Any:
        if has_numbers(leaf):
            leaves.append(Input(path, np.array(to_array(leaf, path)), leaf, bare=path in bare))
        return leaf

    for name, value in arguments.items():
        mapped(value, visit, name)
    if not leaves:
        raise UserError("no arrays were given: call it with what the model is called with")
    return leaves
