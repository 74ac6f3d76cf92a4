"""Subclasses of torch's layers with a forward of their own: what they call of torch's is recorded in its place.

`super().forward(…)` passes every hook by. While such a layer is being recorded, the forward of torch's class is
wrapped; the wrapper calls it, and tells those who listen. It is put back when nobody does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch import nn

Listener = Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]
_TORCHS = (nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell)
_listening: dict[type, list[Listener]] = {}
_forwards: dict[type, Any] = {}


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
    """Tells the listener of every call of these classes' own forward, until the stack closes."""
    for kind in kinds:
        if not _listening.get(kind):
            _listening[kind], _forwards[kind] = [], kind.__dict__["forward"]
            kind.forward = _telling(kind, _forwards[kind])  # type: ignore[attr-defined]
        _listening[kind].append(listener)
        hooks.callback(_stop, kind, listener)


def _telling(kind: type, forward: Any) -> Any:
    @functools.wraps(forward)
    def told(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        output = forward(self, *args, **kwargs)
        for listener in tuple(_listening[kind]):
            listener(self, args, kwargs, output)
        return output

    return told


def _stop(kind: type, listener: Listener) -> None:
    _listening[kind].remove(listener)
    if not _listening[kind]:
        kind.forward = _forwards.pop(kind)  # type: ignore[attr-defined]
