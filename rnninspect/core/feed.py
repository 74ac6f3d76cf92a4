"""Feed: what one layer of a model reads, as the model's file says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rnninspect.core.frozen import frozen
from rnninspect.core.regex import regex


@frozen
class Feed:
    """What a recurrent layer reads. `reads`: in words (`the outputs of lstm, through dropout`).

    `below`: the one recurrent layer whose outputs, all steps of them, reach it with their values as they are; None
    where something else does. `unchanged`: what stands between the two and changes no value (`Dropout`).
    `called`: the layer's own name, where its weights lie under another.
    """

    reads: str
    below: str | None = None
    unchanged: tuple[str, ...] = ()
    called: str = ""


NO_FEEDS: Mapping[str, Feed] = {}


def path_parts(name: str) -> tuple[str, ...]:
    """The parts of a layer's or a scope's name, between slashes and dots.

    >>> path_parts("/encoder/lstm.W")
    ('encoder', 'lstm', 'W')
    """
    return tuple(part for part in re.split(r"[/.]", name) if part)


def owners(scope: str, layers: Iterable[str]) -> tuple[str, ...]:
    """The layers of a file that hold the cell of a scope, the outermost first; the empty name is every cell's.

    The parts of a layer's name follow one another in the scope's. Where Keras renamed a scope, parts of its own stand
    between them, and a Bidirectional's halves go by their direction. Of several it is the outermost that counts.

    >>> owners("wrap_1/wrap_1_1/forward_lstm", ["lstm", "wrap_1", "wrap_1/forward_gru"])
    ('wrap_1', 'wrap_1/forward_gru')
    >>> owners("encoder/lstm/cell", ["lstm", "encoder/lstm", "encoder/lstm_1"])
    ('encoder/lstm',)
    """
    inside = path_parts(scope)
    parts = {layer: path_parts(layer) for layer in layers}
    starts = {layer: _start(names, inside) for layer, names in parts.items()}
    first = min((start for start in starts.values() if start is not None and start >= 0), default=0)
    held = [layer for layer, start in starts.items() if start in (-1, first)]
    whole = [len(parts[layer]) for layer in held if _is_run(parts[layer], inside, first)]
    held = [
        layer for layer in held if _is_run(parts[layer], inside, first) or len(parts[layer]) > max(whole, default=0)
    ]
    return tuple(sorted(held, key=lambda layer: len(parts[layer])))


# What Keras' own files call the groups of layers and cells: paths with these are whole, with nothing between.
_GROUPS = frozenset({"layers", "cells", "cell", "forward_layer", "backward_layer"})
_HALF = regex(r"(forward|backward)_")


def _start(layer: tuple[str, ...], scope: tuple[str, ...]) -> int | None:
    """Where the layer's parts begin among the scope's; -1 for a layer without a name, None where they do not."""
    if not layer:
        return -1
    if _GROUPS & {*layer}:
        return next((at for at in range(len(scope)) if _is_run(layer, scope, at)), None)
    if layer[0] not in scope:
        return None
    at = start = scope.index(layer[0])
    for part in layer[1:]:
        at = next((i for i in range(at + 1, len(scope)) if _alike(part, scope[i])), len(scope))
    return start if at < len(scope) else None


def _is_run(layer: tuple[str, ...], scope: tuple[str, ...], at: int) -> bool:
    """Whether the layer's parts stand in the scope from that place on, with nothing between."""
    return scope[at : at + len(layer)] == layer


def _alike(part: str, other: str) -> bool:
    halves = _HALF.match(part), _HALF.match(other)
    return part == other or (halves[0] is not None and halves[1] is not None and halves[0][0] == halves[1][0])
