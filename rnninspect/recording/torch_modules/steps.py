"""One step of a loop over a cell: what it read and returned; and states as the cells have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from rnninspect.core.arrays import to_array
from rnninspect.core.cell import Cell
from rnninspect.core.trace import Array
from rnninspect.recording.torch_modules.tensors import copied

State = tuple[Tensor, ...]  # (h, c) of an LSTM, (h,) of the others; `[B, H]` each


@dataclass(frozen=True, eq=False)
class Step:
    """One call of the cell: `inputs` `[B, F]`, the state that it returned, and the one that it read.

    `read` is None where that is the state which the step before returned, or zeros.
    """

    inputs: Tensor
    read: State | None
    returned: State


def stacked(steps: list[Array]) -> Array:
    """`[B, T, …]` of steps `[B, …]`, of which the later ones may have fewer rows."""
    rows = steps[0].shape[0]
    whole = [np.pad(s, ((0, rows - s.shape[0]), (0, 0))) if s.shape[0] < rows else s for s in steps]
    return np.stack(whole, 1)


def kind(module: nn.RNNCellBase) -> Cell | None:
    """The cell that a module computes, or None where it is none of torch's three."""
    kinds: tuple[tuple[type, Cell], ...] = ((nn.LSTMCell, "lstm"), (nn.GRUCell, "gru"), (nn.RNNCell, "rnn"))
    return next((cell for module_type, cell in kinds if isinstance(module, module_type)), None)


def state_of(state: Any) -> State | None:
    """The state as a tuple of tensors; None stays None."""
    return state if state is None or isinstance(state, tuple) else (state,)


def rows_of(state: State) -> State:
    """A copy of every tensor of a state, with a row axis."""
    return tuple(row_of(copied(tensor)) for tensor in state)


def row_of(tensor: Tensor) -> Tensor:
    """`[B, …]`, also of a call without a batch axis."""
    return tensor[None] if tensor.dim() == 1 else tensor


def second(state: State, order: Any) -> Array | None:
    """c `[B, H]` of a state with rows in that order; None where it is h alone."""
    return to_array(state[1], "c_0")[order] if len(state) > 1 else None
