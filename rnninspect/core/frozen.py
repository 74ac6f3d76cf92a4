"""Frozen dataclasses that share their methods: a start makes ninety of them, and to write and compile each one's own
was a fifth of its time. `replace`, `fields` and `asdict` know them as any other."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from functools import cache
from typing import Any, NamedTuple, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@overload
def frozen(kind: type[T], /) -> type[T]: ...
@overload
def frozen(*, eq: bool = True) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T] | None = None, /, *, eq: bool = True) -> type[T] | Callable[[type[T]], type[T]]:
    """What `@dataclass(frozen=True, eq=eq)` makes of a class."""
    if kind is None:
        return lambda kind: _with_shared_methods(kind, eq)
    return _with_shared_methods(kind, eq)


def _with_shared_methods(kind: type[T], eq: bool) -> type[T]:
    shared: dict[str, Any] = {"__init__": _init, "__setattr__": _refuse, "__delattr__": _refuse, "__repr__": _repr}
    if eq:
        shared |= {"__eq__": _equals, "__hash__": _hash}
    for name, method in {**shared, "__signature__": _Signature()}.items():
        if name not in vars(kind):
            setattr(kind, name, method)
    return dataclass(init=False, repr=False, eq=False)(kind)


class _Filling(NamedTuple):
    """How instances of a class are filled: names by position, all names, defaults, what makes further defaults, and
    what is called last."""

    by_position: tuple[str, ...]
    names: dict[str, None]  # a set in order
    defaults: dict[str, Any]
    makers: dict[str, Callable[[], Any]]
    last: Callable[[Any], None] | None


@cache
def _filling(kind: Any) -> _Filling:
    return _Filling(
        tuple(f.name for f in fields(kind) if not f.kw_only),
        dict.fromkeys(f.name for f in fields(kind)),
        {f.name: f.default for f in fields(kind) if f.default is not MISSING},
        {f.name: f.default_factory for f in fields(kind) if f.default_factory is not MISSING},
        getattr(kind, "__post_init__", None),
    )


def _init(self: Any, /, *values: Any, **more: Any) -> None:
    kind: Any = type(self)
    filling, kept = _filling(kind), self.__dict__
    kept.update(zip(filling.by_position, values, strict=False))
    kept.update(more)
    if len(kept) != len(values) + len(more) or not filling.names.keys() >= more.keys():
        inspect.signature(kind).bind(*values, **more)  # raises what Python would
    if len(kept) != len(filling.names):
        kept.update({name: default for name, default in filling.defaults.items() if name not in kept})
        kept.update({name: make() for name, make in filling.makers.items() if name not in kept})
        if len(kept) != len(filling.names):
            inspect.signature(kind).bind(*values, **more)
    if len(values) != len(filling.names):  # `vars` lists the fields in their order, as JSON does
        ordered = {name: kept[name] for name in filling.names}
        kept.clear()
        kept.update(ordered)
    if filling.last is not None:
        filling.last(self)


def _refuse(self: Any, name: str, *_: Any) -> None:
    raise FrozenInstanceError(f"cannot change {name!r} of {type(self).__name__}")


def _compared(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, f.name) for f in fields(self) if f.compare)


def _equals(self: Any, other: Any) -> Any:
    return _compared(self) == _compared(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_compared(self))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({shown})"


class _Signature:
    """The signature of a class, made when it is asked for."""

    def __get__(self, _: Any, kind: Any) -> inspect.Signature:
        return inspect.Signature([_parameter(f) for f in fields(kind)])


def _parameter(f: Any) -> inspect.Parameter:
    way = inspect.Parameter.KEYWORD_ONLY if f.kw_only else inspect.Parameter.POSITIONAL_OR_KEYWORD
    without = inspect.Parameter.empty if f.default_factory is MISSING else ...
    return inspect.Parameter(f.name, way, default=without if f.default is MISSING else f.default, annotation=f.type)
