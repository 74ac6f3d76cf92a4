"""A torch layer that drops units between its layers gives no run again, and nobody is accused of that."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import rnninspect

LENGTHS = [9, 3, 6, 1]


def ran(training: bool, kind: str = "GRU", **options: Any) -> tuple[Any, Any, Any, Any]:
    """A layer of two that drops half of the units, its inputs, outputs and state."""
    torch.manual_seed(5)
    layer = getattr(torch.nn, kind)(4, 6, 2, dropout=0.5, batch_first=True, **options).train(training)
    inputs = torch.randn(4, 9, 4)
    rows = torch.nn.utils.rnn.pack_padded_sequence(inputs, torch.tensor(LENGTHS), True, enforce_sorted=False)
    with torch.no_grad():
        packed, state = layer(rows)
    return layer, inputs, torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0], state


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_layer_in_train_mode_is_not_held_against_its_weights(kind: str) -> None:
    """The right run is clean, and the report says why no weights were used; fix changes nothing."""
    layer, inputs, outputs, state = ran(True, kind)
    report = rnninspect.inspect(outputs, state, lengths=LENGTHS, inputs=inputs, weights=layer)
    assert (report.verdict, report.findings) == ("clean", [])
    assert any("train mode" in note and ".eval()" in note for note in report.notes)
    model = torch.nn.ModuleDict({"encoder": layer})
    whole = rnninspect.inspect(outputs, state, lengths=LENGTHS, inputs=inputs, weights=model, weights_prefix="encoder")
    assert whole.findings == []
    fixed = rnninspect.fix(outputs, state, lengths=LENGTHS, inputs=inputs, weights=layer)
    assert fixed.changes == ()


def test_what_lengths_alone_tell_is_still_told() -> None:
    """A state of another step is named as it is without weights; a layer in eval mode, or of other weights, is held
    against its run."""
    layer, inputs, outputs, state = ran(True)
    early = outputs[torch.arange(4), torch.tensor(LENGTHS).clamp(min=2) - 2]
    wrong = torch.stack([state[0], early])
    report = rnninspect.inspect(outputs, wrong, lengths=LENGTHS, inputs=inputs, weights=layer)
    assert report.verdict == "findings"
    layer, inputs, outputs, state = ran(False)
    assert rnninspect.inspect(outputs, state, lengths=LENGTHS, inputs=inputs, weights=layer).verdict == "clean"
    other = torch.nn.GRU(4, 6, 2, dropout=0.5, batch_first=True).eval()
    report = rnninspect.inspect(outputs, state, lengths=LENGTHS, inputs=inputs, weights=other)
    assert [finding.rule for finding in report.findings] == ["unexplained-difference"]
    assert not any("train mode" in note for note in report.notes)


def test_a_run_in_eval_mode_of_a_layer_in_train_mode_is_used() -> None:
    """Where the weights give the outputs after all, they decide: c of other rows is found."""
    layer, inputs, outputs, (h, c) = ran(False, "LSTM")
    layer.train()
    options: dict[str, Any] = {"lengths": LENGTHS, "inputs": inputs, "weights": layer}
    assert rnninspect.inspect(outputs, (h, c), **options).verdict == "clean"
    assert rnninspect.inspect(outputs, (h, c[:, [1, 0, 3, 2]]), **options).verdict == "findings"


def test_a_state_alone_of_a_layer_in_train_mode_is_refused() -> None:
    """No run of the weights tells whether it is right: it is said, and what to do."""
    layer, inputs, _, state = ran(True)
    with pytest.raises(rnninspect.errors.UserError, match=r"train mode.*\.eval\(\)"):
        rnninspect.inspect(None, state, lengths=LENGTHS, inputs=inputs, weights=layer)
