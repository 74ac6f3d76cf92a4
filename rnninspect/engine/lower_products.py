"""Products in TF32, as GPUs compute those of float32 numbers: factors keep 10 of their 23 bits, sums are float32.

Kernels round the factors to the nearest such number or cut their other bits off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_FACTORS: Mapping[Any, tuple[int, int]] = {torch.addmm: (1, 2), torch.baddbmm: (1, 2), torch.mm: (0, 1)}
_LOST = 13  # bits


def _cut(x: Tensor) -> Tensor:
    return (x.view(torch.int32) & (-1 << _LOST)).view(torch.float32)


def _nearest(x: Tensor) -> Tensor:
    bits = x.view(torch.int32)
    return _cut((bits + (1 << (_LOST - 1)) - 1 + ((bits >> _LOST) & 1)).view(torch.float32))


ROUNDED: Mapping[str, Callable[[Tensor], Tensor]] = {"tf32": _nearest, "tf32, cut": _cut}


class LowerProducts(TorchFunctionMode):
    """While it is entered, the factors of torch's products of float32 matrices are rounded; by a name of ROUNDED."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.rounded = ROUNDED[name]

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        factors = _FACTORS.get(function, ())
        rounded = [self.rounded(one.contiguous()) if i in factors else one for i, one in enumerate(args)]
        return function(*rounded, **(kwargs or {}))
