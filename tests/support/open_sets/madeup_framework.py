"""A framework whose models are dicts with a function in them."""

from typing import Any

from rnninspect.invariance.function import FunctionModel
from rnninspect.invariance.model import Framework, LiveModel


def recognises(model: Any, inputs: Any) -> bool:
    return isinstance(model, dict) and "madeup" in model


def wrap(model: Any) -> LiveModel:
    return FunctionModel(model["madeup"])


FRAMEWORK = Framework("madeup", "dicts that hold a function", recognises, wrap)
