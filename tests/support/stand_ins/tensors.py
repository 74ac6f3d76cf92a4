"""Arrays with the methods of other frameworks' tensors that fixes call, and functions that several have alike."""

from __future__ import annotations

from typing import Any

import numpy as np


class Tensor(np.ndarray):
    """A numpy array that also answers to Paddle's and MXNet's names."""

    def unsqueeze(self, axis: int) -> Any:
        return np.expand_dims(self, axis)

    def expand_dims(self, axis: int) -> Any:
        return np.expand_dims(self, axis)

    def clone(self) -> Any:
        return self.copy()

    def flip(self, axis: int) -> Any:
        return np.flip(self, axis)

    def asnumpy(self) -> Any:
        return np.asarray(self)

    @property
    def at(self) -> Any:
        """Changed copies, as jax makes them."""
        return _At(self)


class _At:
    def __init__(self, array: Tensor) -> None:
        self.array = array

    def __getitem__(self, where: Any) -> Any:
        self.where = where
        return self

    def add(self, more: Any) -> Tensor:
        changed = self.array.copy()
        changed[self.where] += more
        return changed


def tensor(array: Any) -> Tensor:
    """A copy that a fix may write into."""
    return np.array(array).view(Tensor)


def mask_of(lengths: Any, steps: int, dtype: Any = bool) -> Tensor:
    """`[B, T]`: ones at the first `lengths[b]` steps."""
    return tensor((np.arange(steps) < np.asarray(lengths)[:, None]).astype(dtype))


def reversed_within(array: Any, lengths: Any, time: int, batch: int) -> Tensor:
    """The first `lengths[b]` steps of every row in the other order, the rest as it was."""
    moved = np.moveaxis(np.array(array), (batch, time), (0, 1))
    for row, length in zip(moved, lengths, strict=True):
        row[:length] = row[:length][::-1].copy()
    return tensor(np.moveaxis(moved, (0, 1), (batch, time)))
