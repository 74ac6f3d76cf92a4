"""Outputs behind torch's LayerNorm beside the raw state accuse nobody, and excuse no state of another step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import rnninspect

LENGTHS = [7, 3, 5, 1, 6, 4, 2, 7]


def ran(kind: str, scaled: bool, epsilon: float = 1e-5) -> tuple[Any, Any, Any, Any]:
    """The inputs, the outputs behind a norm of every step, the raw state, and the layer."""
    torch.manual_seed(6)
    layer, norm = getattr(torch.nn, kind)(4, 6, batch_first=True), torch.nn.LayerNorm(6, eps=epsilon)
    inputs = torch.randn(8, 7, 4)
    rows = torch.nn.utils.rnn.pack_padded_sequence(inputs, torch.tensor(LENGTHS), True, enforce_sorted=False)
    with torch.no_grad():
        if scaled:
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
        packed, state = layer(rows)
        outputs = norm(torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0])
    return inputs, outputs, state, layer


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_the_norm_of_a_right_state_is_unjudged_and_with_weights_clean(kind: str, scaled: bool, epsilon: float) -> None:
    """The report says that outputs are the norm; a run of the weights decides, and finds a state of other rows."""
    inputs, outputs, state, layer = ran(kind, scaled, epsilon)
    report = rnninspect.inspect(outputs, state, lengths=LENGTHS)
    assert (report.verdict, report.findings) == ("unjudged", [])
    assert any("layer norm" in note for note in report.notes)
    more = {"lengths": LENGTHS, "inputs": inputs, "weights": layer}
    assert rnninspect.inspect(outputs, state, **more).verdict == "clean"


@pytest.mark.parametrize("scaled", [False, True])
def test_states_of_other_steps_or_rows_stay_accused(scaled: bool) -> None:
    """A state one step early, or of other rows, is no norm of the outputs at the last real step."""
    inputs, outputs, h, layer = ran("GRU", scaled)
    with torch.no_grad():
        steps = layer(inputs)[0]
    early = steps[torch.arange(8), torch.tensor(LENGTHS).clamp(min=2) - 2][None]
    for wrong in (early, h[:, [1, 0, 3, 2, 5, 4, 7, 6]], torch.tanh(torch.randn(1, 8, 6))):
        assert rnninspect.inspect(outputs, wrong, lengths=LENGTHS).verdict == "findings"
