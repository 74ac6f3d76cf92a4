"""h and c exchanged in one direction alone: fix exchanges these, and leaves the other half as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = np.array([9, 3, 6, 1, 8])
NAMES = ["forward_h", "forward_c", "backward_h", "backward_c"]


def _right(seed: int) -> dict[str, Any]:
    """What a bidirectional LSTM returned, packed: outputs `[B, T, 2H]`, and h and c `[B, H]` of both directions."""
    torch.manual_seed(seed)
    layer = torch.nn.LSTM(4, 6, batch_first=True, bidirectional=True)
    with torch.no_grad():
        packed, (h, c) = layer(
            torch.nn.utils.rnn.pack_padded_sequence(
                torch.randn(5, 9, 4), torch.from_numpy(LENGTHS), batch_first=True, enforce_sorted=False
            )
        )
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    states = [h[0].numpy(), c[0].numpy(), h[1].numpy(), c[1].numpy()]
    return {"outputs": outputs.numpy(), "lengths": LENGTHS} | dict(zip(NAMES, states, strict=True))


@pytest.mark.parametrize("halves", [("forward",), ("backward",), ("forward", "backward")])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_halves_that_were_exchanged_are_exchanged_back(halves: tuple[str, ...], seed: int) -> None:
    """Every array is what the run returned, and those of the right half were not touched."""
    right = _right(seed)
    wrong = dict(right)
    for half in halves:
        wrong[f"{half}_h"], wrong[f"{half}_c"] = right[f"{half}_c"], right[f"{half}_h"]
    fixed = rnninspect.fix(wrong, convention="keras")
    assert fixed.report.verdict == "clean"
    assert all(np.array_equal(fixed.arrays[name], right[name]) for name in NAMES)
    changed = {name for change in fixed.changes for name in change.arrays}
    assert changed == {f"{half}_{state}" for half in halves for state in "hc"}
