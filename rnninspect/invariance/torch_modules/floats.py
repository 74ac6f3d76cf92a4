"""How narrow the floats are that a model computes with, whatever its inputs and results are: autocast casts within."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_WIDTHS = {torch.float16: 2, torch.bfloat16: 1}


class FloatsSeen(TorchFunctionMode):
    """While it is entered, the results of all of torch's functions are looked at, and whether autocast is on.

    `coarsest`: 4, or 2 where float16 was among them, or 1 where bfloat16 was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.coarsest = 4

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        for tensor in output if isinstance(output, (tuple, list)) else [output]:
            if isinstance(tensor, Tensor):
                self.coarsest = min(self.coarsest, _WIDTHS.get(tensor.dtype, 4), _width_of_autocast(tensor.device.type))
        return output


def _width_of_autocast(device: str) -> int:
    """That of what autocast computes in on that device; 4 where it is off, or is not known there."""
    try:
        return _WIDTHS.get(torch.get_autocast_dtype(device), 4) if torch.is_autocast_enabled(device) else 4
    except RuntimeError:
        return 4
