"""The part of an array's name that names its layer, and the arrays of the layer that a user picks."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rnninspect.core.frozen import frozen
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array
from rnninspect.core.wording import argument
from rnninspect.errors import UnknownNameError, UserError

# The part of a scope's name from which on it speaks of one direction or cell within a layer.
_INNER = regex(r"(forward|backward|fw|bw)(_\w+)?|(\w+_)?cells?(_\d+)?")


def layer_of(scope: str) -> str:
    """The name of the layer, or of the whole stack, that a cell's scope lies in.

    >>> layer_of("layers/bidirectional/forward_layer/cell"), layer_of("rnn/multi_rnn_cell/cell_0/lstm_cell")
    ('layers/bidirectional', 'rnn')
    >>> layer_of("encoder.lstm"), layer_of("cell")
    ('encoder.lstm', 'cell')
    """
    end = 0
    for part in re.finditer(r"[^/.]+", scope):
        if _INNER.fullmatch(part[0]) and end:
            break
        end = part.end()
    return scope[:end]


def pick(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The arrays of the layer that `prefix` names: whole parts of their names, at the beginning or further in.

    `lstm_1` picks `layers/lstm_1/cell/kernel`, and not `lstm_10/…`; a beginning that ends within a part is taken where
    no whole parts fit. Several, `lstm,lstm_1`, pick the layers of each. Raises UnknownNameError with the layers that
    there are.

    >>> list(pick({"a.lstm.weight_ih_l0": 0, "a.lstm_1.weight_ih_l0": 0, "b": 0}, "lstm"))
    ['a.lstm.weight_ih_l0']
    """
    if "," in prefix and not any(prefix in name for name in arrays):
        chosen = {name for one in prefix.split(",") for name in pick(arrays, one.strip())}
        return {name: array for name, array in arrays.items() if name in chosen}
    wanted = "/".join(_parts(prefix))
    paths = {name: "/".join(_parts(name)) for name in arrays}
    for fits in (
        lambda path: f"{path}/".startswith(f"{wanted}/"),
        lambda path: f"/{wanted}/" in f"/{path}/",
        lambda path: path.startswith(wanted),
    ):
        picked = {name: array for name, array in arrays.items() if fits(paths[name])}
        if picked and wanted:
            return picked
    layer_names = dict.fromkeys(
        layer_of(name.rpartition("/")[0] if "/" in name else name.rpartition(".")[0]) for name in arrays
    )
    raise UnknownNameError(
        f"layer for {argument('weights_prefix')}", prefix, [name for name in layer_names if name] or list(arrays)
    )


def pick_called(arrays: Mapping[str, Array], prefix: str, called: Mapping[str, str]) -> dict[str, Array]:
    """What `pick` picks, where `prefix` may also be a layer's own name; `called`: the paths of layers by these names.

    Raises UserError where a name is another layer's path as well, and what `pick` raises.

    >>> paths = {"encoder": "layers.lstm", "decoder": "layers.lstm_1"}
    >>> list(pick_called({"layers/lstm/cell": 0, "layers/lstm_1/cell": 0}, "decoder", paths))
    ['layers/lstm_1/cell']
    """
    parts = {part for name in arrays for part in _parts(name)}
    held = {"/".join(_parts(name)) + "/" for name in arrays}
    in_full = []
    for one in map(str.strip, prefix.split(",") if prefix not in called else [prefix]):
        path = "/".join(_parts(called.get(one, "")))
        if not path or not any(name.startswith(f"{path}/") for name in held):
            in_full.append(one)
            continue
        in_full.append(path)
        if one in parts and set(pick(arrays, one)) != set(pick(arrays, path)):
            other = layer_of(next(iter(pick(arrays, one))))
            raise UserError(
                f"{argument('weights_prefix', one)}: the layer called {one} lies at {path}, and {other} is another "
                "layer; give the path in full"
            )
    return pick(arrays, ",".join(in_full))


def likely_weights(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays that may be weights: no single numbers and, where others are fractions, no whole numbers.

    A checkpoint holds a vocabulary, step counts and sizes too, and their names may be those of weights.

    >>> import numpy as np
    >>> list(likely_weights({"ids.W": np.array(3), "order": np.arange(2), "weight_ih_l0": np.ones((4, 2))}))
    ['weight_ih_l0']
    """
    held = {name: array for name, array in arrays.items() if array.ndim}
    fractions = {name: array for name, array in held.items() if array.dtype.kind == "f"}
    return fractions or held


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"[/.]", name) if part]


@frozen
class LayerOverview:
    """One layer of a file, or one stack under one name: as it is listed, to be picked by its name.

    `problem`: why it cannot be read; then the numbers are 0. `reads`: what feeds it, where the file says.
    """

    name: str
    cells: str
    layers: int
    directions: int
    features: int
    units: int
    reads: str = ""
    problem: str = ""

    def __str__(self) -> str:
        """`encoder: lstm, 2 layers, both directions, 3 features, 5 units; reads the input x`."""
        parts = [self.cells]
        parts += [f"{self.layers} layers"] if self.layers > 1 else []
        parts += ["both directions"] if self.directions > 1 else []
        parts += [f"{self.features} features", f"{self.units} units"]
        return f"{self.name or 'unnamed'}: {self.problem or ', '.join(parts)}{self.reads and '; reads ' + self.reads}"
