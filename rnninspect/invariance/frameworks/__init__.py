"""The frameworks whose models can be checked, one file each. A new file with a FRAMEWORK is a new one."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from rnninspect.core.modules_in import modules_in
from rnninspect.errors import UserError
from rnninspect.invariance.model import Framework, LiveModel

LAST = {"torch": 1, "function": 2}


@cache
def frameworks() -> dict[str, Framework]:
    """Every framework by its name, in the order in which they are asked: torch, a backend of Keras, comes behind it,
    and functions last, since every model is called.
    """
    modules = (importlib.import_module(f"{__name__}.{name}") for name in modules_in(__path__))
    listed = [module.FRAMEWORK for module in modules if hasattr(module, "FRAMEWORK")]
    return {one.name: one for one in sorted(listed, key=lambda one: (LAST.get(one.name, 0), one.name))}


def wrapped(model: Any, inputs: Sequence[Any]) -> LiveModel:
    """The model as the check runs it. Raises UserError where it is of no kind that is known."""
    for framework in frameworks().values():
        if framework.recognises(model, inputs):
            return framework.wrap(model)
    kind = type(model)
    kinds = "; ".join(f"{one.name}: {one.models}" for one in frameworks().values())
    raise UserError(f"a {kind.__module__}.{kind.__qualname__} is not a model that can be checked; known kinds: {kinds}")
