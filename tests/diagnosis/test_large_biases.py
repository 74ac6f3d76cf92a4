"""Biases that the weights lack, and that are as large as the kernels: the fit begins at several places."""

from __future__ import annotations

import pytest
import torch

import rnninspect


@pytest.mark.parametrize(
    ("kind", "lost", "scale"),
    [
        ("RNN", "bias_ih_l0", 4),
        ("GRU", "bias_ih_l0", 1),
        *(pytest.param(*case, 1, marks=pytest.mark.long) for case in (("GRU", "bias_hh_l0"), ("LSTM", "bias_ih_l0"))),
    ],
)
def test_a_large_bias_that_was_lost_is_named(kind: str, lost: str, scale: float) -> None:
    """Proves that a bias behind saturated gates is found where a fit from zero is stuck, and that a kernel which is
    another's is still no lost bias."""
    torch.manual_seed(0)
    inputs, layer = torch.randn(5, 9, 4), getattr(torch.nn, kind)(4, 6, batch_first=True)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "bias" in name:
                parameter.copy_(torch.randn_like(parameter) * scale)
        outputs, state = layer(inputs)
    kept = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    other = {"weight_hh_l0": "unexplained-difference"} if kind == "RNN" else {}
    for change, rule in {lost: "bias-dropped", **other}.items():
        weights = kept | {change: torch.zeros_like(kept[change]) if change == lost else kept[change].flip(1)}
        report = rnninspect.inspect(outputs, state, lengths="full", inputs=inputs, weights=weights)
        assert [f.rule for f in report.findings] == [rule]
