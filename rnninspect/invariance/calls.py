"""The ways in which a model may be called with the arrays of a batch, the likeliest first.

Arrays go to the arguments of their names. Where a model takes one argument, it may be the array, or the whole batch as
a mapping or a tuple; and a function may want tensors of torch: only running it tells.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import UserError
from rnninspect.formats.base import ANONYMOUS
from rnninspect.invariance.frameworks import wrapped


@dataclass(frozen=True, eq=False)
class Call:
    """What a model is called with. `aside`: the batch's arrays that it takes no argument for; `unnamed`: those that the
    call has no names for. `note`: what was assumed.
    """

    kwargs: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Any, ...] = ()
    aside: Mapping[str, Array] = field(default_factory=dict)
    note: str = ""
    unnamed: Mapping[str, Array] = field(default_factory=dict)


def calls_of(model: Any, arrays: Mapping[str, Array]) -> Iterator[Call]:
    """Every way to call the model with these arrays. Raises UserError where no array has the name of an argument."""
    if not _is_torch(model):
        yield from _of_function(model, arrays)
        return
    tensors = _tensors(arrays, _dtype_of(model))
    yield _by_name(arrays, tensors, _parameters(model))
    batch = _needed(_parameters(model))
    if len(batch) == 1 and len(arrays) > 1 and batch[0] not in arrays:
        yield from _as_a_whole(arrays, tensors, batch[0])


def _of_function(model: Any, arrays: Mapping[str, Array]) -> Iterator[Call]:
    """A function's: arrays of numpy, else tensors where torch is there."""
    names = list(wrapped(model, ()).free())
    named = {key: array for key, array in arrays.items() if key in names}
    aside = {key: array for key, array in arrays.items() if key not in names}
    alone = not named and len(arrays) == 1
    if not named and not alone:
        _refuse(arrays, names)
    yield Call({}, tuple(arrays.values())) if alone else Call(named, (), aside)
    if "torch" in sys.modules and inspect.isroutine(model):
        note = "was called with torch's tensors: it takes no numpy arrays"
        tensors = _tensors(arrays if alone else named)
        yield Call({}, tuple(tensors.values()), note=note) if alone else Call(tensors, (), aside, note)


def _as_a_whole(arrays: Mapping[str, Array], tensors: Mapping[str, Any], name: str) -> Iterator[Call]:
    """The batch as the one argument `name`: a mapping, then a tuple in the file's order."""
    inner = {key.removeprefix(f"{name}."): tensor for key, tensor in tensors.items()}
    whole, held = f"was called with the whole batch as {name}", ", ".join(inner)
    yield Call({name: inner}, note=f"{whole}, a mapping of {held}")
    yield Call({name: tuple(inner.values())}, note=f"{whole}, a tuple of {held}", unnamed=arrays)


def arguments_taken(model: Any) -> list[str]:
    """The names of the arguments that the model takes."""
    return [*_parameters(model)] if _is_torch(model) else list(wrapped(model, ()).free())


def _parameters(model: Any) -> Mapping[str, inspect.Parameter]:
    from rnninspect.invariance.torch_modules.live import unwrapped

    return inspect.signature(unwrapped(model).forward).parameters


def _is_torch(model: Any) -> bool:
    """Whether it is a module of torch, and no layer of Keras, which is one on its torch backend."""
    keras = sys.modules.get("keras")
    return _is_module(model) and not (keras is not None and isinstance(model, keras.Layer))


def _is_module(model: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _dtype_of(model: Any) -> Any:
    import torch

    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def _tensors(arrays: Mapping[str, Array], dtype: Any = None) -> dict[str, Any]:
    """The arrays as tensors; floats in this dtype, where one is given."""
    import torch

    tensors = {key: torch.from_numpy(np.array(array)) for key, array in arrays.items()}
    if dtype is None:
        return tensors
    return {key: tensor.to(dtype) if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}


def _by_name(
    arrays: Mapping[str, Array], tensors: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter]
) -> Call:
    """Each tensor for the argument of its name; one that is no length and no mask for the one argument needed."""
    if list(arrays) == [ANONYMOUS]:
        return Call({}, tuple(tensors.values()))
    named = {key: tensor for key, tensor in tensors.items() if key in parameters}
    needed = _needed(parameters)
    missing = [name for name in needed if name not in named]
    aside = {key: array for key, array in arrays.items() if key not in parameters}
    if missing == needed and len(needed) == 1:
        data = [key for key in aside if "len" not in key and "mask" not in key]
        if len(data) == 1:
            rest = {key: array for key, array in aside.items() if key != data[0]}
            return Call({**named, needed[0]: tensors[data[0]]}, (), rest)
        if not named:
            return next(_as_a_whole(arrays, tensors, needed[0]))
    if missing and not all("len" in name or "mask" in name for name in missing):
        _refuse(arrays, list(parameters))
    return Call(named, (), aside)


def _needed(parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    """The arguments without a default."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, p in parameters.items() if p.default is p.empty and p.kind in kinds]


def _refuse(arrays: Mapping[str, Array], names: Any) -> None:
    held = ", ".join(f"{key or 'an array without a name'} {list(array.shape)}" for key, array in arrays.items())
    raise UserError(f"the batch holds {held}, but the model takes {', '.join(names)}: give the arrays these names")
