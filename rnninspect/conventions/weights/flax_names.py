"""Names of Flax's two trees: linen's, with a Dense for every gate, and nnx's, with gates side by side in two.

nnx (flax/nnx/nn/recurrent.py): `LSTMCell` has a Linear for every gate and calls one `if_`, which Python's `if` forbids;
`GRUCell` and `SimpleCell` have `dense_i` and `dense_h`, the latter without a bias. A list of modules is `layers/0`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from rnninspect.core.cell import Cell
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array
from rnninspect.engine import cells
from rnninspect.errors import UserError

_BEHIND = regex(r"/(raw_)?value$")  # a variable's number in a state of nnx
_IF = regex(r"(^|/)if_/")
_NNX = regex(r"[.]nnx[.][^.]+$")  # of a file: layer.nnx.npz


def normalised(name: str) -> str:
    """A variable's name as linen has it.

    >>> normalised("cell/if_/kernel/value"), normalised("if_/kernel")
    ('cell/if/kernel', 'if/kernel')
    """
    return _IF.sub(r"\1if/", _BEHIND.sub("", name))


def for_file(path: str, arrays: Mapping[str, Array], cell: Cell) -> dict[str, Array]:
    """The variables of linen under the names that such a file has: nnx's in `NAME.nnx.npz`, `NAME.nnx.msgpack`.

    `flax.serialization` keeps a tree of all of linen's variables, in which weights are the `params`.
    """
    if _NNX.search(path):
        return as_nnx(arrays, cell)
    return {f"params/{name}": array for name, array in arrays.items()} if path.endswith(".msgpack") else dict(arrays)


def as_nnx(arrays: Mapping[str, Array], cell: Cell) -> dict[str, Array]:
    """Linen's variables `…/cell/GATE/kernel` as nnx's; UserError where nnx has no such cell, or no place for a bias."""
    if cell not in ("lstm", "gru", "rnn"):
        raise UserError(f"Flax's nnx has no {cell} cell; write linen's names, without .nnx in the file's name")
    listed = {re.sub(r"^layers_(\d+)/", r"layers/\1/", name): array for name, array in arrays.items()}
    if cell == "lstm":
        return {re.sub("(^|/)if/", r"\1if_/", name): array for name, array in listed.items()}
    joined: dict[str, Array] = {}
    for stem in dict.fromkeys(name.rpartition("cell/")[0] + "cell/" for name in listed):
        letters = cells.get(cell).gates if cell == "gru" else ("",)
        inner = listed.get(f"{stem}hn/bias")
        if inner is not None and inner.any():
            raise UserError(
                "nnx.GRUCell has no bias of its own for the recurrent product of n, and this one's (hn/bias) is not 0; "
                "write linen's names, without .nnx in the file's name"
            )
        for side in "ih":
            joined[f"{stem}dense_{side}/kernel"] = np.concatenate(
                [listed[f"{stem}{side}{g}/kernel"] for g in letters], 1
            )
        joined[f"{stem}dense_i/bias"] = np.concatenate([listed[f"{stem}i{g}/bias"] for g in letters])
    return joined
