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


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize("rows", [3, 4, 5])
def test_a_scaled_norm_of_few_rows(kind: str, rows: int) -> None:
    """Three rows are one more than a scale and a shift fit by themselves; states of other rows stay accused."""
    _, outputs, state, _ = ran(kind, scaled=True)
    h = state[0] if kind == "LSTM" else state
    few = {"lengths": LENGTHS[:rows]}
    assert rnninspect.inspect(outputs[:rows], h[:, :rows], **few).verdict == "unjudged"
    assert rnninspect.inspect(outputs[:rows], h[:, :rows].roll(1, 1), **few).verdict == "findings"


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize("joined", [False, True], ids=["[2, B, H]", "[B, 2H]"])
def test_the_norm_of_two_joined_directions(kind: str, joined: bool) -> None:
    """Each half of the state goes with its part of the norm at its own end: unjudged, stated as two or not; the
    backward half at the last step, and states of other rows, stay accused."""
    torch.manual_seed(8)
    layer, norm = getattr(torch.nn, kind)(4, 6, batch_first=True, bidirectional=True), torch.nn.LayerNorm(12)
    pack = torch.nn.utils.rnn.pack_padded_sequence(
        torch.randn(8, 7, 4), torch.tensor(LENGTHS), True, enforce_sorted=False
    )
    with torch.no_grad():
        packed, state = layer(pack)
        raw = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
        outputs = norm(raw)
    h = state[0] if kind == "LSTM" else state

    def formed(state: Any) -> Any:
        return torch.cat([*state], -1) if joined else state

    for about in ({}, {"bidirectional": True}):
        right = rnninspect.inspect(outputs, formed(h), lengths=LENGTHS, **about)
        assert (right.verdict, right.findings) == ("unjudged", [])
        assert any("layer norm" in note for note in right.notes)
    ends = raw[torch.arange(8), torch.tensor(LENGTHS) - 1]
    at_last = torch.stack([ends[:, :6], ends[:, 6:]])
    for wrong in (at_last, h[:, [1, 0, 3, 2, 5, 4, 7, 6]]):
        assert rnninspect.inspect(outputs, formed(wrong), lengths=LENGTHS, bidirectional=True).verdict == "findings"
