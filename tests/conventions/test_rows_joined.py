"""Outputs `[sum of lengths, H]` beside lengths: rows one behind the other (`outputs[mask]`), or packed by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = torch.tensor([9, 4, 7, 2, 6])


def _ran(kind: str, both: bool) -> tuple[Any, Any, Any]:
    """Outputs `[B, T, H]`, h, and the PackedSequence's data of a right run."""
    torch.manual_seed(4)
    layer = getattr(torch.nn, kind)(4, 6, batch_first=True, bidirectional=both)
    pack = torch.nn.utils.rnn.pack_padded_sequence(
        torch.randn(5, 9, 4), LENGTHS, batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        packed, state = layer(pack)
    h = state[0] if kind == "LSTM" else state
    return torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0], h, packed.data


@pytest.mark.parametrize("both", [False, True], ids=["one direction", "two directions"])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_the_order_is_told_by_the_states(kind: str, both: bool) -> None:
    """Either order is clean, and in either rows in another order, and another row's step, are named and not clean."""
    outputs, h, packed = _ran(kind, both)
    joined = outputs[torch.arange(9) < LENGTHS[:, None]]
    for flat in (joined, packed):
        assert rnninspect.inspect(flat, h, lengths=LENGTHS).verdict == "clean"
        moved = rnninspect.inspect(flat, h[:, [1, 0, 3, 4, 2]], lengths=LENGTHS)
        assert [f.rule for f in moved.findings] == ["rows-permuted"]
    ends = np.cumsum(LENGTHS.numpy())
    if not both:
        assert rnninspect.inspect(joined, joined[ends - 1], lengths=LENGTHS).verdict == "clean"
        before = rnninspect.inspect(joined, joined[ends - 2], lengths=LENGTHS)
        assert [f.rule for f in before.findings] == ["off-by-one-length"]
