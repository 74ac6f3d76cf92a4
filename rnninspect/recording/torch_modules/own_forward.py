"""Subclasses of torch's layers with a forward of their own: what they call of torch's is recorded in its place.

`super().forward(…)` passes every hook by: while such a layer is recorded, the forward of torch's class is wrapped.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch import nn

from rnninspect.recording.wrapping import wrap

Listener = Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]
_TORCHS = (nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell)


def torchs_class(module: nn.Module) -> type | None:
    """Which of torch's layers and cells it is, or is derived from."""
    return next((kind for kind in type(module).__mro__ if kind in _TORCHS), None)


def has_own_forward(module: nn.Module) -> bool:
    """Whether it computes something else than torch's class, or is derived from their common base alone.

    Quantised layers have a base of their own, and are recorded as they are.
    """
    kind = torchs_class(module)
    if kind is None:
        return isinstance(module, (nn.RNNBase, nn.RNNCellBase))
    return type(module).forward is not kind.forward  # type: ignore[attr-defined]


def listen(kinds: set[type], listener: Listener, hooks: ExitStack) -> None:
    """Tell the listener of every call of these classes' own forward, until the stack closes."""

    def told(forward: Any, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        listener(module, args, kwargs, output)
        return output

    for kind in kinds:
        wrap(kind, "forward", told, hooks)
