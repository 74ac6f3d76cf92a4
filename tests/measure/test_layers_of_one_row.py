"""`h_n[:, -1]` beside a batch of another size: the layers and directions of one row, and not the rows of the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = np.array([9, 3, 6, 1, 8])


def _ran(cell: str, layers: int, both: bool, seed: int = 1, rows: int = 5) -> tuple[Any, Any, Any]:
    """Outputs `[B, T, D*H]` of a right packed run, and h and c `[L*D, B, H]` (c: None but for an LSTM)."""
    torch.manual_seed(seed)
    layer = getattr(torch.nn, cell)(4, 6, layers, batch_first=True, bidirectional=both)
    lengths = torch.from_numpy(LENGTHS[:rows])
    with torch.no_grad():
        packed, state = layer(
            torch.nn.utils.rnn.pack_padded_sequence(
                torch.randn(rows, 9, 4), lengths, batch_first=True, enforce_sorted=False
            )
        )
    h, c = state if isinstance(state, tuple) else (state, None)
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
    return outputs.numpy(), h.numpy(), None if c is None else c.numpy()


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(("layers", "both"), [(2, False), (3, False), (1, True), (2, True), (4, True)])
@pytest.mark.parametrize("row", [0, 2, 4])
def test_the_layers_of_one_row_are_named(cell: str, layers: int, both: bool, row: int) -> None:
    """The mistake and whose state it is, stated layers or not, batch or time first, beside c or alone."""
    outputs, h, c = _ran(cell, layers, both)
    told = {"layers": layers, "bidirectional": True} if both else {"layers": layers}
    states = {"h": h[:, row]} | ({"c": c[:, row]} if c is not None else {})
    if layers * (1 + both) == row + 1 and not both:
        return  # the last layer stands in the row's own place: rows that were dropped look the same
    for options in ({}, told):
        for axes in ({}, {"time_major": True}):
            dump = {"output": outputs.swapaxes(0, 1) if axes else outputs, "lengths": LENGTHS, **states}
            report = rnninspect.inspect(dump, **options, **axes)
            assert [f.rule for f in report.findings] == ["state-read-batch-first"]
            assert report.findings[0].evidence["row"] == row
            assert f"of row {row} alone" in report.findings[0].message


def test_rows_that_were_dropped_stay_so() -> None:
    """The first rows of the batch, or others of it, are rows: each of them is a step of another row's outputs."""
    outputs, h, _ = _ran("GRU", 1, both=False)
    for kept in ([0, 1], [0, 1, 2], [4, 2]):
        report = rnninspect.inspect({"output": outputs, "h": h[0][kept], "lengths": LENGTHS})
        assert [f.rule for f in report.findings] == ["rows-dropped"]
    half_wrong = h[0][:2].copy()
    half_wrong[0] += 1
    report = rnninspect.inspect({"output": outputs, "h": half_wrong, "lengths": LENGTHS})
    assert "state-read-batch-first" not in [f.rule for f in report.findings]


def test_states_that_are_of_no_row_are_still_refused() -> None:
    """Lower layers alone, or another run's states: nothing tells what they are."""
    outputs, h, _ = _ran("LSTM", 3, both=False)
    _, other, _ = _ran("LSTM", 3, both=False, seed=2)
    for state in (h[:2, -1], other[:, -1]):
        with pytest.raises(rnninspect.UserError, match="rows were dropped"):
            rnninspect.inspect({"output": outputs, "h": state, "lengths": LENGTHS})


@pytest.mark.parametrize("row", [0, -1])
def test_as_many_rows_as_layers_and_directions_are_told_by_both_directions(row: int) -> None:
    """Where L*D == B and nothing is stated, the top layer's two directions say whose states they are."""
    outputs, h, _ = _ran("GRU", 2, both=True, rows=4)
    report = rnninspect.inspect({"output": outputs, "h": h[:, row], "lengths": LENGTHS[:4]})
    assert [f.rule for f in report.findings] == ["state-read-batch-first"]
    assert report.findings[0].evidence["row"] == row % 4
    halves = {"output": outputs, "h": h[-1], "lengths": LENGTHS[:4]}
    assert [f.rule for f in rnninspect.inspect(halves).findings] == ["direction-missing"]


@pytest.mark.parametrize(("rows", "layers"), [(4, 1), (4, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_the_last_two_rows_side_by_side(kind: str, rows: int, layers: int) -> None:
    """`cat([h_n[:, -2], h_n[:, -1]], 1)` of two directions is one mistake, whatever the numbers of rows and of
    layers; the right halves of every row are clean."""
    outputs, h_n, _ = _ran(kind, layers, both=True, rows=rows)
    taken, right = (np.concatenate(halves, 1) for halves in ([h_n[:, -2], h_n[:, -1]], [h_n[-2], h_n[-1]]))
    for options in ({}, {"bidirectional": True, "layers": layers}):
        report = rnninspect.inspect(outputs, taken, lengths=LENGTHS[:rows], **options)
        assert [f.rule for f in report.findings] == ["state-read-batch-first"], report
        assert rnninspect.inspect(outputs, right, lengths=LENGTHS[:rows], **options).verdict == "clean"
