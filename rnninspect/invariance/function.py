"""Functions on arrays, of whatever framework: they are called, and where a difference arises is not seen."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from rnninspect.core.arrays import is_array, to_array
from rnninspect.core.trace import Array
from rnninspect.errors import UserError
from rnninspect.invariance.model import Change, Key, Manner, Patch, RunFailed, Traced, one_line
from rnninspect.invariance.nested import mapped
from rnninspect.invariance.random_numbers import drawn, is_key, of_seed, random_numbers_kept, seed_everything


class FunctionModel:
    """A function, or an object that can be called."""

    framework = "function"
    until = float("inf")
    traceable = False
    norms: Sequence[str] = ()
    training = False

    def __init__(self, function: Any) -> None:
        self._function = function
        self.coarsest: int | None = None  # bytes of the narrowest floats, where that could be measured
        self.drawn: Any = None
        self.name = str(getattr(function, "__name__", type(function).__name__))

    def bind(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by their names; by their places where the function does not name them.

        Raises UserError on inputs that it does not take.
        """
        try:
            bound = inspect.signature(self._function).bind_partial(*inputs, **options)
        except ValueError:  # built in: it has no signature
            return {"args": tuple(inputs), **options}
        except TypeError as error:
            raise UserError(f"{self.name} does not take these inputs: {one_line(error)}") from None
        return dict(bound.arguments)

    def free(self) -> Sequence[str]:
        """The names of its arguments."""
        try:
            return list(inspect.signature(self._function).parameters)
        except ValueError:
            return []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Give back the random numbers of Python, numpy and torch."""
        with random_numbers_kept():
            yield

    def run(self, arguments: Mapping[str, Any], manner: Manner) -> Any:
        """What it returns, arrays of numpy; RunFailed where it raises."""
        seed_everything(manner.seed)
        keys: list[Any] = []  # how often a key is drawn from is not seen

        def seeded(path: str, leaf: Any) -> Any:
            if not is_key(leaf):
                return leaf
            keys.append(leaf)
            return of_seed(leaf, manner.seed)

        try:
            results = self._call(mapped(arguments, seeded))
            self.drawn = None if keys else drawn()
        except (KeyboardInterrupt, MemoryError):
            raise
        except (Exception, SystemExit) as error:  # whatever it raises: it is its answer to this batch
            raise RunFailed(one_line(error)) from error
        return mapped(results, lambda path, leaf: np.array(to_array(leaf, path)) if is_array(leaf) else leaf)

    def _call(self, arguments: Mapping[str, Any]) -> Any:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        try:
            parameters = inspect.signature(self._function).parameters
        except ValueError:
            rest = {name: value for name, value in arguments.items() if name != "args"}
            return self._function(*arguments.get("args", ()), **rest)
        for name, value in arguments.items():
            kind = parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                args += list(value)
            elif kind is inspect.Parameter.VAR_KEYWORD:
                kwargs |= value
            elif kind is not inspect.Parameter.KEYWORD_ONLY and list(parameters)[len(args)] == name:
                args.append(value)
            else:
                kwargs[name] = value
        return self._function(*args, **kwargs)

    def trace(self, arguments: Mapping[str, Any], manner: Manner, patches: Mapping[Key, Patch]) -> Traced:
        """The results alone."""
        return Traced(self.run(arguments, manner))

    def embeddings(self, arguments: Mapping[str, Any], manner: Manner, change: Change) -> Any:
        """None: layers are not seen (`lengths` `[B]`, `final` `[B, H]`)."""
        return None

    def rule(self, layer: Key, arguments: Mapping[str, Any], lengths: Array, final: Array | None) -> Any:
        """None: layers are not seen (`lengths` `[B]`, `final` `[B, H]`)."""
        return None
