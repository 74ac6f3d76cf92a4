"""ONNX: files, messages and sessions of ONNX Runtime. Nothing of a file is executed but its graph."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from rnninspect.errors import UnreadableError
from rnninspect.invariance.model import Framework, LiveModel


def recognises(model: Any, inputs: Sequence[Any]) -> bool:
    """Whether it is a file's name, a ModelProto or an InferenceSession."""
    if isinstance(model, (str, os.PathLike)):
        return os.fspath(model).lower().endswith(".onnx")
    return type(model).__name__ in ("ModelProto", "InferenceSession", "OnnxModel")


def wrap(model: Any) -> LiveModel:
    """The model as the check runs it; UnreadableError where there is no such file."""
    from rnninspect.invariance.onnx_live import OnnxModel

    if isinstance(model, (str, os.PathLike)) and not os.path.isfile(model):
        raise UnreadableError(f"{os.fspath(model)}: no such file")
    return model if isinstance(model, OnnxModel) else OnnxModel(model)


FRAMEWORK = Framework(
    "onnx", "an .onnx file, a ModelProto or an InferenceSession; names the node", recognises, wrap, (".onnx",), wrap
)
