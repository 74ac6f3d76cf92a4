"""batch_first forgotten: the layer reads rows as steps, whatever its code then takes for the state."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import rnninspect

LENGTHS = torch.tensor([7, 3, 5, 7, 2])
ROWS = torch.arange(5)


@pytest.mark.parametrize(("kind", "layers", "bidirectional"), [("LSTM", 1, False), ("GRU", 1, True), ("GRU", 2, False)])
def test_rows_read_as_steps(kind: str, layers: int, bidirectional: bool) -> None:
    """The last column, or a gather at the lengths, of a layer with the default axes: by its name alone, with its own
    weights. Of a batch-major layer the axes are right, and of another's weights nothing says that they are wrong."""
    torch.manual_seed(0)
    x = torch.randn(5, 7, 4)
    options = {"num_layers": layers, "bidirectional": bidirectional}
    layer, other = getattr(nn, kind)(4, 6, **options), getattr(nn, kind)(4, 6, **options)
    right = getattr(nn, kind)(4, 6, batch_first=True, **options)
    right.load_state_dict(layer.state_dict())
    with torch.no_grad():
        out, rightly = layer(x)[0], right(x)[0]
    for state in (out[:, -1], out[ROWS, LENGTHS - 1]):
        report = rnninspect.inspect(out, state, lengths=LENGTHS, inputs=x, weights=layer, bidirectional=bidirectional)
        also = ["backward-final-at-last-step"] if bidirectional else []  # which is so as well
        assert [f.rule for f in report.findings if f.severity != "note"] == ["batch-time-swapped", *also]
        assert "batch_first=True" in report.findings[0].fix
    for outputs, weights in ((rightly, right), (out, other)):
        report = rnninspect.inspect(outputs, outputs[:, -1], lengths="full", inputs=x, weights=weights, layers=layers)
        assert "batch-time-swapped" not in [f.rule for f in report.findings]
