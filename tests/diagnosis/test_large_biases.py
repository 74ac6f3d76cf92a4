"""Biases that the weights lack, and that are as large as the kernels: the fit begins at several places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.diagnosis.evidence.weight_changes import each
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case, random_weights


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


@pytest.mark.parametrize(("cell", "reset_after", "count"), [("lstm", None, 4), ("gru", True, 4), ("gru", False, 3)])
def test_a_bias_is_fitted_to_a_few_steps(cell: str, reset_after: bool | None, count: int) -> None:
    """Proves that a lost bias is named where real steps hold three numbers a unit more than are fitted, a reset gate's
    too whose bias reaches all units; not with as many steps as numbers, and not for a kernel that is another's."""
    spec = {} if reset_after is None else {"reset_after": reset_after}
    weights = random_weights(cell, 5, 4, 1, 1, seed=1, **spec)
    named = {}
    for steps in (count, count + 3):
        case = correct_case(cell, weights=weights, steps=steps - 1, lengths=np.array([steps - 1, 1]))
        lost = each(weights, lambda w: replace(w, bias=0 * w.bias, recurrent_bias=None))
        other = each(weights, lambda w: replace(w, input_kernel=w.input_kernel[:, ::-1]))
        for what, others in (("bias", lost), ("kernel", other)):
            named[what, steps] = [f.rule for f in judge(case.with_weights(others), rules()).findings]
    assert named.pop(("bias", count + 3)) == ["bias-dropped"]
    assert set(map(tuple, named.values())) == {("unexplained-difference",)}
