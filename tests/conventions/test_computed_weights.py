"""Weights that a live torch layer computes from others are those that its run used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from torch.nn.utils.rnn import pack_padded_sequence

import rnninspect

LENGTHS = torch.tensor([6, 3, 5])
WAYS: dict[str, Callable[[nn.Module, str], Any]] = {
    "weight norm": parametrizations.weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "older weight norm": weight_norm,
    "older spectral norm": spectral_norm,
    "pruning": lambda layer, name: prune.l1_unstructured(layer, name, amount=0.4),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("training", [True, pytest.param(False, marks=pytest.mark.long)])
@pytest.mark.parametrize("way", WAYS)
def test_computed_weights_are_those_of_the_run(way: str, training: bool) -> None:
    """A right run is clean with its layer as weights, and wrong with another's; asking moves nothing in the layer."""
    torch.manual_seed(0)
    layers = [nn.GRU(4, 5, batch_first=True, bidirectional=True) for _ in range(2)]
    for layer in layers:
        WAYS[way](layer, "weight_hh_l0")
        layer.train(training)
    x = torch.randn(3, 6, 4)
    with torch.no_grad():
        result = layers[0](pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False))
    before = {name: tensor.clone() for name, tensor in layers[0].state_dict().items()}
    assert rnninspect.inspect(result, inputs=x, weights=layers[0]).verdict == "clean"
    assert rnninspect.inspect(result, inputs=x, weights=layers[1]).verdict == "findings"
    assert all(torch.equal(before[name], tensor) for name, tensor in layers[0].state_dict().items())
    assert all(module.training is training for module in layers[0].modules())
