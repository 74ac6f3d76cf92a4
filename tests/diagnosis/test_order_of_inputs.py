"""Inputs that were saved in another order of rows than outputs and states: a run of the weights tells the order."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect


@pytest.mark.parametrize(
    ("kind", "layers", "two", "lengths"),
    [("LSTM", 1, False, [5, 3, 4, 1]), ("GRU", 2, False, [4, 4, 4]), ("RNN", 2, True, [3, 5, 2, 5])],
)
def test_the_order_of_the_inputs_is_told(kind: str, layers: int, two: bool, lengths: list[int]) -> None:
    """Proves that inputs in another order are named, with the code that puts them in order, and that they are then
    right; and that one row of inputs in two rows is no order."""
    torch.manual_seed(2)
    inputs, rows = torch.randn(len(lengths), max(lengths), 3), len(lengths)
    layer = getattr(torch.nn, kind)(3, 4, layers, bidirectional=two, batch_first=True)
    packed = pack_padded_sequence(inputs, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    outputs, state = layer(packed)
    outputs, more = pad_packed_sequence(outputs, batch_first=True)[0], {"lengths": lengths, "weights": layer}
    order = torch.tensor([1, 2, 0, *range(3, rows)])
    report = rnninspect.inspect(outputs, state, inputs=inputs[order], **more)
    assert [(f.rule, f.certainty) for f in report.findings] == [("rows-permuted", "proven")]
    names = {"x": inputs[order].numpy()}
    exec(report.findings[0].fix, names)
    assert (names["x"] == inputs.numpy()).all()
    assert rnninspect.inspect(outputs, state, inputs=inputs, **more).verdict == "clean"
    twice = inputs[torch.tensor([0, 0, *range(2, rows)])]
    assert "rows-permuted" not in [f.rule for f in rnninspect.inspect(outputs, state, inputs=twice, **more).findings]


@pytest.mark.parametrize("two", [False, True])
def test_states_that_no_output_tells_in_another_order(two: bool) -> None:
    """Proves that a c, or a lower layer's h, of other rows is named beside a run of the weights, once for all of one
    order, and that one which is of no row stays unexplained, by layer and array."""
    torch.manual_seed(1)
    inputs, layer = torch.randn(4, 5, 3), torch.nn.LSTM(3, 4, 2, bidirectional=two, batch_first=True)
    with torch.no_grad():
        outputs, (h, c) = layer(inputs)
    order = torch.tensor([0, 2, 3, 1])
    lower, strange = h.clone(), c.clone()
    lower[0], strange[-1] = lower[0, order], strange[-1] * 2
    for states, rule, told in (
        ((h, c[:, order]), "rows-permuted", "c of layer 0 forward"),
        ((lower, c), "rows-permuted", "h of layer 0 forward is of other rows"),
        ((h, strange), "unexplained-state", f"another c of layer 1 {'backward' if two else 'forward'}"),
    ):
        report = rnninspect.inspect(outputs, states, lengths="full", inputs=inputs, weights=layer)
        assert [f.rule for f in report.findings] == [rule]
        assert told in report.findings[0].message
