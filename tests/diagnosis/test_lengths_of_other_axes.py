"""Lengths that count the other axis of the outputs speak of the axes, and are not replaced by what zeros show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect

LENGTHS = np.array([9, 3, 6, 2])


def packed(layer: torch.nn.GRU, inputs: torch.Tensor, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outputs, along the layer's own axes, and the final state `[1, B, H]`."""
    pack = pack_padded_sequence(inputs, torch.from_numpy(lengths), layer.batch_first, enforce_sorted=False)
    with torch.no_grad():
        outputs, state = layer(pack)
    return pad_packed_sequence(outputs, layer.batch_first)[0].numpy(), state.numpy()


@pytest.mark.parametrize("lengths", [LENGTHS, np.array([4, 3, 2, 2])])
def test_a_packed_run_over_rows_is_not_clean(lengths: np.ndarray) -> None:
    """Proves that four lengths beside nine rows that end in zeros of their own name the axes, with inputs and weights
    too; nine that fit are right, and without any the zeros still tell them."""
    torch.manual_seed(0)
    counts = np.array([4, 3, 4, 2, 1, 4, 3, 2, 1])
    layer, inputs = torch.nn.GRU(3, 5), torch.randn(4, 9, 3)
    outputs, state = packed(layer, inputs, counts)
    for beside in ({}, {"inputs": inputs, "weights": layer}):
        report = rnninspect.inspect(outputs, state, lengths=lengths, **beside)  # type: ignore[arg-type]
        assert [(f.rule, f.severity) for f in report.findings] == [("batch-time-swapped", "error")]
        assert report.findings[0].message.startswith("the lengths fit batch-major arrays, but only if read time-major")
    assert rnninspect.inspect(outputs, state, lengths=counts).verdict == "clean"
    assert rnninspect.inspect(outputs, state).verdict == "clean"


def test_one_row_taken_for_a_step_with_weights_at_hand() -> None:
    """Proves that the last row in place of every row's last step is named beside inputs and weights too, without a rule
    that fails, and by whose word the first axis is the batch."""
    torch.manual_seed(0)
    layer, inputs = torch.nn.GRU(3, 5, batch_first=True), torch.randn(4, 9, 3)
    outputs, state = packed(layer, inputs, LENGTHS)
    for beside in ({}, {"inputs": inputs, "weights": layer}):
        report = rnninspect.inspect(outputs, outputs[-1], lengths=LENGTHS, **beside)  # type: ignore[arg-type]
        assert [f.rule for f in report.findings] == ["row-taken-for-step"]
        assert "the first axis of these outputs is the batch, as the lengths count it" in report.findings[0].message
        assert not any("failed" in note for note in report.notes)
    turned = rnninspect.inspect(outputs.swapaxes(0, 1), outputs[-1], lengths=LENGTHS, time_major=True)
    assert "the second axis of these outputs is the batch, as stated" in turned.findings[0].message
    assert rnninspect.inspect(outputs, state, lengths=LENGTHS, inputs=inputs, weights=layer).verdict == "clean"
