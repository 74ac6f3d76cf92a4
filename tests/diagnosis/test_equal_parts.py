"""States of some rows of the batch: one of several inputs that were joined to it, or rows that were lost."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect

LENGTHS = torch.tensor([9, 4, 7, 2, 5, 8])


@pytest.mark.parametrize(
    ("rows", "severity"),
    [
        ([0, 1, 2], "note"),
        ([3, 4, 5], "note"),
        ([2, 3], "note"),
        ([1, 2, 3], "warning"),
        ([0, 2, 5], "warning"),
        ([2, 5, 0], "warning"),
        ([2, 5, 0, 1], "error"),
    ],
)
def test_equal_parts_are_joined_inputs(rows: list[int], severity: str) -> None:
    """`h.chunk(2)`, or a third, is a note; any other rows, as those that a shrinking batch leaves, are a warning, and
    most of the batch in another order an error."""
    torch.manual_seed(0)
    layer = nn.GRU(4, 5, batch_first=True)
    with torch.no_grad():
        out, h = layer(pack_padded_sequence(torch.randn(6, 9, 4), LENGTHS, batch_first=True, enforce_sorted=False))
    outputs = pad_packed_sequence(out, batch_first=True)[0]
    report = rnninspect.inspect(outputs, h[-1][rows], lengths=LENGTHS)
    assert [(f.rule, f.severity) for f in report.findings] == [("rows-dropped", severity)]
