"""States of a run that counted non-zero frames, beside the true lengths: told from one constant offset."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.report.report import Report

LENGTHS = [13, 4, 9, 2, 11, 6]


def inputs_with_silence(silent: list[tuple[int, int]]) -> torch.Tensor:
    """`[6, 13, 5]`: zero past the rows' ends, and at these rows and steps."""
    x = torch.randn(6, 13, 5, generator=torch.Generator().manual_seed(7))
    for row, length in enumerate(LENGTHS):
        x[row, length:] = 0
    for row, step in silent:
        x[row, step] = 0
    return x


def report(x: torch.Tensor, ran: list[int], directions: int, with_inputs: bool = True) -> Report:
    """The report of a run over `ran` steps of each row, told the true lengths."""
    torch.manual_seed(1)
    layer = torch.nn.GRU(5, 7, batch_first=True, bidirectional=directions == 2)
    packed = pack_padded_sequence(x, torch.tensor(ran), batch_first=True, enforce_sorted=False)
    outputs, state = layer(packed)
    padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=13)
    return rnninspect.inspect(padded, state, lengths=LENGTHS, inputs=x if with_inputs else None)


@pytest.mark.parametrize("directions", [1, 2])
def test_a_count_of_frames_is_told_from_an_offset(directions: int) -> None:
    """One zero frame in a row and two in another: only the count gives every state."""
    x = inputs_with_silence([(2, 3), (4, 1), (4, 5)])
    findings = report(x, [13, 4, 8, 2, 9, 6], directions).findings
    assert [(f.rule, f.severity, f.rows) for f in findings] == [("lengths-from-zeros", "error", [2, 4])]
    assert findings[0].evidence["counts"] == [13, 4, 8, 2, 9, 6]


def test_a_run_over_the_true_lengths_is_right_with_frames_of_zeros() -> None:
    """Zero frames alone accuse nobody."""
    x = inputs_with_silence([(2, 3), (4, 1), (4, 5)])
    assert report(x, LENGTHS, 1).verdict == "clean"


def test_a_last_frame_of_zeros_is_an_offset() -> None:
    """Where the rows' last frames alone are zeros and the run stopped before them, the lengths are one too large."""
    x = inputs_with_silence([(row, length - 1) for row, length in enumerate(LENGTHS)])
    assert [f.rule for f in report(x, [n - 1 for n in LENGTHS], 1).findings] == ["off-by-one-length"]


def test_one_row_of_two_offsets_proves_no_offset() -> None:
    """Two rows off by two numbers of steps, without inputs: that it is one offset is a suspicion."""
    x = inputs_with_silence([(2, 3), (4, 1), (4, 5)])
    findings = report(x, [13, 4, 8, 2, 9, 6], 1, with_inputs=False).findings
    assert not [f.rule for f in findings if f.certainty == "proven" and f.rule == "off-by-one-length"]


def test_a_count_of_frames_beside_the_weights() -> None:
    """The weights give the same cause, and no second one."""
    x = inputs_with_silence([(1, 2), (4, 1), (4, 5)])
    torch.manual_seed(1)
    layer = torch.nn.LSTM(5, 7, batch_first=True)
    packed = pack_padded_sequence(x, torch.tensor([13, 3, 9, 2, 9, 6]), batch_first=True, enforce_sorted=False)
    outputs, state = layer(packed)
    padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=13)
    checked = rnninspect.inspect(padded, state, lengths=LENGTHS, inputs=x, weights=layer.state_dict())
    assert [f.rule for f in checked.findings] == ["lengths-from-zeros"]
    assert np.array_equal(checked.findings[0].rows, [1, 4])
