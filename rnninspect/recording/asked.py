"""Lengths that are asked for among a model's arguments: by an argument's name, or by a function of the arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnninspect.core.full_lengths import FULL
from rnninspect.core.regex import regex
from rnninspect.recording.stated import Stated, by_name

Asked = str | Callable[..., Any]  # an argument's name, or what makes lengths of the arguments of the model's forward

_STEP = regex(r"[^.\[\]'\"]+")
USUAL = ""  # no argument's name: asks for all that have the usual names of lengths and masks


class Failure(str):
    """Why what was asked for gave no lengths."""


def asked_for(lengths: Any) -> set[Asked]:
    """What is to be looked for among the arguments of forwards."""
    if lengths is None:
        return {USUAL}
    values = lengths.values() if isinstance(lengths, Mapping) else (lengths,)
    return {value for value in values if is_asked(value)}


def is_asked(value: Any) -> bool:
    """Whether lengths are to be looked for: by an argument's name, or by a function of the arguments."""
    return (isinstance(value, str) and value != FULL) or (callable(value) and not hasattr(value, "shape"))


def answer(one: Asked, bound: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What was asked for, of the arguments by name and as they came; None where it is not there, a Failure where the
    user's own code raised: the model must run as it does."""
    try:
        return one(*args, **kwargs) if callable(one) else _member(one, bound)
    except Exception as error:
        return Failure(f"lengths={getattr(one, '__name__', one)} raised {type(error).__name__}: {error}")


def arguments_of(method: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, those of `**keywords` among them; none where they do not fit the method."""
    try:
        signature = inspect.signature(method)
        arguments = signature.bind_partial(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return {}  # the call itself has failed, with the message that its author sees
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            arguments |= arguments.pop(name, {})
    return dict(arguments)


def stated_by(lengths: Any, name: str, answers: Mapping[Asked, Any]) -> Stated:
    """What is stated for the call of a layer of that name, by what the arguments around it hold."""
    by_layer = isinstance(lengths, Mapping)
    one = lengths.get(name) if by_layer else lengths
    called = called_by(one)
    value = answers.get(one)
    if value is None or isinstance(value, Failure):
        missing = value or nowhere(one)
        return Stated(missing=missing, nowhere=True)
    try:
        return Stated(np.array(by_name(value, called)), by_layer, called)
    except Exception as error:  # whatever a program calls so
        return Stated(missing=str(error), nowhere=True)


def called_by(one: Asked | None) -> str:
    """What lengths that were asked for are called in a message."""
    return one if isinstance(one, str) else getattr(one, "__name__", "the callable")


def nowhere(one: Asked | None) -> str:
    """Why a call has no lengths, where those asked for are not there."""
    if isinstance(one, str):
        return f"its lengths were to be read from an argument called {one}, and no call around it has one"
    return f"its lengths were to be made by the function {called_by(one)}, which returned None"


def _member(name: str, bound: Mapping[str, Any]) -> Any:
    """The argument of that name, a part of one (`batch.lengths`, `args[1]`), or that key of one."""
    first, *rest = steps_of(name)
    if first in bound:
        value = bound[first]
        for part in rest:
            value = _part(value, part)
        return value
    parts = (_part(value, name) for value in bound.values() if _has_parts(value))
    return next((part for part in parts if part is not None), None)


def steps_of(name: str) -> list[str]:
    """The argument that a name begins with, and what is taken of it, from the outside in.

    >>> steps_of("batch.lengths"), steps_of("args[1]"), steps_of("batch['lengths']")
    (['batch', 'lengths'], ['args', '1'], ['batch', 'lengths'])
    """
    return _STEP.findall(name) or [name]


def _has_parts(value: Any) -> bool:
    """Whether it may hold the argument; a mapping that takes attributes for keys raises on those that it lacks."""
    return isinstance(value, Mapping) or not (hasattr(value, "shape") or callable(value))


def _part(value: Any, name: str) -> Any:
    if isinstance(value, (list, tuple)) and name.isdecimal():
        return value[int(name)] if int(name) < len(value) else None
    if isinstance(value, Mapping) or hasattr(value, "keys"):
        return value[name] if name in value else None  # noqa: SIM401
    return getattr(value, name, None)
