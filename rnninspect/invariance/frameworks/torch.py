"""torch: modules, and functions on tensors. Importing this does not import torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rnninspect.invariance.model import Framework, LiveModel


def recognises(model: Any, inputs: Sequence[Any]) -> bool:
    """Whether it is a module, or a function that is given tensors."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return False
    return isinstance(model, torch.nn.Module) or (callable(model) and any(_holds_tensor(torch, i) for i in inputs))


def _holds_tensor(torch: Any, value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_tensor(torch, item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds_tensor(torch, item) for item in value)
    return isinstance(value, torch.Tensor)


def wrap(model: Any) -> LiveModel:
    """The module as the check runs it."""
    from rnninspect.invariance.torch_modules.live import TorchModel

    return TorchModel(model)


FRAMEWORK = Framework(
    "torch", "nn.Module, or a function on tensors; names the layer, or the code between two", recognises, wrap
)
