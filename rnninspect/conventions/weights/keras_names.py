"""The names that Keras gives to variables, by part or numbered as in `.weights.h5`, to stacked cells and to layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rnninspect.conventions.dumps.writer import DumpNames
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array
from rnninspect.core.weights import LayerWeights, Weights

WORDS = ("forward", "backward")
_CLASSES = {"lstm": "lstm", "gru": "gru", "rnn": "simple_rnn"}
_BY_NUMBER = ("kernel", "recurrent_kernel", "bias")  # the order of a cell's `vars` in `.weights.h5`
_NUMBERED = regex(r"(.*(?:^|/)cell(?:s/[^/]+)?/(?:cells/[^/]+/)?)vars/(\d+)")
_NO_LAYER = regex(r"layers|model_weights|cell|vars|\w*_cell(_\d+)?|(forward|backward)_.*")
_STACKED = regex(r"stacked_rnn_cells|(^|[/.])cells[/.]")


def by_part(name: str) -> str:
    """A numbered variable by its part.

    >>> by_part("layers/lstm/cell/vars/1"), by_part("lstm/kernel")
    ('layers/lstm/cell/recurrent_kernel', 'lstm/kernel')
    """
    match = _NUMBERED.fullmatch(name)
    if match is None:
        return name
    number = int(match[2])
    return match[1] + (_BY_NUMBER[number] if number < len(_BY_NUMBER) else f"vars_{number}")


def is_stacked(name: str) -> bool:
    """Whether a cell of that name is one of several within one RNN layer."""
    return _STACKED.search(name) is not None


def module_of(name: str) -> str | None:
    """The RNN layer that stacks the cell of that name with others, or None."""
    match = re.match(r"(.*?(?:stacked_rnn_cells|(?:^|/)cells))/", name)
    return match[1] if match else None


def layer_names(scopes: Sequence[str], layers: int, names: DumpNames) -> list[str]:
    """The layers' own names, or those that Keras gives: `lstm`, `lstm_1`, …"""
    paths = [[part for part in re.split(r"[/.]", scope) if not _NO_LAYER.fullmatch(part)] for scope in scopes]
    if len(layer_names := list(dict.fromkeys(parts[-1] for parts in paths if parts))) == layers:
        return layer_names
    stem = "bidirectional" if names.bidirectional else "lstm" if names.has_cell else "gru"
    return [f"{stem}_{k}" if k else stem for k in range(layers)]


def numbered(weights: Weights, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays that `prefix_of` names, under the paths that a Sequential model of these layers has in `.weights.h5`."""
    paths: dict[str, Array] = {}
    for w in weights.layers:
        for number, part in enumerate(_BY_NUMBER):
            paths[f"{_path_of(weights, w)}vars/{number}"] = arrays[prefix_of(weights, w) + part]
    return paths


def _path_of(weights: Weights, w: LayerWeights) -> str:
    cell = _CLASSES[weights.spec.cell]
    number = f"_{w.layer}" if w.layer else ""
    half = f"{WORDS[w.direction == 'backward']}_layer/"
    if weights.between == "apart" and weights.depth > 1:
        outer = f"layers/bidirectional/{half}" if len(weights.directions) > 1 else "layers/rnn/"
        return f"{outer}cell/cells/{cell}_cell{number}/"
    if len(weights.directions) > 1:
        return f"layers/bidirectional{number}/{half}cell/"
    return f"layers/{cell}{number}/cell/"


def prefix_of(weights: Weights, w: LayerWeights) -> str:
    """What the names of one layer's variables begin with, where they are written."""
    cell = _CLASSES[weights.spec.cell]
    number = f"_{w.layer}" if w.layer else ""
    if weights.between == "apart" and weights.depth > 1:
        way = f"bidirectional/{WORDS[w.direction == 'backward']}_" if len(weights.directions) > 1 else ""
        return f"{way}rnn/stacked_rnn_cells/{cell}_cell{number}/"
    if len(weights.directions) == 1:
        return f"{cell}{number}/" if weights.depth > 1 else ""
    outer = f"bidirectional{number}/" if weights.depth > 1 else ""
    return f"{outer}{WORDS[w.direction == 'backward']}_{cell}{number}/"
