"""Everything that a run of a module may change, kept, and given back."""

from __future__ import annotations

import copy
import pickle
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rnninspect.invariance.random_numbers import drawn

_CONTAINERS = (list, dict, set, deque)
_ROOMS = ("builtins", "torch", "numpy", "threading", "logging", "weakref")  # whose objects are no model's memory


@dataclass(eq=False)
class _Content:
    """What a container held: it is filled again, and stays the same object."""

    container: Any
    items: Any

    def restore(self) -> None:
        if isinstance(self.container, (dict, set)):
            if list(self.container) == list(self.items) and not isinstance(self.container, dict):
                return
            self.container.clear()
            self.container.update(self.items)
        else:
            self.container.clear()
            self.container.extend(self.items)


class _Source:
    """A generator of random numbers, and where it was."""

    def __init__(self, read: Callable[[], Any], put: Callable[[Any], Any]) -> None:
        self.read, self._put, self._was = read, put, read()

    def restore(self) -> None:
        self._put(self._was)


class Kept:
    """The state of a module: attributes, buffers, modes, hooks, weights, gradients, generators."""

    def __init__(self, module: nn.Module) -> None:
        self._attributes: list[tuple[nn.Module, dict[str, Any]]] = []
        self._contents: list[_Content] = []
        self._generators: list[_Source] = []
        self._tensors: dict[int, tuple[Tensor, Tensor]] = {}
        self._weights: dict[int, tuple[Tensor, Tensor]] = {}
        self._versions: list[tuple[Tensor, int]] = []
        self._trusted = False  # whether a run was seen to leave the weights alone, behind autograd's back too
        self._gradients: list[tuple[Tensor, Tensor | None, Tensor | None]] = []
        self._asks: list[tuple[Tensor, bool]] = []  # whether gradients are asked for
        self._modes: list[tuple[nn.Module, bool]] = []  # of scripted modules, which keep theirs elsewhere
        self._seen: set[int] = set()
        self._forgotten: list[tuple[Tensor, Tensor]] = []
        self._inference = any(t.is_inference() for t in (*module.parameters(), *module.buffers()))
        for inner in module.modules():
            if isinstance(inner, torch.jit.ScriptModule) and hasattr(inner, "training"):
                self._modes.append((inner, inner.training))
            attributes = dict(inner.__dict__)
            self._attributes.append((inner, attributes))
            for value in attributes.values():
                self._keep(value)
        for weight in module.parameters():
            self._weights[id(weight)] = (weight, weight.detach().clone())
            self._versions.append((weight, _version(weight)))
            self._tensors.pop(id(weight), None)
            self._asks.append((weight, weight.requires_grad))
            grad = weight.grad
            self._gradients.append((weight, grad, None if grad is None else grad.detach().clone()))

    def _keep(self, value: Any, depth: int = 0) -> None:
        if isinstance(value, nn.Parameter):
            return
        if isinstance(value, Tensor):
            self._tensors.setdefault(id(value), (value, value.detach().clone()))
        elif isinstance(value, torch.Generator):
            self._generators.append(_Source(value.get_state, value.set_state))
        elif isinstance(value, np.random.Generator):
            bits = value.bit_generator
            self._generators.append(_Source(lambda: copy.deepcopy(bits.state), lambda s: setattr(bits, "state", s)))
        elif isinstance(value, np.random.RandomState):
            self._generators.append(_Source(value.get_state, value.set_state))
        elif isinstance(value, random.Random):
            self._generators.append(_Source(value.getstate, value.setstate))
        elif isinstance(value, np.ndarray):
            self._contents.append(_Array(value, value.copy()))  # type: ignore[arg-type]
        elif isinstance(value, tuple) and depth < 3:
            for item in value:
                self._keep(item, depth + 1)
        elif isinstance(value, _CONTAINERS) and depth < 3:
            self._contents.append(_Content(value, copy.copy(value)))
            for item in value.values() if isinstance(value, dict) else value:
                if not isinstance(item, nn.Module):
                    self._keep(item, depth + 1)
        elif _is_plain(value) and depth < 3 and id(value) not in self._seen:
            self._seen.add(id(value))
            self._keep(value.__dict__, depth)

    def carried(self, after: Kept) -> list[Tensor]:
        """The tensors that a run changed or replaced, or that lie in a list which it changed; `after`: it."""
        kept = {key for key, (tensor, was) in self._tensors.items() if tensor.shape == was.shape and _same(tensor, was)}
        listed = [tensor for key, (tensor, _) in self._tensors.items() if key not in kept & after._tensors.keys()]
        for content in self._contents:
            if isinstance(content, _Content) and isinstance(content.container, (list, deque)):
                changed = [*map(id, content.container)] != [*map(id, content.items)]
                listed += [one for one in content.items if changed and isinstance(one, Tensor)]
        return listed

    def forget(self, tensors: Sequence[Tensor]) -> None:
        """Let these be zero in every run from now on."""
        with torch.inference_mode(self._inference), torch.no_grad():
            for tensor in tensors:
                self._forgotten.append((tensor, tensor.detach().clone()))
                tensor.zero_()
                self._tensors[id(tensor)] = tensor, tensor.detach().clone()

    def remember(self) -> None:
        """Give these back what they held."""
        with torch.inference_mode(self._inference), torch.no_grad():
            for tensor, was in self._forgotten:
                tensor.copy_(was)

    def drawn(self) -> tuple[Any, ...] | None:
        """How far a run went in all random numbers, those of the module's own generators among them."""
        everywhere = drawn()
        return (
            None if everywhere is None else (everywhere, *(pickle.dumps(source.read()) for source in self._generators))
        )

    def restore(self, weights: bool = True) -> None:
        """Put everything back; `weights`: also weights and gradients that no one is known to have changed."""
        for module, attributes in self._attributes:
            module.__dict__.clear()
            module.__dict__.update(attributes)
        for scripted, mode in self._modes:
            scripted.training = mode
        for content in self._contents:
            content.restore()
        for source in self._generators:
            source.restore()
        for weight, asked in self._asks:
            if weight.requires_grad != asked:
                weight.requires_grad_(asked)
        if not weights and not self._trusted:
            self._trusted = all(_same(weight.detach(), was) for weight, was in self._weights.values())
        changed = any(_version(weight) != version for weight, version in self._versions)
        weights = weights or changed or not self._trusted
        tensors = {**self._tensors, **(self._weights if weights else {})}
        with torch.inference_mode(self._inference), torch.no_grad():
            for tensor, was in tensors.values():
                if tensor.shape != was.shape:
                    tensor.data = was.clone()
                elif not _same(tensor, was):
                    tensor.copy_(was)
            for weight, grad, was_grad in self._gradients if weights else ():
                weight.grad = grad
                if grad is not None and was_grad is not None and not _same(grad, was_grad):
                    grad.copy_(was_grad)


