"""States of layers whose outputs are not there: NaN, infinity and zeros in them are seen; torch's runs are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = [7, 3, 5, 1]
KINDS = [("GRU", False), ("LSTM", False), ("LSTM", True), ("RNN", True)]


def ran(kind: str, bidirectional: bool = False, layers: int = 2, **options: Any) -> tuple[Any, Any, Any, Any]:
    """The inputs, outputs and state of a packed run, and the layer that made it."""
    torch.manual_seed(3)
    layer = getattr(torch.nn, kind)(4, 5, layers, batch_first=True, bidirectional=bidirectional, **options)
    inputs = torch.randn(4, 7, 4)
    rows = torch.nn.utils.rnn.pack_padded_sequence(inputs, torch.tensor(LENGTHS), True, enforce_sorted=False)
    with torch.no_grad():
        outputs, state = layer(rows)
    return inputs, torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0], state, layer


def changed(state: Any, change: Any) -> Any:
    """The state, `[L*D, B, H]` or a pair of these, with a change of the lower layer's half of each."""
    if isinstance(state, tuple):
        return tuple(changed(part, change) for part in state)
    half = len(state) // 2
    return torch.cat([change(state[:half]), state[half:]])


def rules(outputs: Any, state: Any, **options: Any) -> tuple[str, set[str]]:
    report = rnninspect.inspect(outputs, state, lengths=LENGTHS, layers=2, **options)
    return report.verdict, {finding.rule for finding in report.findings if finding.severity != "note"}


