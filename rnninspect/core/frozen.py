"""Frozen dataclasses that share their methods: a start makes eighty, and to write and compile each one's own took a
sixth of its time. `dataclass` gathers the fields when they are first asked for, which a third never are; it writes
an `__init__` to refuse a wrong call or to show it, and for a class of which many objects are made."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields, make_dataclass
from threading import RLock
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")

MANY = 64  # objects of a class from which on an `__init__` of its own, which takes a third of the time, is written


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
    kind.__dataclass_fields__ = _Fields(kind)  # type: ignore[attr-defined]
    return kind


class _Fields:
    """The fields of a class, which take this one's place."""

    _lock = RLock()

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind

    def __get__(self, *_: Any) -> Any:
        with self._lock:
            if vars(self._kind)["__dataclass_fields__"] is self:
                dataclass(init=False, repr=False, eq=False)(self._kind)
        return self._kind.__dataclass_fields__


def _fill(self: Any, /, *values: Any, **named: Any) -> None:
    """Set each field to what was passed for it, or to its default."""
    all_fields, filled = self.__dataclass_fields__, self.__dict__
    passed = {**dict(zip(self.__match_args__, values, strict=False)), **named}
    fits = len(passed) == len(values) + len(named)
    for name, f in all_fields.items():
        if name in passed:
            filled[name] = passed.pop(name)
        elif f.default is not MISSING:
            filled[name] = f.default
        elif f.default_factory is not MISSING:
            filled[name] = f.default_factory()
        else:
            fits = False
    if passed or not fits:
        _with_init(type(self))(*values, **named)  # raises as any dataclass does
    kind = type(self)
    _counts[kind] = _counts.get(kind, 0) + 1
    if _counts[kind] == MANY and kind.__init__ is _fill:
        kind.__init__ = _own_init(kind)
    if hasattr(self, "__post_init__"):
        self.__post_init__()


_counts: dict[type[Any], int] = {}  # of the objects of a class that were filled so


def _own_init(kind: type[Any]) -> Callable[..., None]:
    """The `__init__` of a frozen dataclass of the same fields."""
    then = {"__post_init__": kind.__post_init__} if hasattr(kind, "__post_init__") else {}
    same_fields = [(f.name, f.type, copy(f)) for f in fields(kind)]
    plain = make_dataclass(kind.__name__, same_fields, namespace=then, repr=False, eq=False, frozen=True)
    init: Callable[..., None] = vars(plain)["__init__"]
    return init


def _with_init(kind: type[T]) -> type[T]:
    """The class with the `__init__` that `dataclass` writes."""
    plain = {"__qualname__": kind.__qualname__, "__signature__": None}
    return dataclass(repr=False, eq=False)(type(kind.__name__, (kind,), plain))


class _Signature:
    """The signature of a class, when it is asked for."""

    def __get__(self, _: Any, kind: Any) -> inspect.Signature:
        return inspect.signature(_with_init(kind))


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


_ALWAYS = {
    "__init__": _fill,
    "__signature__": _Signature(),
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__repr__": _repr,
}
_COMPARING = {"__eq__": _equals, "__hash__": _hash}
