"""The variables of one Keras cell: which cell, its biases, its half of a Bidirectional, and Keras 2's cuDNN layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnninspect.conventions.weights.scopes import Scope
from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.trace import Array
from rnninspect.core.wording import argument
from rnninspect.errors import UserError

_PARTS = ("kernel", "recurrent_kernel", "bias")
_CELLS: dict[int, Cell] = {4: "lstm", 3: "gru", 1: "rnn"}  # by the blocks in a kernel


def cell_of(scope: Scope) -> Cell | None:
    """The cell that has so many blocks; None where the recurrent kernel has no such shape."""
    kernel = scope.arrays.get("recurrent_kernel")
    if kernel is None or kernel.ndim != 2 or not kernel.shape[0] or kernel.shape[1] % kernel.shape[0]:
        return None
    return _CELLS.get(kernel.shape[1] // kernel.shape[0])


def biases_of(scope: Scope, spec: CellSpec, total: int, why: str) -> tuple[Array, Array | None]:
    """The bias, and the second one of a GRU that resets after the product; zeros where the layer has none."""
    two = spec.cell == "gru" and spec.reset_after
    biases = np.zeros((2, total) if two else (total,), dtype=scope.arrays["kernel"].dtype)
    if "bias" in scope.arrays:
        reset = f"; a GRU that resets {'after' if two else 'before'} the product" if spec.cell == "gru" else ""
        biases = scope.need("bias", biases.shape, why + reset)
    return (biases[0], biases[1]) if two else (biases, None)


def reset_after(scopes: Sequence[Scope]) -> bool | None:
    """How GRUs reset by their biases: `[3H]` before the product, `[2, 3H]` after; None where the first has no bias.

    Raises UserError where some do and some do not, which one run cannot compute.
    """
    biased = {scope.path_of("bias"): scope for scope in scopes if "bias" in scope.arrays}
    after = {path: scope.arrays["bias"].ndim == 2 or is_cudnn(scope) for path, scope in biased.items()}
    if len(set(after.values())) == 2:
        yes, no = (next(path for path, holds in after.items() if holds is wanted) for wanted in (True, False))
        raise UserError(
            f"these GRUs differ in reset_after: {yes} {list(biased[yes].arrays['bias'].shape)} is of one that resets "
            f"after the product, {no} {list(biased[no].arrays['bias'].shape)} before it; pick one with "
            f"{argument('weights_prefix')}, {yes.rpartition('/cell/')[0] or yes.rpartition('/')[0]} or the other"
        )
    return after[scopes[0].path_of("bias")] if "bias" in scopes[0].arrays else None


def is_cudnn(scope: Scope) -> bool:
    """Whether a cell is of Keras 2's CuDNNLSTM or CuDNNGRU: two biases, one behind the other."""
    kernel, bias = scope.arrays.get("recurrent_kernel"), scope.arrays.get("bias")
    if kernel is None or bias is None or kernel.ndim != 2 or not kernel.shape[0]:
        return False
    return bias.ndim == 1 and bias.size == 2 * kernel.shape[1] and kernel.shape[1] // kernel.shape[0] in (3, 4)


def from_cudnn(scope: Scope) -> Scope:
    """The cell with its variables as an LSTM or GRU has them: cuDNN keeps the block of each gate transposed.

    As keras/saving/hdf5_format.py (Keras 2) converts them, `_convert_rnn_weights`.
    """
    if not is_cudnn(scope) or "kernel" not in scope.arrays:
        return scope
    kernel, recurrent, bias = (np.asarray(scope.arrays[part]) for part in _PARTS)
    gates = recurrent.shape[1] // recurrent.shape[0]
    if kernel.ndim != 2 or kernel.shape[1] != recurrent.shape[1]:
        return scope
    inputs = [block.reshape(block.shape[::-1]).T for block in np.hsplit(kernel, gates)]
    both = bias.reshape(2, -1)
    arrays = {
        "kernel": np.hstack(inputs),
        "recurrent_kernel": np.hstack([block.T for block in np.hsplit(recurrent, gates)]),
        "bias": both.sum(axis=0) if gates == 4 else both,
    }
    return replace(scope, arrays={**scope.arrays, **arrays})


def halved(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """The cells, each with its direction: the `backward_layer` that a Bidirectional was given keeps its own name."""
    return tuple(_backward_of(scope, scopes) or scope for scope in scopes)


def _backward_of(scope: Scope, scopes: Sequence[Scope]) -> Scope | None:
    """That cell as a backward one, where the only other cell beside it is called a forward one."""
    parts = scope.name.split("/")
    for at in range(len(parts) - 1, 0, -1):
        beside = [other.name.split("/")[at:] for other in scopes if other.name.split("/")[:at] == parts[:at]]
        if len(beside) > 2:
            return None
        if scope.direction is None and len(beside) == 2 and any(p[0].startswith("forward_") for p in beside if p):
            return replace(
                scope, name="/".join([*parts[:at], f"backward_{parts[at]}", *parts[at + 1 :]]), direction="backward"
            )
    return None
