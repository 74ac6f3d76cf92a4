"""What a grammar of printed arrays finds in a text: literals, containers of them, and numbers that make no array."""

from __future__ import annotations

from dataclasses import dataclass, field

from rnninspect.core.precision import Precision
from rnninspect.core.trace import Array


@dataclass(frozen=True, eq=False)
class Literal:
    """One array, and the text that it was read from. `gaps`: by axis, how many entries stand before its `...`.

    `wrapped`: it stood in `array(…)`, `tensor(…)` or the like. `keywords`: what that says beside the numbers.
    `precision`: where the text from `start` to `end` alone does not tell it.
    """

    values: Array
    start: int
    end: int
    gaps: dict[int, int] = field(default_factory=dict)
    wrapped: bool = False
    keywords: dict[str, str] = field(default_factory=dict)
    precision: Precision | None = None


@dataclass(frozen=True, eq=False)
class Group:
    """Values in a container: its bracket, the name before it (`LSTMStateTuple`), and its items, some with a key."""

    bracket: str
    name: str
    items: tuple[tuple[str | None, Node], ...]
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Plain:
    """A number, a word or a quoted text on its own: no array."""

    text: str


@dataclass(frozen=True, eq=False)
class Broken:
    """Numbers in brackets that make no array. `at`: where that shows; `rows`: whole rows until there."""

    start: int
    at: int
    why: str
    rows: int


Node = Literal | Group | Plain
