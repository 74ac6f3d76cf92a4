"""Keras 3, on any backend: models and layers, and `.keras` files in safe mode. Importing this does not import Keras."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from rnninspect.errors import UnreadableError
from rnninspect.invariance.model import Framework, LiveModel


def recognises(model: Any, inputs: Sequence[Any]) -> bool:
    """Whether it is a layer of Keras' (a model is one), or the name of such a file."""
    if isinstance(model, (str, os.PathLike)):
        return os.fspath(model).lower().endswith(".keras")
    return any(c.__name__ == "Layer" and c.__module__.startswith("keras.") for c in type(model).__mro__)


def wrap(model: Any) -> LiveModel:
    """The model as the check runs it."""
    from rnninspect.invariance.keras_live import KerasModel

    return KerasModel(load(os.fspath(model)) if isinstance(model, (str, os.PathLike)) else model)


def load(path: str) -> Any:
    """The model of a file. Raises UnreadableError where Keras refuses it."""
    from rnninspect.invariance import keras_live

    if not os.path.isfile(path):
        raise UnreadableError(f"{path}: no such file")
    return keras_live.load(path)


FRAMEWORK = Framework(
    "keras", "a Keras 3 model or layer, or a .keras file; names the layer", recognises, wrap, (".keras",), load
)
