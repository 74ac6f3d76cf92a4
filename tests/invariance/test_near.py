"""Rows cut to few steps: what rows of the batch do not show is a mistake where it fades, and none where it is gone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnninspect import check_padding

LENGTHS = torch.tensor([64, 32, 48, 18])
X = torch.randn(4, 64, 5, generator=torch.Generator().manual_seed(0)) * (
    torch.arange(64)[:, None] < LENGTHS[:, None, None]
)


class Window(nn.Module):
    """A mean over the real places of a convolution of 12 steps, of which a row has one at least."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(5, 8, 12)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        places = torch.relu(self.conv(x.transpose(1, 2)))
        count = (lengths - 11).clamp(min=1)[:, None]
        return (places * (torch.arange(places.shape[2]) < count)[:, None]).sum(2) / count


class Backward(nn.Module):
    """What a layer that reads backwards from the end of the batch gives for the first step."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn = nn.GRU(5, 8, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.rnn(x.flip(1))[0][:, -1]  # type: ignore[no-any-return]


def test_rows_that_are_shorter_than_the_models_window_are_told_of() -> None:
    """No row that was given reads padding: the model is clean, and a note says from how many steps on it is right."""
    report = check_padding(Window(), X, LENGTHS)
    assert report.verdict == "clean"
    assert any("rows of fewer than 12 steps would read padding" in note for note in report.notes)


def test_what_fades_with_the_length_is_found() -> None:
    """A backward direction that begins in the padding forgets it over 30 steps: it is accused all the same."""
    lengths = torch.tensor([64, 40, 48, 50])
    report = check_padding(Backward(), X, lengths, skip="reach")
    assert "reads-padding" in [finding.rule for finding in report.findings]
