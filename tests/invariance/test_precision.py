"""Models in half precision: what leaks is seen, and what rounding does is not accused."""

from __future__ import annotations

from typing import Any

import numpy as np
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


LENGTHS = torch.tensor([9, 4, 6, 2])
X = torch.randn(4, 9, 5, generator=torch.Generator().manual_seed(1)) * (
    torch.arange(9)[:, None] < LENGTHS[:, None, None]
)


class Last(nn.Module):
    """The output at each row's last real step, and a share of what it is at the last step of all."""

    def __init__(self, leak: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn = nn.GRU(5, 64, batch_first=True)
        self.leak = leak

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        outputs = self.rnn(x)[0]
        return outputs[torch.arange(len(x)), lengths - 1] + self.leak * outputs[:, -1]


def in_wider_floats(how: str, leak: float) -> Report:
    """The report on the model whose results come in wider floats than it computes with."""
    model = Last(leak)
    if how in ("tolist", "double"):
        forward = model.forward
        model.forward = lambda x, lengths: getattr(forward(x, lengths), how)()  # type: ignore[method-assign]
        return check_padding(model, X, LENGTHS)
    narrow = torch.bfloat16 if how == "bfloat16" else torch.float32
    model.to(narrow)

    def predict(x: Any, lengths: Any) -> Any:
        with torch.no_grad():
            scores = model(torch.as_tensor(x).to(narrow), torch.as_tensor(lengths)).float().numpy()
        return scores if how == "bfloat16" else np.tanh(scores.astype(np.float64))

    return check_padding(predict, X.numpy().astype("f4" if how == "bfloat16" else "f8"), LENGTHS.numpy())


@pytest.mark.parametrize(("how", "leak"), [("tolist", 1e-4), ("double", 1e-4), ("session", 1e-4), ("bfloat16", 0.2)])
def test_results_in_wider_floats_than_were_computed_with(how: str, leak: float) -> None:
    """What was computed in float32, or in half precision within a function on numpy, is held to that precision however
    it is returned; a leak beyond its rounding is found."""
    assert in_wider_floats(how, 0.0).verdict == "clean"
    assert "reads-padding" in [finding.rule for finding in in_wider_floats(how, leak).findings]


def test_a_model_in_double_is_held_to_double() -> None:
    """A leak far below the rounding of float32 is found, though the model makes a mask of floats of float32."""

    def forward(x: Tensor, lengths: Tensor) -> Tensor:
        mask = (torch.arange(x.shape[1]) < lengths[:, None]).float()[..., None]
        return (x * mask + 1e-8 * x).sum(1)

    assert check_padding(forward, X.double(), LENGTHS, probes="noise").findings


def test_random_numbers_of_torch_are_given_back_by_a_function_on_numpy() -> None:
    """A function that draws of torch's numbers leaves them where they were."""
    torch.manual_seed(5)
    before = torch.get_rng_state()
    check_padding(lambda x, lengths: x[:, 0] + float(torch.rand(1)), X.numpy(), LENGTHS.numpy(), probes="noise")
    assert torch.equal(before, torch.get_rng_state())


class Echo(nn.Module):
    """A layer whose weights amplify what is rounded, over many steps; `mixed`: a share of the rows' mean in each."""

    def __init__(self, gain: float, mixed: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.mixed = nn.RNN(5, 64, batch_first=True), mixed
        nn.init.normal_(self.rnn.weight_hh_l0, std=gain / 8)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        last = self.rnn(x)[0][torch.arange(len(x)), lengths - 1]
        return last + self.mixed * last.mean(0)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("gain", "verdict"), [(2.0, "clean"), (3.0, "unjudged")])
def test_rounding_that_a_recurrence_amplifies_is_not_accused(gain: float, verdict: str) -> None:
    """A run in float64 decides; where it differs by its own rounding too, nothing is told. Rows that are truly mixed
    are found beneath the rounding as long as float64 shows them."""
    x, lengths = torch.randn(3, 120, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([120, 60, 90])
    assert check_padding(Echo(gain), x, lengths).verdict == verdict
    mixed = check_padding(Echo(gain, 0.2), x, lengths)
    assert "rows-mixed" in [finding.rule for finding in mixed.findings] or verdict == "unjudged"
