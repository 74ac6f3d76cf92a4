"""States gathered with row and step exchanged in the index, where what lies outside is clamped as JAX does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.errors import UserError
from tests.support.made import correct_case


def arrays_of(cell: str, lengths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Outputs `[B, T, H]` of a right run, and lengths."""
    case = correct_case(cell, lengths=np.array(lengths), steps=max(lengths))
    assert case.trace.tracks[0].outputs is not None
    return case.trace.tracks[0].outputs, np.array(lengths)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("lengths", [[6, 3, 5, 1, 4, 2, 6, 5], [8, 3, 6, 2, 5], [7, 7, 2, 4]])
@pytest.mark.parametrize("time_major", [False, True])
def test_row_and_step_exchanged(cell: str, lengths: list[int], time_major: bool) -> None:
    """All rows are explained by it; the right gather is clean."""
    outputs, counts = arrays_of(cell, lengths)
    rows, steps = np.arange(len(counts)), outputs.shape[1]
    wrong = outputs[np.minimum(counts - 1, len(counts) - 1), np.minimum(rows, steps - 1)]
    right = outputs[rows, counts - 1]
    stored = outputs.swapaxes(0, 1) if time_major else outputs
    for state, rules in ((wrong, ["flat-gather-wrong-stride"]), (right, [])):
        report = rnninspect.inspect(stored, state, lengths=counts, time_major=time_major, direction="forward")
        assert [f.rule for f in report.findings if f.severity != "note"] == rules
        assert not any(f.unexplained for f in report.findings)


def test_lengths_that_the_outputs_end_at_are_left_alone() -> None:
    """Of a packed run the state is what is off by one: the code takes another step, and no length is made longer."""
    torch.manual_seed(1)
    layer, lengths = torch.nn.GRU(4, 6, batch_first=True), np.array([8, 3, 6, 2, 7])
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.randn(5, 8, 4), torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    outputs = torch.nn.utils.rnn.pad_packed_sequence(layer(packed)[0], batch_first=True)[0]
    state = outputs[torch.arange(5), torch.tensor(lengths - 2)]
    (finding,) = rnninspect.inspect(outputs, state, lengths=lengths, direction="forward").findings
    assert finding.rule == "off-by-one-length"
    assert finding.fix.startswith("last_index = lengths - 1")


def test_code_does_not_stop_before_a_line_that_it_announces() -> None:
    """A remark that leads to a line which is not there is left out."""
    torch.manual_seed(1)
    layer, lengths = torch.nn.GRU(4, 6), np.array([8, 3, 6, 2, 7])
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.randn(8, 5, 4), torch.tensor(lengths), enforce_sorted=False)
    outputs = torch.nn.utils.rnn.pad_packed_sequence(layer(packed)[0])[0]
    report = rnninspect.inspect(outputs, outputs.mean(0), lengths=lengths, time_major=True, direction="forward")
    assert not report.findings[0].fix.rstrip().endswith(":")


@pytest.mark.parametrize("lengths", [[6, 5, 4, 4], [2, 7, 5, 6, 4], [3, 3, 3], [5, 4]])
def test_the_last_entries_of_packed_data(lengths: list[int]) -> None:
    """They are a few rows' last steps: all states are explained by it; of rows of one length they are right, and of two
    whose lengths are one apart they are the rows' states exchanged, which happens more often."""
    outputs, counts = arrays_of("gru", lengths)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(outputs), torch.tensor(counts), batch_first=True, enforce_sorted=False
    )
    report = rnninspect.inspect(outputs, packed.data[-len(counts) :].numpy(), lengths=counts, direction="forward")
    errors = [(f.rule, f.unexplained) for f in report.findings if f.severity != "note"]
    rule = "rows-permuted" if lengths == [5, 4] else "flat-gather-wrong-stride"
    assert errors == ([] if len(set(lengths)) == 1 else [(rule, [])])


@pytest.mark.parametrize("count", [9, 5])
def test_lengths_that_count_no_rows_are_refused(count: int) -> None:
    """As many lengths as steps, beside states of the rows on the other axis, are refused as any wrong number is."""
    outputs, counts = arrays_of("gru", [9, 3, 6, 2])
    states = outputs[np.arange(4), counts - 1]
    with pytest.raises(UserError, match=r"lengths has . values, but the batch has 4 rows"):
        rnninspect.inspect(outputs, states[None], lengths=[9, 3, 6, 2, 4, 5, 6, 7, 8][:count], convention="torch")
