"""Weights of one direction beside a dump of two: judged by what there is, and no start that nobody gave is refused."""

from __future__ import annotations

import pytest
import torch

import rnninspect

LENGTHS = [7, 3, 5, 2, 6]


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_other_weights_of_one_direction_are_said_to_give_other_numbers(kind: str, joined: bool) -> None:
    """The forward half's weights are clean; those of the backward half, under the forward one's names, and another
    layer's, give other numbers: that is said, and no initial state is spoken of, since none was given."""
    torch.manual_seed(1)
    layer = getattr(torch.nn, kind)(3, 4, batch_first=True, bidirectional=True)
    inputs = torch.randn(5, 7, 3)
    with torch.no_grad():
        packed, state = layer(
            torch.nn.utils.rnn.pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False)
        )
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
    h = state[0] if kind == "LSTM" else state
    h = torch.cat(list(h), -1) if joined else h
    every = layer.state_dict()
    forward = {name: array for name, array in every.items() if "reverse" not in name}
    backward = {name.removesuffix("_reverse"): array for name, array in every.items() if "reverse" in name}
    for weights, rules in ((forward, []), (backward, ["unexplained-difference"])):
        report = rnninspect.inspect(outputs, h, lengths=LENGTHS, inputs=inputs, weights=weights)
        assert [f.rule for f in report.findings] == rules


@pytest.mark.parametrize("kind", ["LSTM", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("GRU", "RNN"))])
def test_exchanged_weights_of_two_directions_are_named(kind: str) -> None:
    """Each direction's weights under the other's name give the dump once exchanged; of one direction put under both
    names they do not, and the layer's own are clean."""
    torch.manual_seed(1)
    layer = getattr(torch.nn, kind)(3, 4, batch_first=True, bidirectional=True)
    inputs, rows = torch.randn(5, 7, 3), {"batch_first": True, "enforce_sorted": False}
    with torch.no_grad():
        packed, state = layer(torch.nn.utils.rnn.pack_padded_sequence(inputs, LENGTHS, **rows))
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
    right = layer.state_dict()
    exchanged = {
        name: right[name.removesuffix("_reverse") if "reverse" in name else f"{name}_reverse"] for name in right
    }
    twice = {name: right[name.removesuffix("_reverse")] for name in right}
    for weights, rules in (
        (right, []),
        (exchanged, ["directions-exchanged"]),
        (twice, ["unexplained-difference"]),
    ):
        report = rnninspect.inspect(outputs, state, lengths=LENGTHS, inputs=inputs, weights=weights)
        assert [f.rule for f in report.findings] == rules
