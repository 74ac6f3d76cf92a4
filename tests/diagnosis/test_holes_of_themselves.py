"""Steps that repeat the one before without a mask: a run that converged, units that saturated, gates that are shut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect

CELLS = [torch.nn.RNN, torch.nn.GRU, torch.nn.LSTM]
LENGTHS = [50, 40, 31, 12, 22, 50, 18, 44]


def ran(layer: Any, x: torch.Tensor, lengths: list[int]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(outputs `[B, T, D*H]`, h `[D, B, H]`) of a packed run, as a user writes it."""
    with torch.no_grad():
        packed, state = layer(pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False))
    h = state[0] if isinstance(state, tuple) else state
    return pad_packed_sequence(packed, batch_first=True)[0].numpy(), h.numpy()


def held(outputs: np.ndarray[Any, Any], row: int, steps: range) -> np.ndarray[Any, Any]:
    """The same with steps of a row masked, as Keras' Masking leaves a forward layer's outputs."""
    masked = outputs.copy()
    masked[row, steps.start : steps.stop] = masked[row, steps.start - 1]
    return masked


def rules_of(outputs: Any, h: Any, lengths: list[int]) -> set[str]:
    report = rnninspect.inspect(outputs, h, lengths=lengths, batch_first=True)
    return {f.rule for f in report.findings if f.severity != "note"}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("units", [2, 4, 16])
@pytest.mark.parametrize("seed", range(3))
def test_frames_that_stay_the_same(cell: Any, units: int, seed: int) -> None:
    """A right run converges over sixty equal frames and is not accused; steps masked while it moves are holes."""
    torch.manual_seed(seed)
    x, lengths = torch.randn(4, 90, 3), [90, 40, 70, 90]
    x[:, 10:70] = x[:, 10:11].clone()
    outputs, h = ran(cell(3, units, batch_first=True), x, lengths)
    assert rules_of(outputs, h, lengths) == set()
    assert rules_of(held(outputs, 0, range(4, 6)), h, lengths) == {"mask-hole"}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("units", [4, 8])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("seed", [1, 3, 5])
def test_inputs_that_saturate(cell: Any, units: int, bidirectional: bool, seed: int) -> None:
    """Inputs far beyond what a layer is made for saturate its units: two steps alike in all of them are no hole."""
    torch.manual_seed(seed)
    layer = cell(3, units, batch_first=True, bidirectional=bidirectional)
    x = (torch.cumsum(torch.randn(8, 50, 3), 1)).abs() * 20
    assert "mask-hole" not in rules_of(*ran(layer, x, LENGTHS), LENGTHS)


def test_one_direction_that_repeats_a_step() -> None:
    """A mask holds both directions: a step that one of them repeats is no hole, one that both repeat is."""
    torch.manual_seed(0)
    outputs, h = ran(torch.nn.GRU(3, 5, batch_first=True, bidirectional=True), torch.randn(8, 50, 3), LENGTHS)
    outputs[0, 7, :5] = outputs[0, 6, :5]
    assert "mask-hole" not in rules_of(outputs, h, LENGTHS)
    outputs[0, 7, 5:] = outputs[0, 8, 5:]
    assert "mask-hole" in rules_of(outputs, h, LENGTHS)
