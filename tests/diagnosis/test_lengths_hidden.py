"""Lengths that were ignored are named where another mistake, a wider batch or units that are shut could hide it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import rnninspect

LENGTHS = torch.tensor([7, 3, 6, 2])


def _layer(kind: str, **more: Any) -> tuple[torch.nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    layer = getattr(torch.nn, kind)(3, 5, batch_first=True, **more)
    return layer.requires_grad_(False), torch.randn(4, 9, 3)


def _h(kind: str, state: Any) -> torch.Tensor:
    return state[0] if kind == "LSTM" else state


def _errors(*arrays: Any, **more: Any) -> list[str]:
    report = rnninspect.inspect(*arrays, lengths=LENGTHS, **more)
    assert not any(f.unexplained for f in report.findings)
    return [f.rule for f in report.findings if f.severity != "note"]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("weighed", [False, True])
def test_beside_a_state_given_to_all_layers(kind: str, weighed: bool) -> None:
    """The top layer's state, given to both, is of the last column; where it is right, that it was shared is all."""
    layer, x = _layer(kind, num_layers=2)
    more = {"inputs": x, "weights": layer} if weighed else {}
    outputs, state = layer(x)
    right = outputs[torch.arange(4), LENGTHS - 1]
    assert _errors(outputs, torch.stack([_h(kind, state)[-1]] * 2), **more) == ["layers-share-state", "lengths-ignored"]
    assert _errors(outputs, torch.stack([right] * 2), **more) == ["layers-share-state"]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_beside_a_lower_layer(kind: str) -> None:
    """A run over every step ends in all of the lower layer's states; of a packed run they are right in their layer."""
    layer, x = _layer(kind, num_layers=2)
    x = x[:, :7]
    outputs, state = layer(x)
    assert _errors(outputs, _h(kind, state)[0], inputs=x, weights=layer) == ["wrong-layer", "lengths-ignored"]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    packed_outputs, state = layer(packed)
    assert _errors(packed_outputs, _h(kind, state)[0], inputs=x, weights=layer) == ["wrong-layer"]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("cut", [False, True])
def test_in_a_batch_wider_than_its_rows(kind: str, cut: bool) -> None:
    """The column is the longest row's last, whether the run went on behind it or not; right states are right."""
    layer, x = _layer(kind)
    outputs = layer(x)[0]
    if cut:
        outputs[:, 7:] = 0
    assert _errors(outputs, outputs[:, 6]) == ["lengths-ignored"]
    assert _errors(outputs, outputs[torch.arange(4), LENGTHS - 1]) == []


def test_both_directions_of_a_batch_wider_than_its_rows() -> None:
    """The forward half has read padding, the backward half is of its first step, and no row goes on from another."""
    layer, x = _layer("GRU", bidirectional=True)
    x[torch.arange(9) >= LENGTHS[:, None]] = 0
    outputs = layer(x)[0]
    errors = _errors(outputs, outputs[:, 6], inputs=x, weights=layer, bidirectional=True)
    assert set(errors) == {"lengths-ignored", "backward-final-at-last-step", "backward-read-padding"}


@pytest.mark.parametrize("zeroed", [False, True])
def test_a_row_of_shut_units(zeroed: bool) -> None:
    """A state of zeros in the last column is the computed one where every other row's is; of zeroed padding not."""
    layer, x = _layer("RNN", nonlinearity="relu")
    outputs = layer(x)[0]
    outputs[1, 5:] = 0
    if zeroed:
        outputs[torch.arange(9) >= LENGTHS[:, None]] = 0
    assert _errors(outputs, outputs[:, -1]) == (["last-column-as-final-state"] if zeroed else ["lengths-ignored"])


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("rows", [[0], [0, 1, 2, 3]])
def test_a_lower_h_that_was_never_written_beside_its_c(weighed: bool, rows: list[int]) -> None:
    """Zeros of h are none that an LSTM gives where its c is not zero; h and c of a right run are left alone."""
    layer, x = _layer("LSTM", num_layers=2)
    x = x[:, :7]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    outputs, (h, c) = layer(packed)
    more = {"inputs": x, "weights": layer} if weighed else {}
    assert _errors(outputs, (h, c), **more) == []
    h[0, rows] = 0
    assert _errors(outputs, (h, c), **more) == ["state-never-written"]
