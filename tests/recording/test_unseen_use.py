"""What a recording cannot see is no clean: rows without lengths, and outputs of which the code takes its own state."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.cli.command_words import command_line
from rnninspect.core.wording import worded_as

UNEVEN = torch.tensor([5, 2, 3])
EVEN = torch.tensor([5, 5, 5])


class Net(nn.Module):
    """A layer of two directions over packed rows."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(4, 3, batch_first=True, bidirectional=True)

    def packed(self, x: torch.Tensor, n: torch.Tensor) -> Any:
        return pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False)


class LastColumn(Net):
    def forward(self, x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        output, _ = self.rnn(self.packed(x, n))
        return pad_packed_sequence(output, batch_first=True)[0][:, -1]


class LastReal(Net):
    def forward(self, x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        output, _ = self.rnn(self.packed(x, n))
        return pad_packed_sequence(output, batch_first=True)[0][torch.arange(len(n)), n - 1]


class State(Net):
    def forward(self, x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        _, h_n = self.rnn(self.packed(x, n))
        return torch.cat([h_n[-2], h_n[-1]], 1)


class Unpacked(Net):
    def forward(self, x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        return self.rnn(x)[1]


def recorded(model: nn.Module, n: torch.Tensor, **options: Any) -> rnninspect.Recording:
    torch.manual_seed(0)
    with rnninspect.record(model, **options) as recording:
        model(torch.randn(len(n), 5, 4), n)
    return recording


@pytest.mark.parametrize("model", [LastColumn, LastReal])
def test_outputs_of_packed_rows_whose_state_nothing_uses(model: type[Net]) -> None:
    """Of uneven rows what the code takes cannot be seen; of even ones the last column is every row's end."""
    report = recorded(model(), UNEVEN).inspect()[0]
    assert (report.verdict, report.findings) == ("unjudged", [])
    assert "the layer itself is right" in report.untested
    assert "recording.inspect('rnn', final_state=…)" in report.untested
    assert recorded(model(), EVEN).inspect()[0].verdict == "clean"


def test_the_state_of_packed_rows_that_is_used() -> None:
    """The right twin stays clean, and so does a state that is given and right."""
    assert recorded(State(), UNEVEN).inspect()[0].verdict == "clean"
    recording = recorded(LastReal(), UNEVEN)
    h_n = recording.calls[0].final  # type: ignore[union-attr]
    assert recording.inspect(final_state=h_n).verdict == "clean"


def test_the_advice_on_the_command_line_is_a_command() -> None:
    """No command takes a state out of a script: `check` needs none."""
    with worded_as(command_line):
        report = recorded(LastColumn(), UNEVEN).inspect()[0]
    assert "rnninspect check" in report.untested
    assert "recording.inspect" not in report.untested


@pytest.mark.parametrize(
    ("options", "rows", "verdict"),
    [({}, 3, "unjudged"), ({"lengths": "full"}, 3, "clean"), ({}, 1, "clean"), ({"lengths": [5, 5, 5]}, 3, "clean")],
)
def test_rows_without_lengths_are_no_clean(options: dict[str, Any], rows: int, verdict: str) -> None:
    """More than one row may hold padding, unless it is stated that none does; the summary by layer says the same."""
    reports = recorded(Unpacked(), EVEN[:rows], **options).inspect()
    assert (reports[0].verdict, reports.verdict) == (verdict, verdict)
    assert ("no lengths are known" in reports[0].untested) == (verdict == "unjudged")
    assert reports[0].would_decide.startswith("lengths") == (verdict == "unjudged")


def test_only_what_a_recording_takes_is_proposed() -> None:
    """`record` has no cell state to be given, and a GRU has none."""
    reports = recorded(State(), UNEVEN).inspect()
    text = reports[0].render("table")
    assert "cell_state" not in text
    assert {n.reason for n in reports[0].not_checked if "cell state" in n.reason} <= {"gru has no cell state"}


class Named(Net):
    def forward(self, x: torch.Tensor, lengths: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.rnn(x)[1]


class Masked(Net):
    def forward(self, x: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.rnn(x)[1]


def test_arguments_with_the_names_of_lengths_are_read() -> None:
    """Without lengths=, an argument of that name is taken as if it were named, and a note says so."""
    model = Named()
    with rnninspect.record(model) as recording:
        model(torch.randn(3, 5, 4), UNEVEN, torch.tensor([1, 2, 0]))
    report = recording.inspect()[0]
    assert report.lengths == UNEVEN.tolist()
    assert report.verdict == "findings"
    assert "the lengths are read from the argument lengths" in report.notes


@pytest.mark.parametrize(
    ("lengths", "label"), [(UNEVEN * 10, "more steps than the call has"), (torch.tensor([5, 2]), "other rows")]
)
def test_arguments_that_fit_no_row_are_not_read(lengths: torch.Tensor, label: str) -> None:
    """A name alone accuses nobody: numbers that are no lengths of this call leave it unjudged."""
    model = Named()
    with rnninspect.record(model) as recording:
        model(torch.randn(3, 5, 4), lengths, torch.tensor([1, 2, 0]))
    assert (recording.inspect()[0].verdict, recording.inspect()[0].findings) == ("unjudged", []), label


def test_a_mask_is_read_and_a_causal_one_is_not() -> None:
    """A mask [B, T] is one of padding; a triangle of ones speaks of what steps see."""
    model, x = Masked(), torch.randn(3, 3, 4)
    for mask, verdict in (
        (torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0]]), "findings"),
        (torch.ones(3, 3).tril(), "unjudged"),
    ):
        with rnninspect.record(model) as recording:
            model(x, mask)
        assert recording.inspect()[0].verdict == verdict
