"""Two final states without names, one a direction, beside outputs that hold both directions side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnninspect.conventions.dumps.cell_behind import are_pairs, ends_in
from rnninspect.core.evidence import Slot
from rnninspect.core.trace import DIRECTIONS, Array

_BACKWARD_FIRST = (("b", "f"), ("back", "for"), ("B", "F"), ("Back", "For"))


def states_of_halves(outputs: Sequence[Slot], states: Sequence[Slot]) -> tuple[Slot, ...]:
    """Of all that may be `outputs`, those `[B, T, 2H]` whose halves' steps are the rows of two `states` `[B, H]`, and
    these with their direction.

    An LSTM's c follow where they can be told from the h. Empty where none is so, or more than one.
    """
    read = [(slot, *pair) for slot in outputs if (pair := _pair(slot.array, states))]
    return read[0] if len(read) == 1 else ()


def _pair(outputs: Array, states: Sequence[Slot]) -> tuple[Slot, ...]:
    if outputs.ndim != 3 or outputs.shape[-1] % 2:
        return ()
    halves = np.split(outputs, 2, axis=-1)
    narrow = [s for s in states if s.array.ndim == 2 and s.array.shape[-1] == halves[0].shape[-1]]
    ends = [[s for s in narrow if ends_in(half, s.array)] for half in halves]
    if [len(end) for end in ends] != [1, 1] or ends[0][0] is ends[1][0]:
        return ()
    ends = ends[::-1] if _are_named_otherwise(ends[0][0].name, ends[1][0].name) else ends
    pair = tuple(replace(end[0], direction=d) for end, d in zip(ends, DIRECTIONS, strict=True))
    return (*pair, *_cells(pair, [s for s in narrow if s.name not in {end[0].name for end in ends}]))


def _are_named_otherwise(first: str, second: str) -> bool:
    """Whether names that differ by a direction alone call the first one backward and the second one forward.

    >>> _are_named_otherwise("bh", "fh"), _are_named_otherwise("h_f", "h_b"), _are_named_otherwise("h1", "h2")
    (True, False, False)
    """
    return any(
        first[: at.start()] + fore + first[at.end() :] == second
        for back, fore in _BACKWARD_FIRST
        for at in re.finditer(back, first)
    )


def _cells(pair: tuple[Slot, ...], rest: list[Slot]) -> tuple[Slot, ...]:
    """The c of both, in the order in which they stand, where each can have its h behind it."""
    if len(rest) != 2:
        return ()
    cells = tuple(replace(s, role="c", direction=d) for s, d in zip(rest, DIRECTIONS, strict=True))
    return cells if are_pairs(_arrays(pair), _arrays(cells)) else ()


def _arrays(slots: tuple[Slot, ...]) -> list[Array]:
    return [slot.array for slot in slots]
