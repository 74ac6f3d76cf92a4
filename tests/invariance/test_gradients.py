"""Models that compute gradients within their forward, as of an energy."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from rnninspect import check_padding

LENGTHS = torch.tensor([6, 3, 4])
X = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0))


class Energy(nn.Module):
    """An energy a row, and how much it changes with the row's steps."""

    def __init__(self, right: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.right, self.rnn, self.out = right, nn.GRU(4, 5, batch_first=True), nn.Linear(5, 1)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        outputs = self.rnn(x)[0]
        last = outputs[torch.arange(len(x)), lengths - 1] if self.right else outputs[:, -1]
        energy = self.out(last).squeeze(1)
        (force,) = torch.autograd.grad(energy.sum(), x)
        return energy, force


@pytest.mark.parametrize("right", [True, False])
def test_a_model_that_differentiates_is_run_with_gradients(right: bool) -> None:
    """It is judged as others are, and its weights have the gradients that they had."""
    model = Energy(right)
    weights = list(model.parameters())
    weights[0].grad = torch.ones_like(weights[0])
    before = [None if weight.grad is None else weight.grad.clone() for weight in weights]
    assert check_padding(model, X, LENGTHS).verdict == ("clean" if right else "findings")
    for weight, was in zip(weights, before, strict=True):
        assert (weight.grad is None) == (was is None)
        assert was is None or torch.equal(weight.grad, was)
