"""Batch normalisation over padded frames: what counts the padding in training, by its values and by its width, is told
apart from what a model in evaluation returns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import rnninspect

LENGTHS = torch.tensor([9, 4, 7, 2, 6])


class Normed(nn.Module):
    """A GRU over frames that are normalised: `real` ones alone, all as they are, or all with the padding `zeroed`."""

    def __init__(self, frames: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.frames = frames
        self.norm, self.rnn = nn.BatchNorm1d(6), nn.GRU(6, 5, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        mask = torch.arange(x.size(1))[None] < lengths[:, None]
        if self.frames == "real":
            y = torch.zeros_like(x)
            y[mask] = self.norm(x[mask])
        else:
            x = x * mask[..., None] if self.frames == "zeroed" else x
            y = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return self.rnn(pack_padded_sequence(y, lengths, batch_first=True, enforce_sorted=False))[1][-1]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("frames", "rule"), [("real", ""), ("padded", "reads-padding"), ("zeroed", "depends-on-padded-width")]
)
def test_statistics_that_count_padding(frames: str, rule: str, training: bool) -> None:
    """Each mistake by its name, an error of a model in training and a warning of one in evaluation, whose results are
    right; statistics of real steps alone are clean in both."""
    model = Normed(frames).train(training)
    x = torch.randn(5, 9, 6, generator=torch.Generator().manual_seed(1))
    report = rnninspect.check_padding(model, x, LENGTHS)
    severity = "error" if training else "warning"
    assert [(f.rule, f.severity) for f in report.findings] == ([(rule, severity)] if rule else [])
    assert all("norm(x[mask])" in (f.fix or "") for f in report.findings)
    assert all(("in evaluation" in f.message) is not training for f in report.findings)
    assert model.training is training
    noisy = x.clone()
    noisy[torch.arange(9)[None] >= LENGTHS[:, None]] = 50.0
    if not training:  # what the sentence says of evaluation is so
        assert torch.equal(model(x, LENGTHS), model(noisy, LENGTHS))
