"""Whether a layer reads a tensor of the model's arguments as it is: row by row and step by step, nothing moved."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rnninspect.core.trace import Array, Bools, Ints, prefix_mask


def reads_directly(inputs: Array, lengths: Ints, arguments: Iterable[Array]) -> bool:
    """Whether the real steps of `inputs` `[B, T, F]` are those of an argument, in its own rows and steps.

    An argument is `[B, T, F]` with the same vectors, or token numbers `[B, T]` that the vectors follow (an embedding);
    either may be time-major. False where the rows are too alike to show that none was moved.
    """
    return any(_is_read(inputs, lengths, way) for array in arguments for way in _both_ways(array))


def _both_ways(array: Array) -> list[Array]:
    """The array batch-major, if it has rows and steps: as it is, and with its first two axes exchanged."""
    return [array, array.swapaxes(0, 1)] if array.ndim in (2, 3) else []


def _is_read(inputs: Array, lengths: Ints, array: Array) -> bool:
    rows, steps = inputs.shape[:2]
    if array.shape[0] != rows or array.shape[1] < steps:
        return False
    real = prefix_mask(lengths, steps)
    if array.ndim == 2:
        return bool(array.dtype.kind in "iu") and _embeds(inputs, array[:, :steps], real)
    if array.shape[2] != inputs.shape[2] or not (array[:, :steps][real] == inputs[real]).all():
        return False
    begins = array[:, : max(int(lengths.min()), 1)].reshape(rows, -1)
    return bool(len(np.unique(begins, axis=0)) == rows)


def _embeds(inputs: Array, tokens: Array, real: Bools) -> bool:
    """Whether each token `[B, T]` has one vector, as it has not once the tokens are moved by a row, or by a step."""
    moved = [np.roll(tokens, 1, axis) for axis in (0, 1) if tokens.shape[axis] > 1]
    return _one_vector_each(inputs[real], tokens[real]) and not any(
        _one_vector_each(inputs[real], other[real]) for other in moved
    )


def _one_vector_each(vectors: Array, tokens: Array) -> bool:
    """Whether equal tokens `[N]` have equal vectors `[N, F]`, and others others."""
    order = np.argsort(tokens, kind="stable")
    same_token = tokens[order][1:] == tokens[order][:-1]
    same_vector = (vectors[order][1:] == vectors[order][:-1]).all(-1)
    return bool((same_token == same_vector).all())
