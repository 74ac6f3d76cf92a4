"""States viewed where they had to be transposed: a slice of the view, and the view in its other direction."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect

RESHAPED = "state-reshaped-not-transposed"
Ran = tuple[torch.nn.Module, torch.Tensor, torch.Tensor, torch.Tensor]


def ran(kind: str, layers: int, two: bool, lengths: list[int], units: int = 4) -> Ran:
    """The layer, its inputs, its outputs and h_n `[L*D, B, H]` of a packed run."""
    torch.manual_seed(layers)
    inputs = torch.randn(len(lengths), max(lengths), 5)
    layer = getattr(torch.nn, kind)(5, units, layers, bidirectional=two, batch_first=True)
    packed = pack_padded_sequence(inputs, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    with torch.no_grad():
        outputs, state = layer(packed)
    return layer, inputs, pad_packed_sequence(outputs, batch_first=True)[0], state[0] if kind == "LSTM" else state


def named(*arrays: Any, **more: Any) -> list[tuple[str, str]]:
    return [(f.rule, f.certainty) for f in rnninspect.inspect(*arrays, **more).findings]


@pytest.mark.parametrize(
    ("kind", "layers", "two", "lengths"),
    [("LSTM", 2, True, [9, 3, 7, 5, 2]), ("GRU", 3, False, [6, 2, 4, 5]), ("RNN", 2, False, [5, 3, 4, 1, 2, 5])],
)
def test_a_slice_of_the_view_is_told_by_a_run(kind: str, layers: int, two: bool, lengths: list[int]) -> None:
    """Proves that columns of a view of every layer's states are named with weights, whichever columns they are, and the
    top of a view of states by row, and that the top layer's states, the bottom layer's, and sorted ones, are not taken
    for such."""
    layer, inputs, outputs, h = ran(kind, layers, two, lengths)
    rows, width = len(lengths), h.shape[2] * (1 + two)
    more = {"lengths": lengths, "inputs": inputs, "weights": layer}
    view, right = h.reshape(rows, -1), h.transpose(0, 1).reshape(rows, -1)
    other_way = torch.cat(list(h.transpose(0, 1).reshape(h.shape)[-1 - two :]), 1)
    for part in (view[:, :width], view[:, -width:], other_way):
        assert named(outputs, part, **more) == [(RESHAPED, "proven")]
    assert named(outputs, right[:, -width:], **more) == []
    assert named(outputs, right[:, :width], **more) == [("wrong-layer", "proven")]
    order = torch.argsort(-torch.tensor(lengths), stable=True)
    assert named(outputs, right[order, -width:], **more) == [("rows-permuted", "proven")]


def test_a_slice_of_the_view_without_weights_is_suspected() -> None:
    """Proves that rows which would be lower layers' states, which nothing holds, make the cause a suspicion."""
    _, _, outputs, h = ran("LSTM", 2, True, [9, 3, 7, 5, 2])
    report = rnninspect.inspect(outputs, h.reshape(5, -1)[:, :8], lengths=[9, 3, 7, 5, 2], bidirectional=True)
    assert [(f.rule, f.certainty) for f in report.findings] == [(RESHAPED, "suspected")]
    assert "rows 0, 1, 2 hold would be lower layers' states" in report.findings[0].message


@pytest.mark.parametrize(
    ("layers", "two", "lengths"),
    [(1, True, [6, 2, 4]), (1, True, [4, 8, 3, 6, 2]), (3, False, [3, 6, 2, 5]), (2, True, [9, 3, 7, 5, 2, 8])],
)
def test_the_view_of_states_by_row_is_put_right(layers: int, two: bool, lengths: list[int]) -> None:
    """Proves that `[B, L*D, H]` viewed as `[L*D, B, H]` is named with weights and without, and that the fix gives h_n;
    its twin, transposed, is right."""
    layer, inputs, outputs, h = ran("GRU", layers, two, lengths)
    viewed = h.transpose(0, 1).reshape(h.shape)
    more = {"lengths": lengths, "convention": "torch"}
    for evidence in ({}, {"inputs": inputs, "weights": layer}):
        assert named(outputs, viewed, **more, **evidence) == [(RESHAPED, "proven")]
        assert named(outputs, h, **more, **evidence) == []
    fixed = rnninspect.fix(outputs, viewed, **more)
    assert torch.equal(torch.as_tensor(fixed.arrays["final_state"]), h)
