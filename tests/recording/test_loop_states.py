"""A state that the user gives for a recorded loop is read as that of a recorded layer: same rows, same refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import rnninspect
from rnninspect.errors import UserError

LENGTHS = [6, 5, 4, 3, 2]
Take = Callable[[torch.Tensor], Any]


class Loop(nn.Module):
    """A cell in a loop that runs on over the padding."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.rnn = getattr(nn, f"{kind}Cell")(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state: Any = None
        for t in range(x.shape[1]):
            state = self.rnn(x[:, t], state)
        return state[0] if isinstance(state, tuple) else state


class Whole(nn.Module):
    """The layer of the same cell, in one call."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(3, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, state = self.rnn(x)
        return (state[0] if isinstance(state, tuple) else state)[-1]


def judged(model: nn.Module, take: Take, lengths: Any) -> Any:
    """What a recording says of a state taken from the model's own; a refusal as its text."""
    torch.manual_seed(0)
    with rnninspect.record(model) as recording:
        state = model(torch.randn(5, 6, 3))
    try:
        (report,) = recording.inspect(final_state=take(state), lengths=lengths)
    except UserError as refusal:
        return str(refusal)
    return report.verdict, [(f.rule, f.rows) for f in report.findings]


@pytest.mark.parametrize("lengths", [LENGTHS, "full"], ids=["short rows", "full"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    "take",
    [
        lambda h: h,
        lambda h: h[:3],
        lambda h: h[:1],
        lambda h: h[[2, 0]],
        lambda h: h[None, :3],
        lambda h: [h[:2]],
        lambda h: h[0],
        lambda h: h[:0],
        lambda h: torch.cat([h, h[:2]]),
        lambda h: torch.cat([h, h], 1),
        lambda h: torch.stack([h, h]),
    ],
    ids=[
        "whole",
        "first 3",
        "first",
        "two picked",
        "three axes",
        "list",
        "a vector",
        "none",
        "7",
        "wide",
        "two layers",
    ],
)
def test_a_state_is_read_as_a_layers(kind: str, take: Take, lengths: Any) -> None:
    """Fewer rows are told by their numbers, what fits no reading is refused in a sentence: never a traceback."""
    torch.manual_seed(1)
    whole, loop = Whole(kind), Loop(kind)
    for name, weight in loop.rnn.named_parameters():
        weight.data = getattr(whole.rnn, f"{name}_l0").data
    assert judged(loop, take, lengths) == judged(whole, take, lengths)


def test_the_rows_that_are_there_are_judged() -> None:
    """Of a state with the first three rows, those that are short are accused, and that two are missing is said."""
    verdict, findings = judged(Loop("GRU"), lambda h: h[:3], LENGTHS)
    assert verdict == "findings"
    assert ("lengths-ignored", [1, 2]) in findings
    assert "rows-dropped" in {rule for rule, _ in findings}
    verdict, findings = judged(Loop("GRU"), lambda h: h[:3], "full")
    assert (verdict, [rule for rule, _ in findings]) == ("findings", ["rows-dropped"])
