"""The store: recorded calls, from any thread, bounded by calls and by bytes; a weight is kept once per version."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from rnninspect.conventions.live.weights import config_of_torch
from rnninspect.core.full_lengths import FULL
from rnninspect.recording.asked import USUAL, Asked, Failure, called_by, is_asked, nowhere
from rnninspect.recording.base import Wanted, Where
from rnninspect.recording.call_site import caller
from rnninspect.recording.stated import Stated, by_name
from rnninspect.recording.torch_modules.arguments import Forward
from rnninspect.recording.torch_modules.calls import Call, Layer
from rnninspect.recording.torch_modules.loops import Loop
from rnninspect.recording.torch_modules.steps import kind
from rnninspect.recording.torch_modules.tensors import autocast, copied, size, weights_of

Recorded = Call | Loop


@dataclass(eq=False)
class Kept:
    """A recorded call without its place yet: `lengths` as stated at the call, `arguments` of the forwards around it;
    `direct`: those beside which it reads a tensor as it is (USUAL: where lengths were stated as numbers)."""

    key: int
    call: Recorded
    thread: int
    lengths: Any
    arguments: dict[Asked, Any] = field(default_factory=dict)
    times: dict[Asked, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    direct: set[Asked] = field(default_factory=set)


class Store:
    """Takes in calls from any thread. A layer is known by a key; its name may be learned later."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.lengths = wanted.lengths
        self.names: dict[int, str] = {}
        self.kept: list[Kept] = []
        self.unseen: dict[int, str] = {}
        self._bytes = 0
        self._seen: Counter[int] = Counter()
        self._count: Counter[int] = Counter()
        self._more: Counter[int] = Counter()
        self._weights: dict[int, dict[str, Tensor]] = {}
        self._loops: dict[tuple[int, int], Loop] = {}
        self._lock = threading.Lock()

    def take(self, key: int, module: nn.Module, inputs: Any, state: Any, output: Any, forward: int) -> None:
        """One call of a recurrent module, copied where there is room. Never raises: the model must run as it does."""
        data = inputs[0] if isinstance(inputs, tuple) and inputs else inputs
        if not isinstance(data, Tensor) or _holds_no_numbers(data):
            self.unseen.setdefault(key, "it was called under a transform (vmap, tracing) that holds no numbers")
            return
        with self._lock, torch.no_grad():
            try:
                if isinstance(module, nn.RNNCellBase):
                    self._step(key, module, inputs, state, output, forward)
                elif isinstance(output, tuple) and len(output) == 2:
                    self._call(key, module, inputs, state, output)
            except Exception as error:  # no memory is left for a copy, or a tensor of a kind that cannot be copied
                self._more[key] += 1
                self.unseen.setdefault(key, f"a call could not be copied ({type(error).__name__}: {error})")

    def learn(self, kept: Kept, forward: Forward) -> None:
        """What the arguments of a forward around it say of a call, where no forward within that one has said it."""
        more = forward.values.keys() - kept.arguments.keys()
        kept.arguments |= {asked: forward.values[asked] for asked in more}
        kept.times |= dict.fromkeys(more, forward.times)
        if kept.lengths is not None and (more or not forward.values) and isinstance(kept.call, Call):
            with contextlib.suppress(Exception):  # of a kind that is no array: the model must run as it does
                kept.direct |= (more or {USUAL}) if kept.call.read_directly(forward.tensors) else set()

    def close(self) -> None:
        """End the loops over cells that are still being put together."""
        self._loops.clear()

    def calls(self) -> tuple[Recorded, ...]:
        """Every call with its name, its number among the calls of that name, and what was stated for it."""
        calls: list[Recorded] = []
        counts: Counter[str] = Counter()
        keys = Counter(self.names.get(key, "?") for key in {kept.key for kept in self.kept})
        values = (pair for kept in self.kept for pair in kept.arguments.items())
        answered = {asked for asked, value in values if not isinstance(value, Failure)}
        for kept in self.kept:
            name = self.names.get(kept.key, "?")
            number = kept.call.where.number if keys[name] == 1 else counts[name]  # of several modules of one name
            counts[name] += 1
            where = replace(kept.call.where, name=name, number=number, stated_lengths=_stated(kept, name, answered))
            calls.append(replace(kept.call, where=where))
        return tuple(calls)

    def skipped(self) -> dict[str, int]:
        """By layer, how many calls were left out because it had as many as are kept."""
        more: Counter[str] = Counter()
        for key, count in self._more.items():
            more[self.names.get(key, "?")] += count
        return dict(more)

    def _call(self, key: int, module: Any, inputs: Any, state: Any, output: tuple[Any, Any]) -> None:
        number = self._number(key)
        weights = weights_of(module)
        if number is None or not self._has_bytes(key, size((inputs, state, output)) + self._new_bytes(key, weights)):
            return
        device = output[0].data.device.type
        read, returned = (copied(inputs), copied(state)), (copied(output[0]), copied(output[1]))
        self._bytes += size(read) + size(returned)
        layer = Layer.of(module, device)
        call = Call(_where(number, module), layer, *read, *returned, self._weights_of(key, weights), caller("torch"))
        self._keep(key, call)

    def _step(self, key: int, module: nn.RNNCellBase, inputs: Any, state: Any, output: Any, forward: int) -> None:
        place = (key, threading.get_ident())
        loop = self._loops.get(place)
        if loop is None or not loop.continues(state, forward):
            loop = self._loops[place] = self._new_loop(key, module, inputs, forward)
        elif loop.cut:
            self._more[key] += 1
        more = size(inputs) + size(state) + size(output)
        if loop.cut or not self._has_bytes(key, more, counted=bool(loop.steps)):
            loop.cut += 1
            loop.passed(output)
        else:
            self._bytes += loop.add(inputs, state, output)

    def _new_loop(self, key: int, module: nn.RNNCellBase, inputs: Tensor, forward: int) -> Loop:
        """A loop that is kept, or one without steps (`cut`), by which its further steps are passed over."""
        number, cell = self._number(key), kind(module)
        now = weights_of(module)
        if cell is None or number is None or not self._has_bytes(key, self._new_bytes(key, now)):
            return Loop(_where(0, module), cell or "rnn", {}, forward, cut=1)
        lower = autocast(inputs.device.type)
        not_rerun = f"autocast was on ({lower})" if lower else ""
        loop = Loop(_where(number, module), cell, self._weights_of(key, now), forward, not_rerun)
        self._keep(key, loop)
        return loop

    def _number(self, key: int) -> int | None:
        """The number of this call, or None where it is not to be kept."""
        number = self._seen[key]
        self._seen[key] += 1
        limit = self.wanted.limit
        if number % self.wanted.every == 0 and (limit is None or self._count[key] < limit):
            return number
        self._more[key] += 1
        return None

    def _keep(self, key: int, call: Recorded) -> Kept:
        self._count[key] += 1
        self.kept.append(Kept(key, call, threading.get_ident(), _snapshot(self.lengths)))
        return self.kept[-1]

    def _has_bytes(self, key: int, more: int, counted: bool = True) -> bool:
        room = self.wanted.max_bytes is None or self._bytes + more <= self.wanted.max_bytes
        self._more[key] += counted and not room
        return room

    def _new_bytes(self, key: int, now: Mapping[str, Tensor]) -> int:
        kept = self._weights.get(key, {})
        return sum(size(tensor) for name, tensor in now.items() if not _same(tensor, kept.get(name)))

    def _weights_of(self, key: int, now: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights as they are now; each the copy before where it has not changed."""
        kept = self._weights.get(key, {})
        if kept.keys() != now.keys() or not all(_same(tensor, kept[name]) for name, tensor in now.items()):
            new = {name: kept[name] if _same(t, kept.get(name)) else copied(t) for name, t in now.items()}
            self._bytes += sum(size(tensor) for name, tensor in new.items() if tensor is not kept.get(name))
            kept = self._weights[key] = new
        return kept


def _same(tensor: Tensor, kept: Tensor | None) -> bool:
    return (
        kept is not None and kept.shape == tensor.shape and kept.device == tensor.device and torch.equal(kept, tensor)
    )


def _holds_no_numbers(tensor: Tensor) -> bool:
    """Whether it stands for numbers that are elsewhere: batched by vmap, fake, or on no device."""
    wrapped = getattr(torch._C._functorch, "is_functorch_wrapped_tensor", lambda _: False)
    return tensor.is_meta or type(tensor).__name__ == "FakeTensor" or bool(wrapped(tensor))


def _where(number: int, module: nn.Module) -> Where:
    """The call's place, its name and lengths still open."""
    return Where("", number, str(module), config_of_torch(module))


def _stated(kept: Kept, name: str, answered: Set[Asked]) -> Stated:
    """What was stated for a call of that name: for this layer, or for whatever the model reads. `answered`: what was
    asked for and any of the calls was given."""
    by_layer = isinstance(kept.lengths, Mapping)
    value = kept.lengths.get(name) if by_layer else kept.lengths
    if value is None and not by_layer:
        return Stated(beside=kept.arguments.get(USUAL, {}), times=kept.times.get(USUAL, ()))
    if not is_asked(value):
        exact = by_layer or (isinstance(value, str) and value == FULL)
        return Stated(value, exact, direct=USUAL in kept.direct)
    called = called_by(value)
    argument = kept.arguments.get(value)
    if argument is None or isinstance(argument, Failure):
        missing = argument or nowhere(value)
        return Stated(missing=missing, nowhere=argument is not None or value not in answered)
    try:
        numbers = by_name(argument, called)
    except Exception as error:  # whatever a program calls so
        return Stated(missing=str(error))
    times = () if by_layer else kept.times.get(value, ())
    return Stated(numbers, by_layer, called, times=times, direct=value in kept.direct)


def _snapshot(lengths: Any) -> Any:
    """Lengths as they are now, whatever becomes of the tensor."""
    if isinstance(lengths, Mapping):
        return {name: _snapshot(value) for name, value in lengths.items()}
    return copied(lengths) if isinstance(lengths, (Tensor, tuple)) else lengths
