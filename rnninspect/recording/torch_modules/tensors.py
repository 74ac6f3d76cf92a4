"""Tensors: copies of them, their bytes, and those that a module computes with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def copied(value: Any) -> Any:
    """Every tensor in tuples and PackedSequences as a copy of its own, without gradient; None stays None."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, tuple):
        parts = [copied(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def size(value: Any) -> int:
    """Bytes of every tensor in tuples and PackedSequences."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    return sum(map(size, value)) if isinstance(value, tuple) else 0


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """The tensors that the module computes with, those of replicas too; none of quantised ones."""
    if isinstance(module, nn.RNNBase):
        named = zip(module._flat_weights_names, module._flat_weights, strict=True)
    else:
        named = ((n, getattr(module, n, None)) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))  # type: ignore[assignment]
    return {name: tensor.detach() for name, tensor in named if isinstance(tensor, Tensor)}


def autocast(device: str) -> str:
    """The dtype that autocast computes in on that device; empty where it is off."""
    try:
        if not torch.is_autocast_enabled(device):
            return ""
        return str(torch.get_autocast_dtype(device)).removeprefix("torch.")
    except RuntimeError:  # a device that has none
        return "a lower precision" if torch.is_autocast_enabled() else ""
