"""What a live model of any framework is to the check: it runs a batch, and may show what its layers did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from rnninspect.core.trace import Array

Key = tuple[str, int]  # a layer's name, and which of its calls
Patch = Callable[[Mapping[str, Array]], Mapping[str, Array]]  # a call's results by path -> those that it is to return
# What a layer looks up and what it returns for that -> what it is to return, None where that stays.
Change = Callable[[Array, Array], Array | None]


class RunFailed(Exception):
    """A run that the model itself ended with an error; its text is that error in one line."""


class OutOfTime(Exception):
    """The time that a check may take is over; its text says how much that was."""


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One call of a layer: what it read and returned, by path. `parent`: the call that it was made in; `rows_axis`: the
    axis of its inputs that a recurrent layer takes for the rows, where that is known.
    """

    name: str
    number: int
    kind: str
    parent: Key | None
    inputs: Mapping[str, Array]
    results: Mapping[str, Array]
    recurrent: bool = False
    rows_axis: int | None = None

    @property
    def key(self) -> Key:
        return self.name, self.number


@dataclass(frozen=True)
class Manner:
    """How a run is made. `seed`: of every random number; `norms`: batch normalisation as in training."""

    seed: int = 0
    norms: bool = False


@dataclass(frozen=True, eq=False)
class Traced:
    """A run with every call of a layer, in the order in which they began; `root` is the model itself."""

    results: Any
    calls: Sequence[LayerCall] = field(default_factory=tuple)


class LiveModel(Protocol):
    """A model of one framework. Runs are made within `kept`, which gives back all that they change."""

    name: str
    framework: str
    traceable: bool
    norms: Sequence[str]
    training: bool  # whether a layer of batch normalisation is in training, as the model is given
    coarsest: int | None  # bytes of the narrowest floats that it computes with, 1 for bfloat16; None: that is not seen
    drawn: Any  # how far the last run went in the random numbers; None where that is not known
    until: float  # by `time.monotonic`: when the time is over, also for runs that only try what is faster

    def bind(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by their names. Raises UserError where the model does not take them."""

    def free(self) -> Sequence[str]:
        """The names of the arguments that a call may hold besides."""

    def kept(self) -> AbstractContextManager[None]:
        """Give back weights, buffers, modes, hooks, gradients and random numbers, however it ends."""

    def run(self, arguments: Mapping[str, Any], manner: Manner) -> Any:
        """The model's results, arrays of numpy in the structure that it returns. Raises RunFailed."""

    def trace(self, arguments: Mapping[str, Any], manner: Manner, patches: Mapping[Key, Patch]) -> Traced:
        """`run`, with every call of a layer; `patches` change what some of them return."""

    def embeddings(self, arguments: Mapping[str, Any], manner: Manner, change: Change) -> Any:
        """`run`, with `change` made to what embedding layers return; None where the model calls none."""

    def rule(self, layer: Key, arguments: Mapping[str, Any], lengths: Array, final: Array | None) -> Any:
        """What is found of that call, recorded (`lengths` `[B]`; `final` `[B, H]`: the state that is used), or None."""


@dataclass(frozen=True)
class Framework:
    """A framework whose models can be checked. Each file of `frameworks/` with a FRAMEWORK is one.

    `recognises(model, inputs)`: whether the model is one of its own; it imports nothing. `wrap(model)`: the model as
    the check runs it. `load(path)`: a model from a file with one of `suffixes`, with no code run that the file holds.
    """

    name: str
    models: str
    recognises: Callable[[Any, Sequence[Any]], bool]
    wrap: Callable[[Any], LiveModel]
    suffixes: tuple[str, ...] = ()
    load: Callable[[str], Any] | None = None


def one_line(error: BaseException, width: int = 160) -> str:
    """An error in one line.

    >>> one_line(ValueError("a\\nb"))
    'ValueError: a b'
    """
    text = " ".join(str(error).split())
    text = text if len(text) <= width else f"{text[: width - 3]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
