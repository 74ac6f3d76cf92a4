"""Rows without a step that a model leaves out of a recorded call: lengths and states of the whole batch fit it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnninspect
from rnninspect.errors import UserError
from rnninspect.recording.stated import rows_read, states_read

LENGTHS = torch.tensor([10, 0, 7, 2, 0, 8])


class Encoder(nn.Module):
    """Runs the rows that have steps, packed or step by step, and leaves zeros for the others; `how`: what it takes."""

    def __init__(self, cell: str, how: str) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.how = how
        self.rnn: Any = nn.GRUCell(5, 6) if cell == "cell" else getattr(nn, cell)(5, 6, batch_first=True)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        kept = lengths > 0
        out = x.new_zeros(len(x), 6)
        out[kept] = self._states(x[kept], lengths[kept])
        return out[torch.tensor([2, 1, 0, 3, 4, 5])] if self.how == "other rows" else out

    def _states(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        if isinstance(self.rnn, nn.GRUCell):
            h = x.new_zeros(len(x), 6)
            for t in range(x.size(1)):
                h = torch.where((t < lengths)[:, None], self.rnn(x[:, t], h), h)
            return h
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, state = self.rnn(packed)
        rows = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0]
        early = rows[torch.arange(len(x)), (lengths - 2).clamp(min=0)]
        return early if self.how == "early" else (state[0] if isinstance(state, tuple) else state)[-1]


@pytest.mark.parametrize(
    "lengths_of", [{}, {"lengths": "lengths"}, {"lengths": LENGTHS}], ids=["none", "name", "numbers"]
)
@pytest.mark.parametrize("cell", ["GRU", "LSTM", "cell"])
def test_a_state_of_the_whole_batch(cell: str, lengths_of: dict[str, Any]) -> None:
    """Right states are clean, or nothing is known of their ends; other rows', and those a step early, are named."""
    if cell == "cell" and not lengths_of:
        return  # without lengths a loop's states are known by none
    for how, wanted in (("right", []), ("other rows", ["rows-permuted"]), ("early", ["off-by-one-length"])):
        if cell == "cell" and how == "early":
            continue  # its own loop stops early: what it leaves is what it says
        model, x = Encoder(cell, how), torch.randn(6, 10, 5)
        with torch.no_grad(), rnninspect.record(model, **lengths_of) as recording:
            state = model(x, LENGTHS)
        (report,) = recording.inspect(final_state=state)
        assert [f.rule for f in report.findings if f.severity != "note"] == wanted, (how, report.findings)
        assert report.verdict == ("findings" if wanted else "clean")


def test_states_that_are_not_of_those_rows_are_still_refused() -> None:
    """The twin: lengths of more rows than were read, and a state that is zero in none of them, fit no call."""
    model, x = Encoder("GRU", "right"), torch.randn(6, 10, 5)
    with torch.no_grad(), rnninspect.record(model) as recording:
        model(x, LENGTHS)
    with pytest.raises(UserError):
        recording.inspect(final_state=torch.randn(6, 6))
    with pytest.raises(UserError, match="lengths has 6 values"):
        recording.inspect(lengths=[10, 1, 7, 2, 0, 8])


def test_which_rows_were_read() -> None:
    """Lengths and masks of the whole batch, states of layers and of h and c; nothing where the counts do not add up."""
    kept = rows_read(LENGTHS, 4)
    assert kept is not None
    assert kept.tolist() == [True, False, True, True, False, True]
    mask = np.arange(10) < LENGTHS.numpy()[:, None]
    of_mask = rows_read(mask, 4)
    assert of_mask is not None
    assert np.array_equal(of_mask, kept)
    assert rows_read(LENGTHS, 5) is rows_read(LENGTHS, 6) is rows_read("full", 4) is None
    state = np.random.default_rng(0).normal(size=(2, 6, 3))
    h, c = states_read((state, state * 2), 4, kept)
    assert np.array_equal(h, state[:, kept])
    assert np.array_equal(c, 2 * h)
    assert states_read(state, 4, None) is state
    assert states_read(state, 6, None) is state
