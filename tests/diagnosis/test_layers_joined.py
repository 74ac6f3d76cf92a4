"""States of several layers, directions side by side, `[L, B, 2H]`: joined rightly, by view, or by direction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect

LENGTHS = torch.tensor([9, 4, 7, 2, 6])
RESHAPED, REVERSED = "state-reshaped-not-transposed", "layer-order-reversed"
Join = Callable[[torch.Tensor], torch.Tensor]


def _ran(cell: str, layers: int, proj_size: int = 0) -> tuple[Any, torch.Tensor, tuple[torch.Tensor, ...], Any]:
    """The inputs, outputs `[B, T, 2H]` and states `[L*D, B, H]` of a packed run, and its layer."""
    torch.manual_seed(501)
    projected = {"proj_size": proj_size} if proj_size else {}
    layer = getattr(torch.nn, cell)(6, 8, layers, batch_first=True, bidirectional=True, **projected)
    inputs = torch.randn(5, 9, 6)
    with torch.no_grad():
        packed, states = layer(pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False))
    outputs = pad_packed_sequence(packed, batch_first=True)[0]
    return inputs, outputs, states if isinstance(states, tuple) else (states,), layer


def _rightly(h: torch.Tensor) -> torch.Tensor:
    return torch.cat([h[0::2], h[1::2]], 2)


def _viewed(h: torch.Tensor) -> torch.Tensor:
    return h.view(h.shape[0] // 2, h.shape[1], -1)


def _by_direction(h: torch.Tensor) -> torch.Tensor:
    return torch.cat([h[: len(h) // 2], h[len(h) // 2 :]], 2)


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}], ids=["nothing stated", "two directions stated"])
@pytest.mark.parametrize(("join", "rule"), [(_rightly, None), (_viewed, RESHAPED), (_by_direction, REVERSED)])
def test_states_joined_layer_by_layer(
    cell: str, layers: int, options: dict[str, bool], join: Join, rule: str | None
) -> None:
    """A view without the transpose is named, and `fix` restores h and c of every layer; the right twin is clean."""
    _, outputs, states, _ = _ran(cell, layers)
    if join is _by_direction and layers == 3 and not options:
        pytest.skip("which of the layers' states stand in the top vector is no reading of one direction")
    joined = tuple(join(state) for state in states)
    final = joined if len(joined) > 1 else joined[0]
    report = rnninspect.inspect(outputs, final, lengths=LENGTHS, **options)
    assert [f.rule for f in report.findings] == ([rule] if rule else [])
    fixed = rnninspect.fix(outputs, final, lengths=LENGTHS, **options)
    assert fixed.report.verdict == "clean"
    arrays = [array for name, array in fixed.arrays.items() if name.startswith("final_state")]
    assert len(arrays) == len(states)
    for array, state in zip(arrays, states, strict=True):
        assert (array == _rightly(state).numpy()).all()


@pytest.mark.parametrize("proj_size", [0, 3])
def test_c_is_read_as_h_is(proj_size: int) -> None:
    """c `[L, B, 2C]` beside h `[L, B, 2H]` is each layer's two directions too, also where a projection makes it wider:
    with the rows of h those of c are put back in every layer."""
    _, outputs, (h, c), _ = _ran("LSTM", 2, proj_size)
    order = [3, 0, 4, 1, 2]
    moved = tuple(_rightly(state)[:, order] for state in (h, c))
    fixed = rnninspect.fix(outputs, moved, lengths=LENGTHS)
    assert [change.rule for change in fixed.changes] == ["rows-permuted"]
    assert (fixed.arrays["final_state.h"] == _rightly(h).numpy()).all()
    assert (fixed.arrays["final_state.c"] == _rightly(c).numpy()).all()


@pytest.mark.parametrize("whole", [True, False], ids=["all layers", "the top layer's"])
@pytest.mark.parametrize(("join", "rule"), [(_rightly, None), (_viewed, RESHAPED)])
def test_weights_of_the_layer_are_its_own(whole: bool, join: Join, rule: str | None) -> None:
    """With inputs and weights the view alone is named: the weights of two layers are not blamed."""
    inputs, outputs, (h, _), layer = _ran("LSTM", 2)
    state = join(h) if whole else join(h)[-1]
    report = rnninspect.inspect(outputs, state, lengths=LENGTHS, inputs=inputs, weights=layer)
    assert [f.rule for f in report.findings] == ([rule] if rule else [])
    assert (report.shape["layers"], report.shape["directions"]) == (2, 2)
