"""Outputs that merge both directions beside two pairs of h and c, as TensorFlow 1's `outputs_fw + outputs_bw` leaves
them: nobody can take the outputs apart, so that nothing is wrong that could be proven."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = torch.tensor([9, 3, 6, 2])
LSTMStateTuple = namedtuple("LSTMStateTuple", "c h")


def _ran(layers: int, bidirectional: bool) -> tuple[Any, Any, Any]:
    """Outputs of a packed run, h and c `[L*D, B, H]`."""
    torch.manual_seed(0)
    layer = torch.nn.LSTM(3, 5, layers, batch_first=True, bidirectional=bidirectional)
    pack = torch.nn.utils.rnn.pack_padded_sequence(torch.randn(4, 9, 3), LENGTHS, True, enforce_sorted=False)
    with torch.no_grad():
        steps, (h, c) = layer(pack)
    return torch.nn.utils.rnn.pad_packed_sequence(steps, batch_first=True)[0].numpy(), h.numpy(), c.numpy()


def _judged(outputs: Any, states: Any, **about: Any) -> tuple[str, list[str]]:
    report = rnninspect.inspect(outputs, states, lengths=LENGTHS.numpy(), **about)
    return report.verdict, [finding.rule for finding in report.findings]


@pytest.mark.parametrize("merge", [np.add, np.multiply, np.maximum])
@pytest.mark.parametrize("about", [{}, {"bidirectional": True}, {"bidirectional": True, "layers": 1}], ids=str)
def test_pairs_beside_merged_outputs(merge: Any, about: dict[str, Any]) -> None:
    """Proves that right pairs, with names or without, are unjudged, stated as two directions or not, and that pairs
    stated as two layers, or with h and c exchanged, are accused as before."""
    outputs, h, c = _ran(1, bidirectional=True)
    merged = merge(outputs[..., :5], outputs[..., 5:])
    named = tuple(LSTMStateTuple(c=c[k], h=h[k]) for k in (0, 1))
    for states, whose in ((named, "tf1"), (named, "auto"), (tuple(map(tuple, named)), "tf1")):
        assert _judged(merged, states, convention=whose, **about) == ("unjudged", [])
    if not about:
        assert _judged(merged, named, convention="tf1", layers=2) == ("findings", ["unexplained-state"])
        exchanged = tuple(LSTMStateTuple(c=pair.h, h=pair.c) for pair in named)
        assert _judged(merged, exchanged, convention="tf1")[1] in (["cell-hidden-swapped"], ["unexplained-state"])


def test_pairs_of_two_layers_are_no_directions() -> None:
    """Proves that two layers of one direction stay what they are: the top one's state ends the outputs, rightly or in
    rows of another order, whatever is stated."""
    outputs, h, c = _ran(2, bidirectional=False)
    pairs = tuple(LSTMStateTuple(c=c[k], h=h[k]) for k in (0, 1))
    assert _judged(outputs, pairs, convention="tf1") == ("clean", [])
    turned = tuple(LSTMStateTuple(c=pair.c[::-1], h=pair.h[::-1]) for pair in pairs)
    assert _judged(outputs, turned, convention="tf1") == ("findings", ["rows-permuted"])
    assert _judged(outputs, (pairs[0], pairs[0]), convention="tf1") == ("findings", ["layers-share-state"])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_few_states_that_come_near_a_merged_output_by_chance(cell: str) -> None:
    """Proves that one row of four whose backward direction adds next to nothing where the forward one ends makes no
    accusation of merged outputs, and that states which are all near their own step are still of another run."""
    rng, ends = np.random.default_rng(1), LENGTHS.numpy() - 1
    forward, backward = np.tanh(rng.standard_normal((2, 4, 9, 3)))
    backward[0, ends[0]] = 1e-3
    states = [forward[range(4), ends], backward[:, 0]]
    if cell == "lstm":
        states = [states[0], states[0] * 3, states[1], states[1] * 3]
    padded = np.arange(9)[None, :, None] > ends[:, None, None]
    merged = np.where(padded, 0, forward + backward)
    assert _judged(merged, states, convention="keras") == ("unjudged", [])
    near = [np.where(padded, 0, forward), states[0] * 1.001, states[0] * 3]
    assert _judged(near[0], near[1:], convention="keras") == ("findings", ["state-from-another-run"])
