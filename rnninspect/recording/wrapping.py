"""A method of a framework's class, wrapped while somebody records, and put back when nobody does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

# (call, self, *args, **kwargs): it calls `call(*args, **kwargs)`, and returns what that gave.
Around = Callable[..., Any]
_around: dict[tuple[type, str], list[Around]] = {}
_methods: dict[tuple[type, str], Any] = {}


def wrap(kind: type, method: str, around: Around, hooks: ExitStack) -> None:
    """Run `around` in place of that class's method, until the stack closes; recordings may nest in any order."""
    place = (next(base for base in kind.__mro__ if method in base.__dict__), method)
    if not _around.get(place):
        _around[place], _methods[place] = [], place[0].__dict__[method]
        setattr(*place, _wrapped(place))
    _around[place].append(around)
    hooks.callback(_stop, place, around)


def _wrapped(place: tuple[type, str]) -> Any:
    own_method = _methods[place]

    @functools.wraps(own_method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = functools.partial(own_method, self)
        for around in tuple(_around[place]):
            call = functools.partial(around, call, self)
        return call(*args, **kwargs)

    return wrapper


def _stop(place: tuple[type, str], around: Around) -> None:
    _around[place].remove(around)
    if not _around[place]:
        setattr(*place, _methods.pop(place))
