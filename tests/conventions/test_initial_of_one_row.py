"""An initial state of one row, learned and expanded over the batch by the caller: judged as if it had been expanded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.errors import ShapeError

LENGTHS = [7, 3, 5, 2, 6]


def _ran(kind: str, layers: int, both: bool) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """A dump of a packed run from one learned row `[L*D, 1, H]` of h (and c), these, and the weights."""
    torch.manual_seed(len(kind) + layers)
    layer = getattr(torch.nn, kind)(3, 4, layers, batch_first=True, bidirectional=both)
    inputs, count = torch.randn(5, 7, 3), layers * (1 + both)
    learned = [torch.randn(count, 1, 4) for _ in range(1 + (kind == "LSTM"))]
    expanded = tuple(state.expand(count, 5, 4).contiguous() for state in learned)
    with torch.no_grad():
        packed, state = layer(
            torch.nn.utils.rnn.pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False),
            expanded if kind == "LSTM" else expanded[0],
        )
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
    dump = {"output": outputs, "h_n": state, "lengths": torch.tensor(LENGTHS), "inputs": inputs}
    if kind == "LSTM":
        dump |= {"h_n": state[0], "c_n": state[1]}
    return dump, learned, layer.state_dict()


def _forms(learned: Any) -> list[Any]:
    """`[L*D, 1, H]`, and for one layer of one direction `[1, H]` and `[H]`."""
    return [learned] if len(learned) > 1 else [learned, learned[0], learned[0, 0]]


@pytest.mark.parametrize(("layers", "both"), [(1, False), (2, False), (1, True)])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_row_expanded_over_the_batch_starts_every_row(kind: str, layers: int, both: bool) -> None:
    """A right run from it is clean with weights, and a wrong state of such a run is named by its cause."""
    dump, learned, weights = _ran(kind, layers, both)
    for forms in zip(*map(_forms, learned), strict=True):
        initial = dict(zip(("h_0", "c_0"), forms, strict=False))
        report = rnninspect.inspect({**dump, **initial}, weights=weights)
        assert (report.verdict, report.findings) == ("clean", [])
        assert any("taken for that of every row" in note for note in report.notes)
        if not both:
            wrong = dict(dump, h_n=dump["output"][:, -1])
            wrong.pop("c_n", None)
            told = rnninspect.inspect({**wrong, **initial}, weights=weights, layers=layers)
            assert [f.rule for f in told.findings] == ["last-column-as-final-state"]


def test_another_row_than_the_run_began_in_is_told() -> None:
    """The learned row must be the one that the run began in: another one disagrees with a run of the weights."""
    dump, learned, weights = _ran("GRU", 1, False)
    report = rnninspect.inspect({**dump, "h_0": learned[0] + 1}, weights=weights)
    assert report.verdict == "findings"


@pytest.mark.parametrize("shape", [(1, 1, 3), (5,), (3, 1, 4), (2, 4), (1, 2, 4)])
def test_what_fits_no_layer_stays_refused(shape: tuple[int, ...]) -> None:
    """Other units, rows or layers than the run's are no row to expand."""
    dump, _, weights = _ran("GRU", 1, False)
    state = torch.zeros(shape)
    with pytest.raises(ShapeError, match="fits no layer of 5 rows"):
        rnninspect.inspect(
            dump["output"], dump["h_n"], lengths=LENGTHS, initial_state=state, inputs=dump["inputs"], weights=weights
        )


@pytest.mark.parametrize("shape", [(1, 1, 4), (1, 4), (4,)])
def test_one_row_for_several_layers_is_refused_in_a_dump_too(shape: tuple[int, ...]) -> None:
    """Left out in silence, it would make the run from it look like one from a stale state."""
    dump, _, weights = _ran("GRU", 2, False)
    with pytest.raises(ShapeError, match="one for every layer and direction"):
        rnninspect.inspect({**dump, "h_0": np.zeros(shape, np.float32)}, weights=weights)
