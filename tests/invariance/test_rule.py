"""The exact rule beside the place: lengths that a layer is packed with and its rows do not have."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnninspect import check_padding

X, LENGTHS = torch.randn(5, 9, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([4, 9, 2, 6, 5])


class Packed(nn.Module):
    """A classifier that packs its rows with lengths that a function makes of theirs."""

    def __init__(self, made: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.made, self.rnn, self.out = made, nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, self.made(lengths), batch_first=True, enforce_sorted=False)
        return self.out(self.rnn(packed)[1][-1])


WRONG = {
    "lengths-ignored": lambda lengths: torch.full_like(lengths, int(lengths.max())),
    "off-by-one-length": lambda lengths: (lengths + 1).clamp(max=int(lengths.max())),
    "lengths-misaligned": lambda lengths: lengths.flip(0),
}


@pytest.mark.parametrize("rule", WRONG)
def test_lengths_that_a_layer_is_packed_with(rule: str) -> None:
    """Of a layer that is shown to read padding the mistake in its own lengths is named."""
    torch.manual_seed(0)
    report = check_padding(Packed(WRONG[rule]), X, LENGTHS)
    evidence = report.findings[0].evidence
    assert (report.findings[0].rule, evidence["where"], evidence.get("rule")) == ("reads-padding", "rnn", rule)


def test_right_lengths_are_not_accused() -> None:
    """The same with the rows' own lengths is clean."""
    assert check_padding(Packed(lambda lengths: lengths), X, LENGTHS).verdict == "clean"
