"""A state that is c, with no h beside it: inputs and weights tell it, as they give both."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect

LENGTHS = torch.tensor([6, 2, 5])


class Encoder(nn.Module):
    """A packed LSTM that gives its top layer's h or c, both directions side by side."""

    def __init__(self, gives: str, layers: int, ways: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(3, 4, layers, bidirectional=ways == 2, batch_first=True)
        self.gives = gives

    def run(self, x: Tensor) -> Any:
        packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
        output, states = self.rnn(packed)
        return pad_packed_sequence(output, batch_first=True)[0], dict(zip("hc", states, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(list(self.run(x)[1][self.gives][-(1 + self.rnn.bidirectional) :]), 1)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("ways", [1, 2])
def test_c_alone_is_told_by_a_run(layers: int, ways: int) -> None:
    """Proves that c given as the state is named, recorded or with inputs and weights, and that h is clean."""
    torch.manual_seed(layers + 2 * ways)
    x = torch.randn(3, 6, 3)
    for gives in "hc":
        model = Encoder(gives, layers, ways)
        with rnninspect.record(model, lengths=LENGTHS) as recording:
            state = model(x)
        recorded = recording.inspect(final_state=state)
        handed = rnninspect.inspect(model.run(x)[0], state, lengths=LENGTHS, inputs=x, weights=model.rnn)
        for findings in (recorded.findings, handed.findings):
            assert [f.rule for f in findings] == ([] if gives == "h" else ["cell-hidden-swapped"])
        assert handed.verdict == recorded[0].verdict == ("clean" if gives == "h" else "findings")


def test_a_state_that_is_no_c_of_this_run() -> None:
    """Proves that c is claimed only where it is the run's: neither another batch's c nor a GRU's state is."""
    torch.manual_seed(0)
    model, x = Encoder("c", 1, 1), torch.randn(3, 6, 3)
    output, states = model.run(x)
    other = model.run(x + 1)[1]["c"][-1]
    gru = nn.GRU(3, 4, batch_first=True)
    steps = gru(x)[0]
    for outputs, state, layer, lengths in (
        (output, other, model.rnn, LENGTHS),
        (steps, torch.tanh(2 * steps[:, -1]), gru, "full"),
    ):
        report = rnninspect.inspect(outputs, state, lengths=lengths, inputs=x, weights=layer)
        assert "cell-hidden-swapped" not in [f.rule for f in report.findings]
        assert report.verdict == "findings"
    with_h = rnninspect.inspect(output, (states["c"], states["h"]), lengths=LENGTHS, inputs=x, weights=model.rnn)
    assert [f.rule for f in with_h.findings] == ["cell-hidden-swapped"]
