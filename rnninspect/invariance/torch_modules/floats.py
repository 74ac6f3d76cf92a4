"""How narrow the floats are that a model computes with, whatever its inputs and results are: autocast casts within."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from rnninspect.invariance.precision import WIDTHS

_WIDTHS: dict[torch.dtype, int] = {getattr(torch, name): width for name, width in WIDTHS.items()}


class FloatsSeen(TorchFunctionMode):
    """While it is entered, the results of all of torch's functions are looked at, and whether autocast is on.

    `coarsest`: 8, or 4 where float32 was among it, 2 float16, 1 bfloat16; None while there was none. Whole numbers,
    as a mask of floats holds, say nothing: they are exact in all of these.
    `generates`: whether numbers were drawn of a generator of the model's own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.coarsest: int | None = None
        self.generates = False

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        self.generates = self.generates or (kwargs or {}).get("generator") is not None
        for tensor in _tensors(output):
            width = min(_WIDTHS.get(tensor.dtype, 8), _width_of_autocast(tensor.device.type))
            if tensor.dtype in _WIDTHS and width < (self.coarsest or 9) and not _is_whole(tensor):
                self.coarsest = width
        return output


def width_of_weights(weights: Iterable[Tensor]) -> int | None:
    """The narrowest floats among a module's weights; None where it has none."""
    return min((_WIDTHS[weight.dtype] for weight in weights if weight.dtype in _WIDTHS), default=None)


def _tensors(output: Any) -> list[Tensor]:
    return [one for one in (output if isinstance(output, (tuple, list)) else [output]) if isinstance(one, Tensor)]


def _is_whole(tensor: Tensor) -> bool:
    """Whether it holds whole numbers alone, infinite ones among them; what cannot be told is taken for fractions."""
    try:
        return bool((tensor == tensor.round()).all())
    except RuntimeError:
        return False


def _width_of_autocast(device: str) -> int:
    """That of what autocast computes in on that device; 8 where it is off, or is not known there."""
    try:
        return _WIDTHS.get(torch.get_autocast_dtype(device), 8) if torch.is_autocast_enabled(device) else 8
    except RuntimeError:
        return 8
