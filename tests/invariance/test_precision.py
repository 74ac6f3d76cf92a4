"""Models in half precision: what leaks is seen, and what rounding does is not accused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnninspect import Report, check_padding
from rnninspect.invariance.nested import mapped
from tests.support.zoo import Animal, pairs

BELOW_ROUNDING = ("weak-leak",)  # leaks a hundred-thousandth
PAIRS = [animal for animal in pairs() if animal.name not in BELOW_ROUNDING]


def narrowed(inputs: Any, dtype: torch.dtype) -> Any:
    """The inputs with their floats in that precision."""
    return mapped(
        inputs, lambda _, leaf: leaf.to(dtype) if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf
    )


def checked(make: Any, animal: Animal, dtype: torch.dtype) -> Report | None:
    """The report on a model in that precision; None where it cannot run in it."""
    torch.manual_seed(0)
    inputs, options = animal.batch(0, 0)
    model = make()
    if not isinstance(model, nn.Module):
        return None
    try:
        model, inputs = model.to(dtype), narrowed(list(inputs), dtype)
        with torch.no_grad():
            return check_padding(model, *inputs, seconds=None, **options)
    except Exception:
        return None


@pytest.mark.parametrize("dtype", [torch.float16, pytest.param(torch.bfloat16, marks=pytest.mark.long)], ids=str)
def test_the_zoo_in_half_precision(dtype: torch.dtype) -> None:
    """No right model is accused, and every wrong one that runs so is caught."""
    right = {animal.name: checked(animal.right, animal, dtype) for animal in PAIRS}
    assert not [name for name, report in right.items() if report is not None and report.findings]
    wrong = {animal.name: (checked(animal.wrong, animal, dtype), animal.finding) for animal in PAIRS}
    judged = {name: pair for name, pair in wrong.items() if pair[0] is not None}
    assert len(judged) >= 30
    assert not [name for name, (report, rule) in judged.items() if rule not in [f.rule for f in report.findings]]
