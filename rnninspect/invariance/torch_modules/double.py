"""A copy of a torch module in float64."""

from __future__ import annotations

import copy

from torch import nn

from rnninspect.invariance.torch_modules.live import TorchModel


def in_double(live: TorchModel) -> TorchModel | None:
    """The module copied, its weights and buffers in float64; None of a function, or of what cannot be copied."""
    if not isinstance(live.called, nn.Module):
        return None
    try:
        return TorchModel(copy.deepcopy(live.called).double())
    except Exception:  # a module may refuse either for reasons of its own
        return None
