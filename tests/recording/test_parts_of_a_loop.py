"""Calls that a loop makes, of one step or of one row each, show nothing of the whole: they are not called clean."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import rnninspect
from rnninspect.errors import UserError


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


class Steps(nn.Module):
    """A layer or a cell called step by step over padded rows; `how`: whether rows keep their state behind their ends,
    run on, or never get it."""

    def __init__(self, kind: str, layers: int, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        is_cell, self.lstm, self.how, self.layers = kind.endswith("Cell"), "LSTM" in kind, how, layers
        self.rnn = getattr(nn, kind)(4, 5) if is_cell else getattr(nn, kind)(4, 5, layers, batch_first=True)
        self.is_cell = is_cell

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        zeros = x.new_zeros(len(x), 5) if self.is_cell else x.new_zeros(self.layers, len(x), 5)
        state: tuple[Tensor, ...] = (zeros, zeros) if self.lstm else (zeros,)
        for t in range(x.size(1)):
            read = None if self.how == "never" else state if self.lstm else state[0]
            returned = self.rnn(x[:, t], read) if self.is_cell else self.rnn(x[:, t : t + 1], read)[1]
            new = returned if self.lstm else (returned,)
            real = (t < lengths)[:, None]
            kept = tuple(torch.where(real, a, b) for a, b in zip(new, state, strict=True))
            state = kept if self.how == "kept" else new
        return state[0] if self.is_cell else state[0][-1]


KINDS = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell"]


@pytest.mark.parametrize(
    ("kind", "how", "rule"),
    [
        *((kind, "kept", None) for kind in KINDS),
        *((kind, "on", "lengths-ignored") for kind in KINDS),
        ("RNN", "never", "restarted-within-row"),
        ("GRUCell", "never", "restarted-within-row"),
    ],
)
def test_the_steps_of_a_loop_are_one_run(kind: str, how: str, rule: str | None) -> None:
    """With the state that a loop ends in its steps are judged as one call of the layer would be: right where rows keep
    theirs, and wrong where they run on over the padding, or where no step gets the state of the one before it."""
    model, lengths = Steps(kind, 1, how), torch.tensor([6, 3, 5, 2])
    lengths_by: Any = "full" if how == "never" else "lengths"
    with torch.no_grad(), rnninspect.record(model, lengths=lengths_by) as recording:
        state = model(torch.randn(4, 6, 4), lengths)
    (report,) = recording.inspect(final_state=state)
    assert [f.rule for f in report.findings if f.severity != "note"] == ([rule] if rule else []), report.findings
    assert (report.verdict, report.shape["steps"]) == ("findings" if rule else "clean", 6)


def test_two_layers_step_by_step() -> None:
    """The top layer's state of a stack is the loop's; the one below is run with the weights."""
    model, lengths = Steps("GRU", 2, "kept"), torch.tensor([6, 3, 5, 2])
    with torch.no_grad(), rnninspect.record(model, lengths="lengths") as recording:
        state = model(torch.randn(4, 6, 4), lengths)
    assert recording.inspect(final_state=state).verdict == "clean"


def test_calls_that_are_no_one_run_are_still_refused() -> None:
    """The twins: a model that is called twice, steps that were not kept, calls of several steps, and two layers."""
    model, lengths, x = Steps("GRU", 1, "kept"), torch.tensor([6, 3, 5, 2]), torch.randn(4, 6, 4)
    layer = nn.GRU(4, 5, batch_first=True)
    with torch.no_grad():
        with rnninspect.record(model, lengths="lengths") as twice:
            state = model(x, lengths)
            model(x, lengths)
        with rnninspect.record(model, lengths="lengths", limit=4) as few:
            model(x, lengths)
        with rnninspect.record(layer, lengths="full") as whole:
            _ = [layer(x) for _ in range(2)]
    for recording, why in ((twice, "12 calls"), (few, "limit=None"), (whole, "2 calls")):
        with pytest.raises(UserError, match=why):
            recording.inspect(final_state=state)
