"""Calls that a loop makes, of one step or of one row each, show nothing of the whole: they are not called clean."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import rnninspect


class Loop(nn.Module):
    """A GRU called step by step, or row by row: whole rows, or each as long as it is."""

    def __init__(self, by: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.by = nn.GRU(4, 5, batch_first=True), by

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        if self.by == "step":
            state = x.new_zeros(1, len(x), 5)
            for t in range(x.size(1)):
                state = self.rnn(x[:, t : t + 1], state)[1]
            return state[-1]
        widths = lengths.tolist() if self.by == "length" else [x.size(1)] * len(x)
        return torch.stack([self.rnn(x[b : b + 1, :n])[1][0, 0] for b, n in enumerate(widths)])


@pytest.mark.parametrize(
    ("by", "verdict", "why"),
    [("step", "unjudged", "a single step"), ("width", "unjudged", "a single row"), ("length", "clean", "")],
)
def test_parts_are_not_called_clean(by: str, verdict: str, why: str) -> None:
    """Steps of a loop, and rows that all run to the same width, are unjudged with the reason; rows cut to lengths of
    their own are clean, and so are whole rows once they are said to be full."""
    model = Loop(by)
    with rnninspect.record(model) as recording:
        model(torch.randn(4, 6, 4), torch.tensor([6, 3, 5, 2]))
    reports = recording.inspect()
    assert (reports.verdict, all(why in report.untested for report in reports)) == (verdict, True)
    if by == "width":
        assert recording.inspect(lengths="full").verdict == "clean"


def test_one_call_of_one_step_is_no_loop() -> None:
    """A single call of a single step is judged by itself."""
    layer = nn.GRU(4, 5, batch_first=True)
    with rnninspect.record(layer) as recording:
        layer(torch.randn(3, 1, 4))
    assert recording.inspect().verdict == "clean"


class Writer(nn.Module):
    """One cell reads rows of their own lengths, which keep their state behind their end, and then writes `more`."""

    def __init__(self, more: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.out, self.more = nn.GRUCell(4, 5), nn.Linear(5, 4), more

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 5)
        for t in range(x.size(1)):
            h = torch.where((t < lengths)[:, None], self.cell(x[:, t], h), h)
        for _ in range(self.more):
            h = self.cell(self.out(h), h)
        return h


@pytest.mark.parametrize(("more", "verdict"), [(0, "clean"), (3, "unjudged")])
def test_a_cell_that_reads_and_then_writes(more: int, verdict: str) -> None:
    """Rows that kept their state and go on are two loops in one: no run of the weights gives them, and nothing is
    accused; the reading loop alone is judged as before."""
    model = Writer(more)
    with rnninspect.record(model, lengths="lengths") as recording:
        model(torch.randn(4, 6, 4), torch.tensor([6, 3, 5, 2]))
    (report,) = recording.inspect()
    assert (report.verdict, [f.rule for f in report.findings if f.severity != "note"]) == (verdict, [])
    assert ("then go on" in report.untested) is bool(more)
