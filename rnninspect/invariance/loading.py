"""A model from what names it: a file, or package.module:name."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from typing import Any

import numpy as np

from rnninspect.errors import UnreadableError, UserError
from rnninspect.invariance.frameworks import frameworks
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
    """The model: the object, or what it makes where it is a class or a function without arguments. A torch module's
    `forward` is the module, whose layers are seen."""
    if getattr(value, "__name__", "") == "forward" and hasattr(getattr(value, "__self__", None), "state_dict"):
        return value.__self__
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
