"""The hooks: what recurrent layers read and return, taken in as it passes, with nothing changed.

They are torch's global ones, which see every call of a module, also those of its replicas in DataParallel, and leave no
trace on a model: it is copied and saved as ever. `torch.compile` takes hooks in, or leaves them out, when it compiles:
while hooks are registered, compiled models therefore run uncompiled.
"""

from __future__ import annotations

import sys
import threading
import warnings
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as module_of_hooks
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from rnninspect.errors import UserError
from rnninspect.recording.asked import asked_for
from rnninspect.recording.base import Wanted
from rnninspect.recording.torch_modules.arguments import Forward, check_lengths, look_up
from rnninspect.recording.torch_modules.calls import CELLS
from rnninspect.recording.torch_modules.own_forward import has_own_forward, listen, torchs_class
from rnninspect.recording.torch_modules.store import Recorded, Store

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


class Session:
    """One recording of torch's models."""

    def __init__(self, wanted: Wanted) -> None:
        self._store = Store(wanted)
        self._open = False
        self._model: nn.Module | None = None
        self._layers: dict[int, nn.Module] = {}  # holds them, so that no other module gets their key
        self._walked: dict[int, Any] = {}
        self._local = threading.local()
        self._listened: set[int] = set()  # subclasses that have called torch's forward
        self._forwards = 0
        self._hooks = ExitStack()

    def begin(self, model: nn.Module | None, hooks: ExitStack) -> None:
        """Hook the model, or every module of this process; UserError where the model holds no recurrent layer."""
        if model is not None:
            self._model = _unwrapped(model)
            self._know(self._model)
            _refuse_scripted(self._model, bool(self._layers))
            check_lengths(self._store.lengths, self._model, list(self._store.names.values()))
        self._open = True
        hooks.callback(self._hooks.close)
        if model is None or compiling():
            _uncompiled(hooks)
        kinds = {torchs_class(m) for m in self._layers.values() if has_own_forward(m)}
        listen({k for k in kinds if k is not None}, self._inner, hooks)
        hooks.callback(register_module_forward_pre_hook(self._enter).remove)
        handle = register_module_forward_hook(self._leave, with_kwargs=True, always_call=True)
        hooks.callback(_forget, handle)

    def state_lengths(self, lengths: Any) -> None:
        """State the lengths of the calls to come; UserError where they name what is not there."""
        if self._model is not None:
            check_lengths(lengths, self._model, list(self._store.names.values()))
        self._store.lengths = lengths

    def close(self) -> None:
        """End the session: calls from here on are not kept."""
        self._open = False
        self._store.close()

    def calls(self) -> tuple[Recorded, ...]:
        """What was kept so far."""
        return self._store.calls()

    def skipped(self) -> dict[str, int]:
        """By layer, how many calls were not kept."""
        return self._store.skipped()

    def unseen(self) -> dict[str, str]:
        """By layer, why none of its calls was kept."""
        return {self._store.names.get(key, "?"): why for key, why in self._store.unseen.items()}

    def _know(self, model: nn.Module) -> None:
        """Learn the names of the recurrent layers in a model."""
        for name, module in model.named_modules():
            if is_recurrent(module):
                key = _key(module)
                self._layers.setdefault(key, module)
                self._store.names.setdefault(key, _plain(name) or type(module).__name__)

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """A forward begins, whose arguments may hold lengths."""
        if not self._open or is_recurrent(module):
            return
        stack = self._stack()
        if not stack:
            self._forwards += 1
            self._local.forward = self._forwards
        asked = asked_for(self._store.lengths)
        begun = Forward(id(module), len(self._store.kept))
        if asked or not isinstance(self._store.lengths, str):
            begun.values, begun.tensors = look_up(asked, module, args, _keywords(), not stack)
        stack.append(begun)

    def _leave(self, module: nn.Module, args: tuple[Any, ...], *rest: Any) -> None:
        """A call ends: of a layer it is taken in; of another module, the calls within learn its arguments."""
        if not self._open:
            return
        kwargs, output = rest if len(rest) == 2 else ({}, None)  # torch leaves the keywords out where a forward failed
        if is_recurrent(module):
            self._saw(module, args, kwargs, output)
            return
        stack = self._stack()
        while stack and stack[-1].module != id(module):
            stack.pop()  # a forward that was broken off: torch calls no hook after a KeyboardInterrupt
        if not stack:
            return
        begun = stack.pop()
        if self._model is None and not stack:
            self._walk(module)
        for kept in self._store.kept[begun.start :]:
            if kept.thread == threading.get_ident():
                self._store.learn(kept, begun)

    def _walk(self, module: nn.Module) -> None:
        """Learn the names of an outermost module's layers, once."""
        key = _key(module)
        if key not in self._walked:
            self._walked[key] = module._forward_hooks
            for name, inner in _unwrapped(module).named_modules():
                if is_recurrent(inner):
                    self._store.names[_key(inner)] = _plain(name) or type(inner).__name__

    def _saw(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        key = _key(module)
        if key not in self._layers and (self._model is not None or not self._meet(key, module)):
            return
        if not has_own_forward(module):
            self._take(key, module, args, kwargs, output)
        elif key not in self._listened:
            class_name = type(module).__name__
            self._store.unseen[key] = (
                f"{class_name} has a forward of its own, which calls none of torch's layers' or cells'"
            )

    def _meet(self, key: int, module: nn.Module) -> bool:
        """A layer of whatever runs in this process: named by its class until a model around it is known."""
        self._layers[key] = module
        self._store.names.setdefault(key, self._unused(type(module).__name__))
        base = torchs_class(module)
        if has_own_forward(module) and base is not None:
            listen({base}, self._inner, self._hooks)
        return True

    def _inner(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """A subclass with a forward of its own has called torch's."""
        key = _key(module)
        if key in self._layers and has_own_forward(module):
            self._listened.add(key)
            self._store.unseen.pop(key, None)
            self._take(key, module, args, kwargs, output)

    def _take(self, key: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Passed over: a call that failed, a tracer's or exporter's pass, which holds no numbers."""
        if output is None or not self._open or torch.compiler.is_compiling() or torch._C._get_tracing_state():
            return
        inputs = args[0] if args else kwargs.get("input", kwargs.get("x"))
        state = args[1] if len(args) > 1 else kwargs.get("hx")
        forward = getattr(self._local, "forward", 0) if self._stack() else 0
        self._store.take(key, module, inputs, state, output, forward)

    def _stack(self) -> list[Forward]:
        """The forwards of this thread that have begun, the outermost first."""
        if not hasattr(self._local, "stack"):
            self._local.stack = []
        stack: list[Forward] = self._local.stack
        return stack

    def _unused(self, name: str) -> str:
        """`LSTM`, then `LSTM 2`, …: a name for a layer that was called outside any other module."""
        taken = set(self._store.names.values())
        count = 1
        while (unused := name if count == 1 else f"{name} {count}") in taken:
            count += 1
        return unused


def is_recurrent(module: nn.Module) -> bool:
    """Whether it is a layer or a cell of torch's, quantised ones too."""
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return True
    quantised: Any = sys.modules.get("torch.ao.nn.quantized.dynamic.modules.rnn")
    return quantised is not None and isinstance(module, quantised.RNNBase) and module.mode in CELLS


def _forget(handle: Any) -> None:
    """Remove a global hook, and the mark `with_kwargs` that torch's own `remove` leaves behind."""
    handle.remove()
    getattr(module_of_hooks, "_global_forward_hooks_with_kwargs", {}).pop(handle.id, None)


def _keywords() -> dict[str, Any]:
    """The keywords of the call that torch runs a hook for: it gives global hooks before a call only the rest."""
    caller = sys._getframe(2).f_locals.get("kwargs")
    return dict(caller) if isinstance(caller, dict) else {}


def _key(module: nn.Module) -> int:
    """Which module it is: by its table of hooks, which a copy of it does not share, and its replicas do."""
    return id(module._forward_hooks)


def _plain(name: str) -> str:
    """The name without what torch.compile puts in.

    >>> _plain("encoder._orig_mod.rnn")
    'encoder.rnn'
    """
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def _refuse_scripted(model: nn.Module, has_layers: bool) -> None:
    scripted = [m for m in model.modules() if isinstance(m, torch.jit.ScriptModule)]
    if not has_layers or any(getattr(m, "original_name", "") in ("LSTM", "GRU", "RNN") for m in scripted):
        why = "its layers are scripted, and hooks do not run there: record it before torch.jit.script"
        raise UserError(
            f"no nn.LSTM, nn.GRU, nn.RNN or cell can be recorded: {why if scripted else 'the model holds none'}"
        )


def compiling() -> bool:
    """Whether anything was compiled yet in this process; to import the compiler takes seconds."""
    return "torch._dynamo" in sys.modules


def _uncompiled(hooks: ExitStack) -> None:
    """Compiled models run uncompiled until the stack closes."""
    hooks.callback(_without(warnings.filters, _filtered()))
    hooks.enter_context(torch.compiler.set_stance("force_eager"))


def _filtered() -> Any:
    """Silence what torch says of global hooks on compiled modules, which counts calls of wrappers alone."""
    warnings.filterwarnings("ignore", "Using `torch.compile.*global hooks", UserWarning)
    return warnings.filters[0]


def _without(filters: Any, one: Any) -> Any:
    return lambda: filters.remove(one) if one in filters else None


def _unwrapped(model: nn.Module) -> nn.Module:
    """The model within torch.compile's and DataParallel's wrappers, under which its layers have their own names."""
    inner = getattr(model, "_orig_mod", None) or (model.module if isinstance(model, _WRAPPERS) else None)
    return _unwrapped(inner) if isinstance(inner, nn.Module) else model
