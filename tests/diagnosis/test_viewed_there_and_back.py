"""Inputs that were viewed where they had to be transposed, and outputs that were viewed back the same way."""

from __future__ import annotations

from typing import Any

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


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("how", ["viewed", "gathered", "right"])
def test_outputs_of_a_loop_that_were_viewed(how: str, weighed: bool, time_major: bool) -> None:
    """Steps stacked along one axis and viewed along the other give the same numbers as a flat index of the other
    axes: a run tells the two apart, and without one both are named."""
    torch.manual_seed(2)
    layer, inputs = torch.nn.GRU(5, 6, batch_first=not time_major), torch.randn(*((7, 4) if time_major else (4, 7)), 5)
    outputs, state = layer(inputs)
    final = state[0]
    if how == "viewed":
        outputs = outputs.transpose(0, 1).reshape(outputs.shape)
    if how == "gathered":
        rows = torch.arange(4)
        final = outputs.reshape(28, 6)[rows * 7 + 6 if time_major else 6 * 4 + rows]
    more: dict[str, Any] = {"inputs": inputs, "weights": layer} if weighed else {}
    report = rnninspect.inspect(outputs, final, lengths="full", time_major=time_major, direction="forward", **more)
    errors = [(f.rule, *f.alternatives) for f in report.findings if f.severity != "note"]
    gather, view = "flat-gather-wrong-stride", "batch-time-swapped"
    first = [(view,)] if how == "viewed" else [(gather,)]
    assert errors == ([] if how == "right" else first if weighed else [(gather, view)])
    fix = report.findings[0].fix if errors == [(view,)] else ""
    if fix:
        names: dict[str, Any] = {"output": outputs.detach().numpy(), "T": 7, "B": 4}
        exec(fix, names)
        assert rnninspect.inspect(names["output"], final, lengths="full", time_major=time_major).ok
