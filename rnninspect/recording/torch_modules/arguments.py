"""Which arguments of a model's forwards hold lengths, and whether it has such arguments at all."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from rnninspect.core.full_lengths import FULL
from rnninspect.core.names_of_lengths import LENGTHS_NAME, MASK_NAME
from rnninspect.errors import UnknownNameError
from rnninspect.recording.torch_modules.tensors import copied

Asked = str | Callable[..., Any]  # an argument's name, or what makes lengths of the arguments of the model's forward

USUAL = ""  # no argument's name: asks for all that have the usual names of lengths and masks


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


def asked_for(lengths: Any) -> set[Asked]:
    """What is to be looked for among the arguments of forwards."""
    if lengths is None:
        return {USUAL}
    values = lengths.values() if isinstance(lengths, Mapping) else (lengths,)
    return {value for value in values if is_asked(value)}


def is_asked(value: Any) -> bool:
    """Whether lengths are to be looked for: by an argument's name, or by a function of the arguments."""
    return (isinstance(value, str) and value != FULL) or (callable(value) and not hasattr(value, "shape"))


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
        argument = name.partition(".")[0]
        if argument not in there and not _takes_whole(parameters(model)):
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
    bound = _bound(module, args, kwargs)
    values: dict[Asked, Any] = {}
    if USUAL in asked:
        named = named_ones(bound)
        return ({USUAL: named} if named else {}), tuple(_tensors(bound))
    for one in asked:
        if outermost or not callable(one):
            value = _asked(one, bound, args, kwargs)
            values |= {} if value is None else {one: copied(value)}
    return values, tuple(_tensors(bound)) if values or (outermost and not asked) else ()


def _bound(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        arguments = inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return {}  # the call itself has failed, with the message that its author sees
    for name, parameter in parameters(module).items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            arguments |= arguments.pop(name, {})
    return dict(arguments)


def _asked(one: Asked, bound: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return one(*args, **kwargs) if callable(one) else _member(one, bound)
    except Exception as error:  # the user's own code: the model must run as it does
        return Failure(f"lengths={getattr(one, '__name__', one)} raised {type(error).__name__}: {error}")


def named_ones(bound: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, and keys of what a forward takes whole, whose names are those of lengths or masks; copied."""
    parts = [bound, *(value for value in bound.values() if isinstance(value, Mapping))]
    named = {str(name): value for part in reversed(parts) for name, value in part.items()}
    names = [name for name in named if LENGTHS_NAME.search(name) or MASK_NAME.search(name)]
    return {name: copied(named[name]) for name in names if isinstance(named[name], (Tensor, list, tuple))}


class Failure(str):
    """Why what was asked for gave no lengths."""


def _member(name: str, bound: Mapping[str, Any]) -> Any:
    """The argument of that name, a part of one (`batch.lengths`), or that key of one."""
    first, *rest = name.split(".")
    if first in bound:
        value = bound[first]
        for part in rest:
            value = _part(value, part)
        return value
    parts = (_part(value, name) for value in bound.values() if not isinstance(value, (Tensor, nn.Module)))
    return next((part for part in parts if part is not None), None)


def _part(value: Any, name: str) -> Any:
    if isinstance(value, Mapping) or hasattr(value, "keys"):
        return value[name] if name in value else None  # noqa: SIM401
    return getattr(value, name, None)


def _tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor of two axes at least in nested arguments."""
    if isinstance(value, Tensor):
        if value.dim() >= 2:
            yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)
