"""Inputs that were viewed where they had to be transposed, and outputs that were viewed back the same way."""

from __future__ import annotations

import pytest
import torch

import rnninspect

NAME = "inputs-reshaped-not-transposed"


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(("rows", "steps"), [(4, 8), (6, 5), (3, 7)])
@pytest.mark.parametrize("last", [False, True])
def test_outputs_viewed_back_are_one_mistake(kind: str, rows: int, steps: int, last: bool) -> None:
    """With the state of the run, or the last column of what was viewed back: no second cause is named."""
    torch.manual_seed(rows)
    layer, inputs = getattr(torch.nn, kind)(5, 6), torch.randn(rows, steps, 5)
    outputs, state = layer(inputs.view(steps, rows, 5))
    outputs = outputs.reshape(rows, steps, 6)
    final = outputs[:, -1] if last else state
    report = rnninspect.inspect(outputs, final, inputs=inputs, weights=layer, lengths="full", batch_first=True)
    assert [(f.rule, f.certainty) for f in report.findings] == [(NAME, "proven")]


def test_outputs_of_transposed_inputs_are_right() -> None:
    """The twin: inputs that were transposed there, and outputs that were transposed back."""
    torch.manual_seed(1)
    layer, inputs = torch.nn.GRU(5, 6), torch.randn(4, 8, 5)
    outputs, state = layer(inputs.transpose(0, 1))
    report = rnninspect.inspect(
        outputs.transpose(0, 1), state, inputs=inputs, weights=layer, lengths="full", batch_first=True
    )
    assert report.verdict == "clean"
