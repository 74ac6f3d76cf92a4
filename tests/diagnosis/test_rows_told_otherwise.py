"""Rows in another order beneath what equals no output of h: pooled states, and outputs that hold c."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect

LENGTHS = [13, 4, 9, 2, 11, 6]
ORDERS = [[3, 0, 5, 1, 4, 2], [5, 4, 3, 2, 1, 0], [1, 2, 3, 4, 5, 0]]
PAIR = {"outputs-are-cell-state", "rows-permuted"}


def packed_run(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Outputs `[6, 13, 7]` and lengths of a right packed GRU."""
    torch.manual_seed(seed)
    packed = pack_padded_sequence(torch.randn(6, 13, 5), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    with torch.no_grad():
        outputs, _ = torch.nn.GRU(5, 7, batch_first=True)(packed)
    return pad_packed_sequence(outputs, batch_first=True)[0].numpy(), np.array(LENGTHS)


def cells_of(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """c after every step `[6, 8, 7]`, and the final h and c, of a loop over an LSTM cell."""
    torch.manual_seed(seed)
    cell, x = torch.nn.LSTMCell(5, 7), torch.randn(6, 8, 5)
    h = c = torch.zeros(6, 7)
    steps = []
    with torch.no_grad():
        for step in range(8):
            h, c = cell(x[:, step], (h, c))
            steps.append(c)
    return torch.stack(steps, 1).numpy(), h.numpy(), c.numpy()


def rules_of(*arrays: object, **more: object) -> set[str]:
    return {f.rule for f in rnninspect.inspect(*arrays, **more).findings}  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("pool", ["mean", "maximum", "sum", "mean with padding"])
def test_pools_of_other_rows(order: list[int], pool: str) -> None:
    """Whatever the order is, the pool tells the row that a state is of; in their own order, pools are all there is."""
    outputs, lengths = packed_run(order[0])
    real = (np.arange(13) < lengths[:, None])[..., None]
    pooled = {
        "mean": outputs.sum(1) / lengths[:, None].astype(np.float32),
        "maximum": np.where(real, outputs, -9).max(1),
        "sum": outputs.sum(1),
        "mean with padding": outputs.mean(1),
    }[pool]
    assert rules_of(outputs, pooled[order], lengths=lengths) >= {"pooled-state", "rows-permuted"}
    assert "rows-permuted" not in rules_of(outputs, pooled, lengths=lengths)


@pytest.mark.parametrize("order", ORDERS)
def test_outputs_of_c_beside_states_in_another_order(order: list[int]) -> None:
    """h and c are of one another, and both of other rows than the outputs, which hold c."""
    cells, h, c = cells_of(order[0])
    assert rules_of(cells, (h[order], c[order]), lengths="full") == PAIR
    assert rules_of(cells, (h, c), lengths="full") == {"outputs-are-cell-state"}


@pytest.mark.parametrize("order", ORDERS)
def test_exchanged_states_in_another_order(order: list[int]) -> None:
    """The twin: the outputs are h, and c stands in its place, which no |h| exceeds."""
    torch.manual_seed(order[0])
    with torch.no_grad():
        outputs, (h, c) = torch.nn.LSTM(5, 7, batch_first=True)(torch.randn(6, 8, 5))
    swapped = rules_of(outputs, c[0][order], cell_state=h[0][order], lengths="full")
    assert swapped == {"cell-hidden-swapped", "rows-permuted"}
