"""Results that are worked out once a case: several rules ask the same costly question of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

C = TypeVar("C")
P = ParamSpec("P")
R = TypeVar("R")


def once(function: Callable[Concatenate[C, P], R]) -> Callable[Concatenate[C, P], R]:
    """Keep the results of a function by its first argument, a case, for as long as that case lives.

    Further arguments must be hashable. A case is told from others by identity, never by what it holds, so a changed
    copy is asked anew. What raises is not kept. The result must not hold the case: the two would keep each other alive.

    >>> class Case: ...
    >>> @once
    ... def question(case: Case) -> list[str]:
    ...     return ["worked out"]
    >>> case = Case()
    >>> question(case) is question(case), question(case) is question(Case())
    (True, False)
    """
    kept: WeakKeyDictionary[C, dict[Any, R]] = WeakKeyDictionary()

    @functools.wraps(function)
    def asked(case: C, /, *args: P.args, **kwargs: P.kwargs) -> R:
        results = kept.setdefault(case, {})
        key = (args, frozenset(kwargs.items()))
        if key not in results:
            results[key] = function(case, *args, **kwargs)
        return results[key]

    return asked
