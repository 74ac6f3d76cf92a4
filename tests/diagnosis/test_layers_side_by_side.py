"""Outputs of two stated layers side by side are no two directions of which one ends at the wrong end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from tests.support.made import correct_case

LENGTHS = torch.tensor([9, 3, 6, 2, 7, 8])


def _packed(steps: Any) -> Any:
    return torch.nn.utils.rnn.pack_padded_sequence(steps, LENGTHS, batch_first=True, enforce_sorted=False)


def _padded(packed: Any) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]


def _judged(outputs: Any, states: Any, **about: Any) -> list[str]:
    report = rnninspect.inspect(outputs, states, lengths=LENGTHS, **about)
    return [finding.rule for finding in report.findings]


def test_two_layers_stated_beside_their_outputs() -> None:
    """Proves that the states of two layers, which end each half at its last real step, are not accused of a backward
    half at the wrong end, and are where two directions are stated; that where one is, they are clean, and in
    reverse order named; and that the last steps of the upper of two bidirectional layers are accused."""
    torch.manual_seed(0)
    x = torch.randn(6, 9, 3)
    with torch.no_grad():
        lower, h_lower = torch.nn.GRU(3, 16, batch_first=True)(_packed(x))
        upper, h_upper = torch.nn.GRU(16, 16, batch_first=True)(lower)
        both, h = torch.nn.GRU(3, 16, 2, batch_first=True, bidirectional=True)(_packed(x))
    outputs, states = torch.cat([_padded(lower), _padded(upper)], -1), torch.cat([h_lower, h_upper])
    assert _judged(outputs, states, layers=2) == []
    for about in ({"bidirectional": False}, {"direction": "forward"}):
        assert rnninspect.inspect(outputs, states, lengths=LENGTHS, layers=2, **about).verdict == "clean"
        assert _judged(outputs, states.flip(0), layers=2, **about) == ["layer-order-reversed"]
    assert _judged(outputs, states, bidirectional=True) == ["backward-final-at-last-step"]
    merged = _padded(both)
    last = merged[torch.arange(6), LENGTHS - 1].reshape(6, 2, 16).swapaxes(0, 1)
    assert _judged(merged, h[-2:], layers=2) == []
    assert _judged(merged, last, layers=2) == ["backward-final-at-last-step"]


@pytest.mark.parametrize(("layers", "directions"), [(2, 2), (3, 1), (3, 2)])
def test_outputs_of_every_layer_side_by_side(layers: int, directions: int) -> None:
    """A stack that hands all its layers on, in one direction or two, time-major too: the right run is clean, stated or
    not, another order of rows in one layer's states is named."""
    case = correct_case("gru", layers, directions, convention="torch")
    tracks = case.trace.tracks
    outputs = np.concatenate([np.asarray(track.outputs) for track in tracks], -1)
    h = np.stack([np.asarray(track.final) for track in tracks])
    for about in ({}, {"layers": layers, "bidirectional": directions == 2}):
        for made in (outputs, outputs.swapaxes(0, 1)):
            report = rnninspect.inspect(made, h, lengths=case.trace.lengths, convention="torch", **about)
            assert (report.verdict, report.shape["layers"]) == ("clean", layers)
    moved = h.copy()
    moved[0] = h[0][[2, 0, 1, 4, 3]]
    wrong = rnninspect.inspect(outputs, moved, lengths=case.trace.lengths)
    assert [finding.rule for finding in wrong.findings] == ["rows-permuted"]
