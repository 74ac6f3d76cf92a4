"""Outputs that the weights do not give, beside a state that was taken wrongly: both are said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import rnninspect

LENGTHS = torch.tensor([13, 4, 9, 2, 11, 6])
OTHER_ROWS = torch.tensor([3, 0, 5, 1, 4, 2])


def _run(cell: Any, seed: int, both: bool = False) -> tuple[Any, Any, Any, Any]:
    """A right run: the layer, inputs `[B, T, F]`, outputs with zeros as padding, and the states."""
    torch.manual_seed(seed)
    layer = cell(5, 7, batch_first=True, bidirectional=both)
    x = torch.randn(6, 13, 5)
    pack = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    with torch.no_grad():
        packed, states = layer(pack)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    return layer, x, outputs, states


STATES: dict[str, Callable[[Any, Any], Any]] = {
    "pooled-state": lambda o, h: o.sum(1) / LENGTHS[:, None],
    "last-column-as-final-state": lambda o, h: o[:, -1],
    "rows-permuted": lambda o, h: h[:, OTHER_ROWS],
}


@pytest.mark.parametrize("rule", STATES)
@pytest.mark.parametrize("seed", [1, 2])
def test_other_weights_are_said_beside_a_state_that_was_taken_wrongly(rule: str, seed: int) -> None:
    """A cause in the state alone leaves the outputs the run's: what the weights do not give is said beside it, and
    nothing is where they do."""
    layer, x, outputs, h = _run(torch.nn.GRU, seed)
    state = STATES[rule](outputs, h)
    others = {name: torch.randn_like(w) for name, w in layer.state_dict().items()}
    told = {f.rule for f in rnninspect.inspect(outputs, state, lengths=LENGTHS, inputs=x, weights=others).findings}
    assert told == {rule, "unexplained-difference"}
    its_own = rnninspect.inspect(outputs, state, lengths=LENGTHS, inputs=x, weights=layer.state_dict())
    assert {f.rule for f in its_own.findings} == {rule}


def test_pooled_states_of_other_weights_are_not_clean() -> None:
    """Mean pooling is a note, and alone no mistake; with weights that do not give the outputs there is one."""
    layer, x, outputs, h = _run(torch.nn.GRU, 3)
    state, weights = STATES["pooled-state"](outputs, h), layer.state_dict()
    assert rnninspect.inspect(outputs, state, lengths=LENGTHS, inputs=x, weights=weights).verdict == "clean"
    others = {name: w.flip(0) for name, w in weights.items()}
    assert rnninspect.inspect(outputs, state, lengths=LENGTHS, inputs=x, weights=others).verdict == "findings"


def test_outputs_in_other_rows_are_no_second_mistake() -> None:
    """Outputs in another order of rows than state and inputs are one mistake: undone, the weights give them."""
    layer, x, outputs, h = _run(torch.nn.GRU, 4)
    weights = layer.state_dict()
    report = rnninspect.inspect(outputs[OTHER_ROWS], h, lengths=LENGTHS[OTHER_ROWS], inputs=x, weights=weights)
    assert "unexplained-difference" not in {f.rule for f in report.findings}


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("cell", [torch.nn.LSTM, torch.nn.GRU])
def test_a_lost_bias_is_named_beside_a_missing_direction(cell: Any, which: int) -> None:
    """The outputs hold both directions, whatever the state does: a bias is fitted to each, if one was lost."""
    layer, x, outputs, states = _run(cell, 5, both=True)
    h = states[0] if cell is torch.nn.LSTM else states
    whole = layer.state_dict()
    lost = {name: w * 0 if "bias_ih" in name else w for name, w in whole.items()}
    for weights, expected in ((lost, {"direction-missing", "bias-dropped"}), (whole, {"direction-missing"})):
        one = h[which]
        report = rnninspect.inspect(outputs, one, lengths=LENGTHS, inputs=x, weights=weights, bidirectional=True)
        assert {f.rule for f in report.findings} == expected
