"""A model from what names it, and a batch's arrays as what it is called with."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError, UserError
from rnninspect.formats.base import ANONYMOUS
from rnninspect.invariance.frameworks import frameworks, wrapped
from rnninspect.invariance.model import one_line

_TORCH_FILES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")


def load_model(name: str, weights: str | None = None) -> Any:
    """The model of a file, or of `package.module:name`: a model, a class or a function that makes one.

    `weights`: a torch model's state dict, to be loaded into it. Raises UnreadableError where the file is missing, of no
    kind that can be loaded without running code that it holds, or the name leads nowhere.
    """
    suffix = os.path.splitext(name)[1].lower()
    for framework in frameworks().values():
        if suffix in framework.suffixes and framework.load is not None:
            if os.path.isdir(name):
                raise UnreadableError(f"{name} is a folder: name the model's file")
            if not os.path.isfile(name):
                raise UnreadableError(f"{name}: no such file")
            if weights is not None:
                raise UserError(f"{name} brings its own weights: leave out the file of weights, {weights}")
            return framework.load(name)
    if suffix in _TORCH_FILES:
        raise UnreadableError(
            f"{name}: a torch file holds weights, or code that is never run; name what makes the model, "
            "package.module:name, and the file as its weights"
        )
    module, colon, path = name.partition(":")
    if not colon or not path:
        suffixes = ", ".join(s for f in frameworks().values() for s in f.suffixes)
        raise UnreadableError(f"{name}: neither a model file ({suffixes}) nor package.module:name")
    model = _made(_imported(module, path, name), name)
    if weights is not None:
        _load_weights(model, weights)
    return model


def _imported(module: str, path: str, name: str) -> Any:
    """The object; its module is looked for in the working directory too, as `python -m` does."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        value: Any = importlib.import_module(module)
        for part in path.split("."):
            value = getattr(value, part)
        return value
    except (Exception, SystemExit) as error:  # whatever the user's own module raises as it is imported
        raise UnreadableError(f"{name}: {one_line(error)}") from None
    finally:
        sys.path.remove(folder)


def _made(value: Any, name: str) -> Any:
    """The model: the object, or what it makes where it is a class or a function without arguments."""
    makes = isinstance(value, type) or (inspect.isfunction(value) and not _needs_arguments(value))
    if not makes:
        return value
    try:
        return value()
    except (Exception, SystemExit) as error:
        raise UserError(f"{name} cannot be called without arguments: {one_line(error)}") from None


def _needs_arguments(function: Any) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(p.kind is not p.VAR_KEYWORD and p.default is p.empty for p in parameters)


def _load_weights(model: Any, path: str) -> None:
    from rnninspect.formats import read_arrays

    if not hasattr(model, "load_state_dict"):
        raise UserError(f"weights are loaded into torch modules, not into a {type(model).__name__}")
    import torch

    arrays = read_arrays(path).arrays
    try:
        model.load_state_dict({key: torch.from_numpy(np.array(array)) for key, array in arrays.items()})
    except RuntimeError as error:
        raise UserError(f"{path}: {one_line(error)}") from None


def arguments_of(model: Any, arrays: Mapping[str, Array]) -> tuple[dict[str, Any], list[Any], dict[str, Array]]:
    """(keyword arguments, positional ones, arrays that the model takes no argument for).

    Arrays go to the arguments of their names; one array without a name, and arrays for a model with one argument alone,
    go there. Raises UserError where no array has the name of an argument.
    """
    if _is_torch(model):
        return _for_torch(model, arrays)
    names = list(wrapped(model, ()).free())
    named = {key: array for key, array in arrays.items() if key in names}
    if not named and len(arrays) == 1:
        return {}, list(arrays.values()), {}
    if not named:
        _refuse(arrays, names)
    return named, [], {key: array for key, array in arrays.items() if key not in names}


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


def _for_torch(model: Any, arrays: Mapping[str, Array]) -> tuple[dict[str, Any], list[Any], dict[str, Array]]:
    import torch

    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    tensors = {key: torch.from_numpy(np.array(array)) for key, array in arrays.items()}
    tensors = {key: tensor.to(dtype) if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
    parameters = _parameters(model)
    if list(arrays) == [ANONYMOUS]:
        return {}, list(tensors.values()), {}
    named = {key: tensor for key, tensor in tensors.items() if key in parameters}
    needed = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    missing = [name for name in needed if name not in named]
    aside = {key: array for key, array in arrays.items() if key not in parameters}
    if missing == needed and len(needed) == 1:
        data = [key for key in aside if "len" not in key and "mask" not in key]
        if len(data) == 1:
            named[needed[0]] = tensors[data[0]]
            return named, [], {key: array for key, array in aside.items() if key != data[0]}
        if not named:
            return {}, [tensors], {}
    if missing and not all("len" in name or "mask" in name for name in missing):
        _refuse(arrays, list(parameters))
    return named, [], aside


def _refuse(arrays: Mapping[str, Array], names: Any) -> None:
    held = ", ".join(f"{key or 'an array without a name'} {list(array.shape)}" for key, array in arrays.items())
    raise UserError(f"the batch holds {held}, but the model takes {', '.join(names)}: name the arrays so")
