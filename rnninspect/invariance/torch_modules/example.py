"""The model of the lessons: a small encoder, and the mistakes that a probe sees in it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

LENGTHS = (5, 2, 3)


class Encoder(nn.Module):
    """One vector a row, from a GRU over packed rows; `mistake`: the finding that it is to be an example of."""

    def __init__(self, mistake: str = "") -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)
        self.out = nn.Linear(4, 2)
        self.mistake = mistake

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        if self.mistake == "reads-padding":
            return self.out(self.gru(x)[0][:, -1])
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=x.size(1))
        if self.mistake == "depends-on-padded-width":
            return self.out(outputs.mean(1))
        if self.mistake == "rows-mixed":
            return self.out(outputs[lengths.argsort(descending=True), lengths.sort(descending=True)[0] - 1])
        at = lengths - (2 if self.mistake == "step-unread" else 1)
        return self.out(outputs[torch.arange(len(x)), at])


def example(mistake: str = "") -> tuple[Any, tuple[Tensor, Tensor]]:
    """The encoder, and the batch that it is shown on; the same numbers every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Encoder(mistake)
        inputs = torch.randn(len(LENGTHS), max(LENGTHS), 3)
    return model, (inputs, torch.tensor(LENGTHS))
