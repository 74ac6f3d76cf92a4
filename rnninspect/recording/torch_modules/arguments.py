"""Which arguments of a model's forwards hold lengths, and whether it has such arguments at all."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from rnninspect.core.names_of_lengths import LENGTHS_NAME, MASK_NAME
from rnninspect.errors import UnknownNameError
from rnninspect.recording.asked import USUAL, Asked, answer, arguments_of, asked_for, steps_of
from rnninspect.recording.torch_modules.tensors import copied


@dataclass(eq=False)
class Forward:
    """A forward that has begun. `values`: what was asked for and is among its arguments; `times`: the sizes of the
    first two axes of every tensor among them; `tensors`: these tensors, where something was asked for and is there;
    `start`: how many calls had been kept before.
    """

    module: int
    start: int
    values: dict[Asked, Any] = field(default_factory=dict)
    tensors: tuple[Tensor, ...] = ()

    @property
    def times(self) -> tuple[tuple[int, int], ...]:
        """(first axis, second axis) of every tensor."""
        return tuple((int(tensor.shape[0]), int(tensor.shape[1])) for tensor in self.tensors)


def parameters(module: nn.Module) -> Mapping[str, inspect.Parameter]:
    """The arguments of its forward."""
    try:
        return inspect.signature(module.forward).parameters
    except (TypeError, ValueError):
        return {}


def check_lengths(lengths: Any, model: nn.Module, layers: list[str]) -> None:
    """Raise UnknownNameError where lengths are given for a layer that the model lacks, or name an argument that no
    forward in it has; it lists those that there are.

    A plain name may also be a key of what a forward takes whole: `**keywords`, or its one argument.
    """
    if isinstance(lengths, Mapping):
        for name in lengths:
            if name not in layers:
                raise UnknownNameError("recurrent layer for lengths", str(name), layers)
    signatures = [parameters(module) for module in model.modules()]
    there = {name for signature in signatures for name in signature}
    for name in sorted(name for name in asked_for(lengths) if isinstance(name, str) and name != USUAL):
        if steps_of(name)[0] not in there and not _takes_whole(parameters(model)):
            raise UnknownNameError("argument of forward for lengths", name, list(parameters(model)))


def _takes_whole(signature: Mapping[str, inspect.Parameter]) -> bool:
    kinds = [p.kind for p in signature.values()]
    return len(kinds) == 1 or inspect.Parameter.VAR_KEYWORD in kinds


def look_up(
    asked: set[Asked], module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], outermost: bool
) -> Any:
    """What was asked for among the arguments of this forward, copied; and its tensors of two axes at least.

    A callable is asked by the outermost forward alone; what it raises becomes a text that says so. Where nothing is
    asked for, lengths are stated as numbers, of the batch that the outermost forward is given: its tensors alone.
    """
    bound = arguments_of(module.forward, args, kwargs)
    values: dict[Asked, Any] = {}
    if USUAL in asked:
        named = named_ones(bound)
        return ({USUAL: named} if named else {}), tuple(_tensors(bound))
    for one in asked:
        if outermost or not callable(one):
            value = answer(one, bound, args, kwargs)
            values |= {} if value is None else {one: copied(value)}
    return values, tuple(_tensors(bound)) if values or (outermost and not asked) else ()


def named_ones(bound: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, and keys of what a forward takes whole, whose names are those of lengths or masks; copied."""
    parts = [bound, *(value for value in bound.values() if isinstance(value, Mapping))]
    named = {str(name): value for part in reversed(parts) for name, value in part.items()}
    names = [name for name in named if LENGTHS_NAME.search(name) or MASK_NAME.search(name)]
    return {name: copied(named[name]) for name in names if isinstance(named[name], (Tensor, list, tuple))}


def _tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor of two axes at least in nested arguments."""
    if isinstance(value, Tensor):
        if value.dim() >= 2:
            yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)
