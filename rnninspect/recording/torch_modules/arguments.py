"""Which arguments of a model's forwards hold lengths, and whether it has such arguments at all."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from rnninspect.core.full_lengths import FULL
from rnninspect.errors import UnknownNameError


def argument_names(lengths: Any) -> set[str]:
    """The arguments of a forward that hold lengths."""
    values = lengths.values() if isinstance(lengths, Mapping) else (lengths,)
    return {value for value in values if isinstance(value, str) and value != FULL}


def parameters(module: nn.Module) -> Mapping[str, inspect.Parameter]:
    """The arguments of its forward."""
    try:
        return inspect.signature(module.forward).parameters
    except (TypeError, ValueError):
        return {}


def check_names(lengths: Any, model: nn.Module) -> None:
    """Raise UnknownNameError where lengths name an argument that no forward in the model has; it lists the model's."""
    there = {name for module in model.modules() for name in parameters(module)}
    for name in sorted(argument_names(lengths) - there):
        raise UnknownNameError("argument of forward for lengths", name, list(parameters(model)))
