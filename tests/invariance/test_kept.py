"""A check leaves a model, its inputs and the random numbers as they were, however it ends."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnninspect import UserError, check_padding


class Restless(nn.Module):
    """It changes whatever a model can change as it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 4, batch_first=True)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.out = nn.Linear(4, 2)
        self.register_buffer("count", torch.zeros(()))
        self.log: list[Tensor] = []
        self.memory: dict[str, Any] = {"last": torch.zeros(4)}
        self.scale = np.ones(2)
        self.rng = torch.Generator().manual_seed(3)
        self.fails_at = -1

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        self.count += 1
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == self.fails_at:
            raise KeyboardInterrupt
        self.log.append(x)
        self.memory["last"] += 1
        self.memory["new"] = x
        self.scale += 1
        with torch.no_grad():
            self.out.bias.add_(0.1)
        torch.rand(2, generator=self.rng)
        random.random(), np.random.rand(), torch.rand(1)
        x.add_(0.0)
        y = self.rnn(x)[0][:, -1]
        return self.out(self.drop(self.norm(y)))


def state_of(model: Restless) -> dict[str, Any]:
    """Everything that a check may not change, by value."""
    return {
        "weights": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "gradients": {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        "modes": [module.training for module in model.modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        "log": len(model.log),
        "memory": {name: value.clone() for name, value in model.memory.items()},
        "scale": model.scale.copy(),
        "calls": getattr(model, "calls", None),
        "own generator": model.rng.get_state(),
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1],
        "python": random.getstate(),
        "grad mode": torch.is_grad_enabled(),
    }


def same(first: Any, second: Any) -> bool:
    """Whether two states are equal, bit for bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, Tensor):
        return torch.equal(first, second)
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second)
    return bool(first == second)


@pytest.fixture
def restless() -> Restless:
    """A model in training, with gradients, a hook of its own and one part frozen."""
    torch.manual_seed(0)
    model = Restless()
    model.drop.eval()
    model.register_forward_hook(lambda *_: None)
    model.out.weight.grad = torch.ones_like(model.out.weight)
    return model


BATCH = (torch.randn(3, 5, 3), torch.tensor([5, 2, 3]))


def test_nothing_is_changed(restless: Restless) -> None:
    """Weights, buffers, attributes, modes, hooks, gradients, generators and inputs are what they were."""
    before, inputs = state_of(restless), [tensor.clone() for tensor in BATCH]
    report = check_padding(restless, *BATCH, lengths="lengths")
    assert report.verdict == "findings"
    assert same(before, state_of(restless))
    assert all(torch.equal(a, b) for a, b in zip(inputs, BATCH, strict=True))


@pytest.mark.parametrize("at", [1, 3, 9])
def test_nothing_is_changed_by_an_interrupt(restless: Restless, at: int) -> None:
    """The same where the check is broken off in the middle of a run."""
    restless.fails_at, restless.calls = 1, 0
    before = state_of(restless)
    runs = 0

    def stop(count: int) -> None:
        nonlocal runs
        runs = count
        if count == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_padding(restless, *BATCH, lengths="lengths", progress=stop)
    assert runs == 1 if at > 1 else runs <= 1
    assert same(before, state_of(restless))


def test_nothing_is_changed_by_a_failure(restless: Restless) -> None:
    """The same where the model cannot run on the batch at all, which is one line."""
    narrow = torch.randn(3, 5, 2)
    before = state_of(restless)
    with pytest.raises(UserError, match="does not run on this batch: RuntimeError"):
        check_padding(restless, narrow, BATCH[1])
    assert same(before, state_of(restless))


class Breaking(nn.Module):
    """It changes itself, in a layer's mode, weights and flags, and then breaks off in the pass that is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.out = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        passes.append(1)
        _, h = self.rnn(x)
        if len(passes) == breaks["at"]:
            self.out.train(not self.out.training)
            self.out.weight.requires_grad_(False)
            self.register_forward_hook(lambda *_: None)
            with torch.no_grad():
                self.rnn.bias_hh_l0.add_(1)
            torch.rand(1), np.random.rand(), random.random()
            raise breaks["kind"]
        return self.out(h[0])


passes: list[int] = []
breaks: dict[str, Any] = {}


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_nothing_is_changed_by_a_model_that_breaks_off_in_any_pass(kind: type[BaseException]) -> None:
    """The same at every pass of a whole check, those that watch or record layers among them."""
    for at in range(1, 100):
        torch.manual_seed(0)
        model = Breaking()
        passes.clear()
        breaks.update(at=at, kind=kind)
        before = everything(model)
        with suppress(UserError, kind):
            check_padding(model, *BATCH)
        assert same(before, everything(model)), at
        if len(passes) < at:
            return
    raise AssertionError("the check came to no end")


def everything(model: nn.Module) -> dict[str, Any]:
    """What of a model, and of the random numbers, a broken check could leave changed."""
    return {
        "weights": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "asked": [p.requires_grad for p in model.parameters()],
        "modes": [module.training for module in model.modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        "attributes": [sorted(m.__dict__) for m in model.modules()],
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1],
        "python": random.getstate(),
        "grad mode": torch.is_grad_enabled(),
    }
