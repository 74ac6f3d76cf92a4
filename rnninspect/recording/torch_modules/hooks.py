"""The hooks: what recurrent layers read and return, copied as it passes, with nothing changed.

Forward hooks see every call of a module, also those of its replicas in DataParallel. `torch.compile` takes hooks in, or
leaves them out, when it compiles: while hooks are registered, compiled models therefore run uncompiled.
"""

from __future__ import annotations

import inspect
import threading
import weakref
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from rnninspect.core.arrays import to_array
from rnninspect.core.full_lengths import FULL
from rnninspect.errors import ShapeError, UserError
from rnninspect.recording.base import Where
from rnninspect.recording.torch_modules.arguments import argument_names, check_names, parameters
from rnninspect.recording.torch_modules.calls import Call, Layer, copied, same, weights_of
from rnninspect.recording.torch_modules.loops import Loop, kind

Recorded = Call | Loop
_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


@dataclass(eq=False)
class _Kept:
    """A recorded call without its place yet: `lengths` as stated at the call, `arguments` of the forwards around it."""

    key: str
    call: Recorded
    thread: int
    lengths: Any
    arguments: dict[str, Any] = field(default_factory=dict)


class Store:
    """Takes in calls from any thread. A layer is known by a key; its name may be learned later."""

    def __init__(self, lengths: Any, limit: int | None) -> None:
        self.lengths = lengths
        self.limit = limit
        self.open = True
        self.names: dict[str, str] = {}
        self._kept: list[_Kept] = []
        self._count: Counter[str] = Counter()
        self._more: Counter[str] = Counter()
        self._weights: dict[str, dict[str, Tensor]] = {}
        self._loops: dict[tuple[str, int], _Kept] = {}
        self._lock = threading.Lock()
        self._forwards = threading.local()

    def begin(self, model: nn.Module | None, hooks: ExitStack) -> None:
        """Hooks the model, or every module of this process; UserError where the model holds no recurrent layer."""
        self.open = True
        if model is None:
            hook_everything(self, hooks)
        else:
            hook_model(model, self, hooks)

    def saw(self, key: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """One call of a recurrent module, copied where there is room. Never raises: the model must run as it does.

        A call that failed is passed over; so is a tracer's or exporter's pass, which holds no numbers, and whatever no
        layer of torch's returns.
        """
        if output is None or not self.open or torch.compiler.is_compiling() or torch._C._get_tracing_state():
            return
        inputs = args[0] if args else kwargs.get("input")
        state = args[1] if len(args) > 1 else kwargs.get("hx")
        with self._lock, torch.no_grad():
            try:
                if isinstance(module, nn.RNNCellBase):
                    self._step(key, module, inputs, state, output)
                elif isinstance(module, nn.RNNBase) and isinstance(output, tuple) and len(output) == 2:
                    self._call(key, module, inputs, state, output)
            except (RuntimeError, MemoryError):  # no memory is left for a copy
                self._more[key] += 1

    def enter(self, module: nn.Module) -> None:
        """A forward begins whose arguments may hold lengths."""
        self._stack().append((id(module), len(self._kept)))

    def leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """That forward ends: the calls within it, of the same thread, learn its arguments, the innermost first."""
        stack = self._stack()
        while stack and stack[-1][0] != id(module):
            stack.pop()  # a forward that was broken off: torch calls no hook after a KeyboardInterrupt
        start = stack.pop()[1] if stack else len(self._kept)
        wanted = argument_names(self.lengths) & set(parameters(module))
        if not wanted or start == len(self._kept):
            return
        try:
            bound = inspect.signature(module.forward).bind(*args, **kwargs).arguments
        except TypeError:
            return  # the call itself has failed, with the message that its author sees
        for kept in self._kept[start:]:
            if kept.thread == threading.get_ident():
                for name in wanted & set(bound):
                    kept.arguments.setdefault(name, _snapshot(bound[name]))

    def close(self) -> None:
        """Takes nothing in any more, not even from a copy of the model that was made with its hooks."""
        self.open = False
        self._loops.clear()

    def calls(self) -> tuple[Recorded, ...]:
        """Every call with its name, its number among the calls of that name, and its lengths."""
        counts: Counter[str] = Counter()
        calls: list[Recorded] = []
        for kept in self._kept:
            name = self.names.get(kept.key, kept.key)
            where = replace(kept.call.where, name=name, number=counts[name], lengths=_lengths(kept, name))
            counts[name] += 1
            calls.append(replace(kept.call, where=where))
        return tuple(calls)

    def skipped(self) -> dict[str, int]:
        return {self.names.get(key, key): count for key, count in self._more.items()}

    def _call(self, key: str, module: nn.RNNBase, inputs: Any, state: Any, output: tuple[Any, Any]) -> None:
        if self._has_room(key):
            where, weights = _where(key, module), self._weights_of(key, module)
            read, returned = (copied(inputs), copied(state)), (copied(output[0]), copied(output[1]))
            self._keep(key, Call(where, Layer.of(module), *read, *returned, weights))

    def _step(self, key: str, module: nn.RNNCellBase, inputs: Any, state: Any, output: Any) -> None:
        place = (key, threading.get_ident())
        cell, kept = kind(module), self._loops.get(place)
        if kept is None or not isinstance(kept.call, Loop) or not kept.call.continues(state):
            self._loops.pop(place, None)
            if cell is None or not self._has_room(key):
                return
            kept = self._keep(key, Loop(_where(key, module), cell, self._weights_of(key, module)))
            self._loops[place] = kept
        assert isinstance(kept.call, Loop)
        kept.call.add(inputs, state, output)

    def _keep(self, key: str, call: Recorded) -> _Kept:
        self._count[key] += 1
        self._kept.append(_Kept(key, call, threading.get_ident(), _snapshot(self.lengths)))
        return self._kept[-1]

    def _has_room(self, key: str) -> bool:
        room = self.limit is None or self._count[key] < self.limit
        if not room:
            self._more[key] += 1
        return room

    def _weights_of(self, key: str, module: nn.Module) -> dict[str, Tensor]:
        """The weights as they are now; the copy before where nothing has changed."""
        now = weights_of(module)
        if key not in self._weights or not same(now, self._weights[key]):
            self._weights[key] = {name: copied(tensor) for name, tensor in now.items()}
        return self._weights[key]

    def _stack(self) -> list[tuple[int, int]]:
        """The forwards of this thread that have begun: which module, and how many calls had been kept before."""
        if not hasattr(self._forwards, "stack"):
            self._forwards.stack = []
        stack: list[tuple[int, int]] = self._forwards.stack
        return stack


def hook_model(model: nn.Module, store: Store, hooks: ExitStack) -> None:
    """Hooks every recurrent layer of one model; UserError where it holds none, or scripted ones."""
    unwrapped = _unwrapped(model)
    layers = {name: module for name, module in unwrapped.named_modules() if _is_recurrent(module)}
    scripted = [m for m in unwrapped.modules() if isinstance(m, torch.jit.ScriptModule)]
    if not layers or any(getattr(m, "original_name", "") in ("LSTM", "GRU", "RNN") for m in scripted):
        why = (
            "its layers are scripted, and hooks do not run there: record it before torch.jit.script" if scripted else ""
        )
        raise UserError(f"no nn.LSTM, nn.GRU, nn.RNN or cell can be recorded: {why or 'the model holds none'}")
    check_names(store.lengths, unwrapped)
    _uncompiled(hooks, any(_is_compiled(module) for module in model.modules()))
    for name, module in layers.items():
        key = name or type(module).__name__
        hooks.callback(module.register_forward_hook(_seer(store, key), with_kwargs=True).remove)
    for module in unwrapped.modules():
        if argument_names(store.lengths) & set(parameters(module)) and not _is_recurrent(module):
            hooks.callback(module.register_forward_pre_hook(lambda module, *_: store.enter(module)).remove)
            leave = lambda m, args, kwargs, _: store.leave(m, args, kwargs)  # noqa: E731
            hooks.callback(module.register_forward_hook(leave, with_kwargs=True, always_call=True).remove)


def hook_everything(store: Store, hooks: ExitStack) -> None:
    """Hooks every module of the process. A layer is called by its place in the outermost module that was called."""
    _uncompiled(hooks, False)
    walked: weakref.WeakSet[nn.Module] = weakref.WeakSet()
    layers: dict[str, nn.Module] = {}  # holds them, so that no other module gets their id

    def saw(module: nn.Module, args: tuple[Any, ...], *rest: Any) -> None:
        kwargs, output = rest if len(rest) == 2 else ({}, None)  # torch leaves the keywords out where a forward failed
        if _is_recurrent(module):
            key = _key(module)
            layers.setdefault(key, module)
            store.names.setdefault(key, _unused(type(module).__name__, store))
            store.saw(key, module, args, kwargs, output)
        elif module not in walked and not getattr(module, "_is_replica", False):
            walked.add(module)
            store.names.update((_key(m), name) for name, m in _unwrapped(module).named_modules() if _is_recurrent(m))
        store.leave(module, args, kwargs)

    hooks.callback(register_module_forward_pre_hook(lambda module, *_: store.enter(module)).remove)
    hooks.callback(register_module_forward_hook(saw, with_kwargs=True, always_call=True).remove)


def _seer(store: Store, key: str) -> Any:
    def saw(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        store.saw(key, module, args, kwargs, output)

    return saw


def _where(key: str, module: nn.Module) -> Where:
    """The call's place, its number and lengths still open. Only the plain RNN has a choice of activation."""
    relu = "RELU" in str(getattr(module, "mode", getattr(module, "nonlinearity", ""))).upper()
    return Where(key, 0, str(module), {"activation": "relu"} if relu else {})


def _lengths(kept: _Kept, name: str) -> Any:
    """The lengths stated for a call; an argument's only where they are one a row, since it may speak of other rows."""
    lengths = kept.lengths.get(name) if isinstance(kept.lengths, Mapping) else kept.lengths
    if not isinstance(lengths, str) or lengths == FULL:
        return lengths
    try:
        values = to_array(kept.arguments[lengths], lengths)
    except (KeyError, ShapeError):
        return None
    return values if values.size == kept.call.batch_size else None


def _snapshot(lengths: Any) -> Any:
    """Lengths as they are now, whatever becomes of the tensor."""
    if isinstance(lengths, Mapping):
        return {name: _snapshot(value) for name, value in lengths.items()}
    return copied(lengths) if isinstance(lengths, (Tensor, tuple)) else lengths


def _is_recurrent(module: nn.Module) -> bool:
    return isinstance(module, (nn.RNNBase, nn.RNNCellBase))


def _is_compiled(module: nn.Module) -> bool:
    return hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None


def _uncompiled(hooks: ExitStack, needed: bool) -> None:
    """Compiled models run uncompiled until the stack closes; UserError where this torch cannot, and it is needed."""
    stance = getattr(torch.compiler, "set_stance", None)
    if stance is not None:
        hooks.enter_context(stance("force_eager"))
    elif needed:
        raise UserError("a compiled model cannot be recorded before torch 2.6: record the model before torch.compile")


def _unwrapped(model: nn.Module) -> nn.Module:
    """The model within torch.compile's and DataParallel's wrappers, under which its layers have their own names."""
    inner = getattr(model, "_orig_mod", None) or (model.module if isinstance(model, _WRAPPERS) else None)
    return _unwrapped(inner) if isinstance(inner, nn.Module) else model


def _key(module: nn.Module) -> str:
    """Which module it is. DataParallel makes new replicas for every call: those are known by what they are."""
    return f"{type(module).__name__} replica" if getattr(module, "_is_replica", False) else f"#{id(module)}"


def _unused(name: str, store: Store) -> str:
    """`LSTM`, then `LSTM 2`, …: a name for a layer that was called outside any other module."""
    taken = set(store.names.values())
    count = 1
    while (unused := name if count == 1 else f"{name} {count}") in taken:
        count += 1
    return unused