@pytest.mark.parametrize(("kind", "bidirectional"), KINDS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nonfinite_states_of_a_lower_layer(kind: str, bidirectional: bool, bad: float) -> None:
    """One such number in one row of a lower layer's state is an error, with weights and without; the right run is
    clean."""
    inputs, outputs, state, layer = ran(kind, bidirectional)
    weights = {"inputs": inputs, "weights": layer}

    def one(half: torch.Tensor) -> torch.Tensor:
        half = half.clone()
        half[-1, 2, 3] = bad
        return half

    assert rules(outputs, state, bidirectional=bidirectional)[0] == "clean"
    for more in ({}, weights):
        assert rules(outputs, changed(state, one), bidirectional=bidirectional, **more) == (
            "findings",
            {"nonfinite-values"},
        )


def test_nonfinite_cell_states_alone() -> None:
    """c alone is looked at too, and the report says which state of which layer holds it, and where."""
    _, outputs, (h, c), _ = ran("LSTM")
    spoiled = c.clone()
    spoiled[0, 1, 2] = float("nan")
    report = rnninspect.inspect(outputs, (h, spoiled), lengths=LENGTHS, layers=2)
    assert [(f.rule, f.rows, f.layer) for f in report.findings] == [("nonfinite-values", [1], 0)]
    assert "nan in the c of layer 0 forward, row 1, unit 2" in report.findings[0].message


def test_the_states_of_several_layers_are_told_once() -> None:
    """NaN in both directions of a lower layer is one finding."""
    _, outputs, h, _ = ran("GRU", bidirectional=True)
    spoiled = changed(h, lambda half: half * float("nan"))
    report = rnninspect.inspect(outputs, spoiled, lengths=LENGTHS, layers=2, bidirectional=True)
    assert [finding.rule for finding in report.findings] == ["nonfinite-values"]
    assert "layer 0, both directions" in report.findings[0].message


def test_fix_copies_no_nonfinite_state() -> None:
    """No array tells what the state ought to be: fix refuses, and names the rule."""
    _, outputs, h, _ = ran("GRU")
    with pytest.raises(rnninspect.errors.UserError, match=r"nonfinite-values.*run again"):
        rnninspect.fix(outputs, changed(h, lambda half: half * float("nan")), lengths=LENGTHS, layers=2)


@pytest.mark.parametrize(("kind", "bidirectional"), [("GRU", False), ("LSTM", False), ("GRU", True), ("LSTM", True)])
def test_a_lower_layers_state_that_was_never_written(kind: str, bidirectional: bool) -> None:
    """Zeros in the lower layer's h and c, in every row or in one, are `state-never-written`; fix refuses them."""
    inputs, outputs, state, layer = ran(kind, bidirectional)

    def blank(half: torch.Tensor) -> torch.Tensor:
        half = half.clone()
        half[:, 1] = 0
        return half

    for change in (torch.zeros_like, blank):
        for more in ({}, {"inputs": inputs, "weights": layer}):
            wrong = changed(state, change)
            assert rules(outputs, wrong, bidirectional=bidirectional, **more) == ("findings", {"state-never-written"})
    with pytest.raises(rnninspect.errors.UserError, match=r"state-never-written.*run again"):
        rnninspect.fix(outputs, wrong, lengths=LENGTHS, layers=2, bidirectional=bidirectional)


def test_zeros_that_a_lower_layer_may_give() -> None:
    """A relu layer whose units are all off is no mistake: its outputs are never negative, and no weights tell more; nor
    is a layer without biases that read zeros."""
    torch.manual_seed(3)
    layer = torch.nn.RNN(4, 5, 2, batch_first=True, nonlinearity="relu")
    with torch.no_grad():
        layer.bias_ih_l0.fill_(-50.0)
        layer.bias_ih_l1.fill_(1.0)
        inputs = torch.randn(4, 7, 4)
        rows = torch.nn.utils.rnn.pack_padded_sequence(inputs, torch.tensor(LENGTHS), True, enforce_sorted=False)
        packed, h = layer(rows)
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
    assert not h[0].any()
    assert rules(outputs, h) == ("clean", set())
    assert rules(outputs, h, inputs=inputs, weights=layer, activation="relu") == ("clean", set())
    off = torch.nn.GRU(4, 5, 2, batch_first=True)
    with torch.no_grad():
        for name, parameter in off.named_parameters():
            if name.startswith("bias") and name.endswith("l0"):
                parameter.zero_()
        nothing = torch.zeros(4, 7, 4)
        rows = torch.nn.utils.rnn.pack_padded_sequence(nothing, torch.tensor(LENGTHS), True, enforce_sorted=False)
        packed, h = off(rows)
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
    assert not h[0].any()
    assert h[1].any()
    assert rules(outputs, h, inputs=nothing)[1] == set()
    assert rules(outputs, h, inputs=nothing, weights=off)[1] == set()


@pytest.mark.parametrize("padding", [-float("inf"), float("inf"), float("nan")])
def test_a_padding_value_that_is_not_finite(padding: float) -> None:
    """`pad_packed_sequence(padding_value=-inf)` prepares a pool over time: a note, whose fix gives a clean dump."""
    torch.manual_seed(3)
    inputs = torch.randn(4, 7, 4)
    for layer in (torch.nn.GRU(4, 5, batch_first=True), torch.nn.LSTM(4, 5, batch_first=True, bidirectional=True)):
        rows = torch.nn.utils.rnn.pack_padded_sequence(inputs, torch.tensor(LENGTHS), True, enforce_sorted=False)
        with torch.no_grad():
            packed, state = layer(rows)
        padded = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, padding_value=padding)[0]
        for more in ({}, {"inputs": inputs, "weights": layer}):
            report = rnninspect.inspect(padded, state, lengths=LENGTHS, **more)
            assert report.verdict == "clean"
            assert {(f.rule, f.severity) for f in report.findings} == {("nonfinite-values", "note")}
        names = {"output": padded.clone(), "lengths": torch.tensor(LENGTHS), "np": np, "torch": torch}
        exec(report.findings[0].fix, names)
        assert np.isfinite(names["output"]).all()
        again = rnninspect.inspect(names["output"], state, lengths=LENGTHS)
        assert (again.verdict, again.findings) == ("clean", [])


def test_nonfinite_real_steps_and_states_stay_errors() -> None:
    """NaN in one real step, or in the state alone, is an error though the padding holds NaN as well."""
    _, outputs, h, _ = ran("GRU", layers=1)
    real = np.arange(7) < np.array(LENGTHS)[:, None]
    padded = np.where(real[..., None], outputs.numpy(), np.nan)
    spoiled = padded.copy()
    spoiled[2, 1, 0] = np.nan
    reached = h.numpy().copy()
    reached[0, 1] = np.nan
    for o, state in ((spoiled, h), (padded, reached)):
        report = rnninspect.inspect(o, state, lengths=LENGTHS)
        assert ("nonfinite-values", "error") in {(f.rule, f.severity) for f in report.findings}
