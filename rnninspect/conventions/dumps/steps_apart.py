"""Outputs that were saved step by step, as a list `[B, H]` a step (`outputs.0`, `outputs.1`, …): put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from rnninspect.conventions.dumps.names import PLAIN_NAMES, USUAL_NAMES
from rnninspect.conventions.dumps.shapes import match_name
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array

_STEP = regex(r"(?P<stem>.*?)[._/]?(?P<number>\d+)")
LEAST = 3  # steps that hold a state, where no name says that they are outputs
NEAR = 1e-4  # of the largest number: how print-outs of one number may differ
_SAVED = "arr"  # what numpy.savez calls arrays that were given no name


def with_steps_together(arrays: Mapping[str, Array], time_major: bool) -> dict[str, Array]:
    """The arrays with a list of steps `[B, H]` as one array `[B, T, H]`, or `[T, B, H]` of `time_major`.

    They are those of one name and all numbers, as TensorFlow's `static_rnn` returns them or a loop around a cell
    gathers or prints them, of as many rows as a state `[B, H]` beside them has, and where the name is not one of
    outputs, with that state among them; where there are as many steps as rows nothing tells them from rows. The arrays
    as they are where there are outputs of three axes, be they of one step beside states of several layers.

    >>> steps = {f"outputs.{t}": np.full((2, 3), t) * 1.0 for t in range(4)}
    >>> {name: a.shape for name, a in with_steps_together({**steps, "h": np.ones((2, 3))}, False).items()}
    {'outputs': (2, 4, 3), 'h': (2, 3)}
    """
    families: dict[str, dict[int, str]] = defaultdict(dict)
    for name, array in arrays.items():
        place = _STEP.fullmatch(name)
        if place and array.ndim == 2 and array.dtype.kind == "f":
            families[place["stem"]][int(place["number"])] = name
    for stem, by_number in families.items():
        if stem in arrays and arrays[stem].ndim == 2 and min(by_number) == 2:
            by_number[1] = stem  # a log prints `h` at every step; the reader numbers all but the first
        steps = [arrays[by_number[number]] for number in sorted(by_number)]
        others = {name: array for name, array in arrays.items() if name not in by_number.values()}
        by_layer = [f for f in families.values() if f is not by_number and sorted(f) == sorted(by_number)]
        layers = {other for family in by_layer for other in family.values()}  # h, c or initial states of as many layers
        states = {name: array for name, array in others.items() if name not in layers}
        if by_layer:  # then an array of the top layer's state alone may be outputs of one step
            states = {name: array for name, array in states.items() if array.ndim < 3}
        if _is_whole(by_number) and (_are_steps(stem, steps, others) or _hold_states(stem, by_number, steps, states)):
            return {"outputs": np.stack(steps, 0 if time_major else 1), **others}
    return dict(arrays)


def _is_whole(by_number: Mapping[int, str]) -> bool:
    """Whether the numbers leave none out, from 0 or 1 on."""
    return len(by_number) > 1 and sorted(by_number) in (
        list(range(len(by_number))),
        list(range(1, len(by_number) + 1)),
    )


def _are_steps(stem: str, steps: list[Array], others: Mapping[str, Array]) -> bool:
    if len({step.shape for step in steps}) > 1 or len(steps) == len(steps[0]):
        return False
    patterns = (*PLAIN_NAMES["outputs"], *USUAL_NAMES["outputs"])
    if any(array.ndim > 2 and any(match_name(pattern, name) for pattern in patterns) for name, array in others.items()):
        return False
    if any(array.ndim > 2 and array.size > len(steps) * steps[0].size for array in others.values()):
        return False  # it holds more steps than these would be, of which some may be states
    if not any(array.ndim in (2, 3) and array.shape[-2:] == steps[0].shape for array in others.values()):
        return False  # no state of these rows
    if stem == _SAVED:  # says nothing: others saved so may be the outputs, and some of these the states
        return not any(place["stem"] == _SAVED for place in map(_STEP.fullmatch, others) if place)
    return any(match_name(pattern, stem) for pattern in patterns)


def _hold_states(stem: str, by_number: Mapping[int, str], steps: list[Array], others: Mapping[str, Array]) -> bool:
    """Whether most rows of a state `[B, H]` among the others are rows of these steps, whose name may be any but that of
    states by layer; not where outputs of three axes are there."""
    if len(steps) < LEAST or len({step.shape for step in steps}) > 1 or len(steps) == len(steps[0]):
        return False
    patterns = (*PLAIN_NAMES["h"], *USUAL_NAMES["h"])
    if stem not in by_number.values() and any(match_name(pattern, stem) for pattern in patterns):
        return False
    width = steps[0].shape[1]
    if stem == _SAVED or any(
        a.ndim > 2
        and a.shape[-1] in (width, 2 * width)
        and a.size > a.shape[0] * width
        and a.shape[-2:] != steps[0].shape
        for a in others.values()
    ):
        return False
    rows = np.concatenate(steps).astype(np.float64)
    allowed = NEAR * float(np.abs(rows).max(initial=0.0))
    for array in others.values():
        if array.ndim in (2, 3) and array.shape[-2:] == steps[0].shape and array.size == steps[0].size:
            state = array.reshape(steps[0].shape)
            held = [bool((np.abs(rows - row).max(1) <= allowed).any()) and bool(row.any()) for row in state]
            if 2 * sum(held) > len(held):
                return True
    return False
