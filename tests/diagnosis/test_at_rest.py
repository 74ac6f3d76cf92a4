"""A layer that is at rest computes the same numbers again: no held carry, kept buffer or early end is proven."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect

ROWS = torch.arange(6)


def errors(outputs: Any, state: Any, lengths: Any, **more: Any) -> list[str]:
    report = rnninspect.inspect(outputs, state, lengths=lengths, **more)
    return [f.rule for f in report.findings if f.severity != "note"]


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_saturated_layers_are_not_accused(kind: str) -> None:
    """Prices that nobody scaled: packed, or unpacked and gathered, with their inputs or without."""
    lengths = torch.tensor([12, 5, 9, 3, 7, 11])
    for seed in (1, 4, 8):
        torch.manual_seed(seed)
        x = 30000 + 50 * torch.randn(6, 12, 4).cumsum(1)
        layer = getattr(nn, kind)(4, 8 if seed % 2 else 3, batch_first=True)
        with torch.no_grad():
            out, state = layer(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
            packed, unpacked = pad_packed_sequence(out, batch_first=True)[0], layer(x)[0]
        for more in ({}, {"inputs": x}):
            assert errors(packed, state, lengths, **more) == []
            assert errors(unpacked, unpacked[ROWS, lengths - 1], lengths, **more) == []


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_silence_before_the_end_is_no_held_carry(kind: str) -> None:
    """Rows that end in silence, as the padding is: computed padding repeats to the bit. Held from the last real step
    on, where the layer still moves, it is named."""
    lengths = torch.tensor([200, 150, 170, 140, 190, 160])
    torch.manual_seed(5)
    layer = getattr(nn, kind)(4, 3, batch_first=True)
    for end in (20, 200):
        x = torch.randn(6, 200, 4)
        x[:, end:] = 0
        with torch.no_grad():
            out = layer(x)[0]
        state = out[ROWS, lengths - 1]
        assert errors(out, state, lengths, convention="torch") == []
    for row, n in enumerate(lengths):
        out[row, n:] = out[row, n - 1]
    assert errors(out, state[None], lengths, convention="torch") == ["padding-repeats-last-output"]


def test_a_kept_buffer_is_still_told() -> None:
    """One buffer for all steps, of units that inputs would move; a run that ended early repeats such a step too."""
    rng = np.random.default_rng(0)
    state = rng.uniform(-0.7, 0.7, (6, 4)).astype("float32")
    outputs = np.repeat(state[:, None], 9, 1)
    assert errors(outputs, state, np.array([9, 4, 7, 9, 5, 8]), padding="zero") == ["outputs-aliased"]
