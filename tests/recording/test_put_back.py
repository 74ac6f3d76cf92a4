"""Rows that the model sorts by length, recorded though nobody stated lengths: put back they are right, else not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

import rnninspect

LENGTHS = torch.tensor([9, 4, 7, 2, 5])


class Sorting(nn.Module):
    """Its rows sorted by length, packed, and put `back` in order, or not; `swapped`: two of them exchanged then."""

    def __init__(self, kind: str, back: bool, swapped: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn = getattr(nn, kind)(4, 5, batch_first=True)
        self.back, self.swapped = back, swapped

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        longest, order = lengths.sort(descending=True)
        state = self.rnn(pack_padded_sequence(x[order], longest, batch_first=True))[1]
        state = (state[0] if isinstance(state, tuple) else state)[-1]
        state = state[order.argsort()] if self.back else state
        return state[[1, 0, *range(2, len(state))]] if self.swapped else state


class OfList(Sorting):
    """The same of a list of sequences, whose lengths are no argument."""

    def forward(self, rows: list[Tensor]) -> Tensor:  # type: ignore[override]
        order = sorted(range(len(rows)), key=lambda b: -len(rows[b]))
        state = self.rnn(pack_sequence([rows[b] for b in order]))[1]
        state = (state[0] if isinstance(state, tuple) else state)[-1]
        return state[torch.tensor(order).argsort()] if self.back else state


def verdict(model: Sorting) -> tuple[str, list[str]]:
    x = torch.randn(5, 9, 4, generator=torch.Generator().manual_seed(1))
    rows = [x[b, :n] for b, n in enumerate(LENGTHS.tolist())]
    with rnninspect.record(model) as recording:
        state = model(rows) if isinstance(model, OfList) else model(x, LENGTHS)
    report = recording.inspect(final_state=state)
    return report.verdict, [f.rule for f in report.findings]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_sorted_rows_are_judged_in_the_order_of_the_batch(kind: str) -> None:
    """An argument with the name and numbers of lengths gives the order: put back is clean, left sorted is named, and so
    are two rows exchanged afterwards."""
    assert verdict(Sorting(kind, back=True)) == ("clean", [])
    assert verdict(Sorting(kind, back=False)) == ("findings", ["rows-permuted"])
    assert verdict(Sorting(kind, back=True, swapped=True)) == ("findings", ["rows-permuted"])


def test_an_order_that_nothing_shows_is_left_open() -> None:
    """Of a list of sequences no argument tells the batch's order: put back is neither accused nor called clean."""
    assert verdict(OfList("GRU", back=True)) == ("unjudged", [])
