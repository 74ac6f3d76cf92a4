"""Frozen dataclasses that share their methods: a start makes ninety, and to write and compile each one's own took a
sixth of its time. `dataclass` writes what differs: the fields, and the `__init__` that fills them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@overload
def frozen(kind: type[T], /) -> type[T]: ...
@overload
def frozen(*, eq: bool = True) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T] | None = None, /, *, eq: bool = True) -> type[T] | Callable[[type[T]], type[T]]:
    """What `@dataclass(frozen=True, eq=eq)` makes of a class."""
    if kind is None:
        return lambda kind: _sharing(kind, _ALWAYS | _COMPARING if eq else _ALWAYS)
    return _sharing(kind, _ALWAYS | _COMPARING)


def _sharing(kind: type[T], methods: dict[str, Any]) -> type[T]:
    for name, method in methods.items():
        if name not in vars(kind):
            setattr(kind, name, method)
    return dataclass(repr=False, eq=False)(kind)


def _set_once(self: Any, name: str, content: Any) -> None:
    """`__init__` sets each field; nothing is set a second time."""
    if name in self.__dict__ or name not in self.__dataclass_fields__:
        _refuse(self, name)
    self.__dict__[name] = content


def _refuse(self: Any, name: str) -> None:
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


_ALWAYS = {"__setattr__": _set_once, "__delattr__": _refuse, "__repr__": _repr}
_COMPARING = {"__eq__": _equals, "__hash__": _hash}
