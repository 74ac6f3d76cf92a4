"""Functions on arrays, whatever their framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnninspect.invariance.function import FunctionModel
from rnninspect.invariance.model import Framework, LiveModel


def recognises(model: Any, inputs: Sequence[Any]) -> bool:
    """Whether it can be called."""
    return callable(model)


def wrap(model: Any) -> LiveModel:
    """The function as the check runs it."""
    return FunctionModel(model)


FRAMEWORK = Framework("function", "any function on arrays; names no layer", recognises, wrap)