@dataclass(eq=False)
class _Array:
    array: Any
    was: Any

    def restore(self) -> None:
        self.array[...] = self.was


def _version(weight: Tensor) -> int:
    """How often it was changed; of inference tensors that is not counted, and values tell."""
    return -1 if weight.is_inference() else weight._version


def _is_plain(value: Any) -> bool:
    """Whether it is an object of the user's own, whose attributes a forward may change."""
    room = type(value).__module__.partition(".")[0]
    theirs = room in _ROOMS or callable(value) or isinstance(value, (ModuleType, nn.Module))
    return hasattr(value, "__dict__") and not theirs


def _same(first: Tensor, second: Tensor) -> bool:
    """Whether every bit that counts is the same; NaN equals NaN."""
    try:
        return bool(((first == second) | ((first != first) & (second != second))).all())
    except (RuntimeError, TypeError):  # quantised, sparse: they are put back whatever they hold
        return False


@contextmanager
def settings_kept() -> Iterator[None]:
    """Give back what a forward may set for the whole process: types, threads, kernels, numpy's warnings."""
    flags = [(torch.backends.cudnn, name) for name in ("enabled", "benchmark", "deterministic")]
    was = [getattr(room, name) for room, name in flags]
    dtype, threads, errors = torch.get_default_dtype(), torch.get_num_threads(), np.geterr()
    deterministic = _deterministic()
    try:
        yield
    finally:
        np.seterr(**errors)
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
        if _deterministic() != deterministic:  # to set it imports the compiler, which takes seconds
            torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
        for (room, name), setting in zip(flags, was, strict=True):
            setattr(room, name, setting)


def _deterministic() -> tuple[bool, bool]:
    """Whether only deterministic kernels may run, and whether others only warn."""
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
