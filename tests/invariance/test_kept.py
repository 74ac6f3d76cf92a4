"""A check leaves a model, its inputs and the random numbers as they were, however it ends."""

from __future__ import annotations

import random
import subprocess
import sys
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


@pytest.mark.parametrize(
    "kind", [KeyboardInterrupt, *(pytest.param(kind, marks=pytest.mark.long) for kind in (RuntimeError, SystemExit))]
)
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


class Setting(nn.Module):
    """It sets what is set for the whole process, and changes an object of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.memory = nn.GRU(3, 4, batch_first=True), Memory()

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = True
        np.seterr(all="ignore")
        self.memory.last.add_(1)
        self.memory.calls += 1
        return self.rnn(x)[0][:, -1]


class Memory:
    """What a model may remember of its calls outside its buffers."""

    def __init__(self) -> None:
        self.last, self.calls = torch.zeros(2), 0


def settings() -> tuple[Any, ...]:
    """What a process has set."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    return torch.get_default_dtype(), deterministic, torch.backends.cudnn.benchmark, np.geterr()


def test_settings_and_plain_objects_are_given_back() -> None:
    """What a forward sets for the process, and the attributes of an object that it holds, are as they were."""
    model, before = Setting(), settings()
    assert check_padding(model, *BATCH).verdict == "findings"
    assert settings() == before
    assert model.memory.calls == 0
    assert not model.memory.last.any()


class Last(nn.Module):
    """It takes the last column."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.drop, self.out = nn.GRU(3, 4, batch_first=True), nn.Dropout(0.5), nn.Linear(4, 2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.out(self.drop(self.rnn(x)[0][:, -1])) + 0 * lengths[:, None]


def test_scripted_models_keep_their_modes() -> None:
    """Scripted, traced and frozen models are run by their arguments' names, and train afterwards as they did."""
    scripted = torch.jit.script(Last())
    assert check_padding(scripted, *BATCH).verdict == "findings"
    assert scripted.training
    assert scripted.drop.training
    part = Last()
    part.drop = torch.jit.script(part.drop)
    assert check_padding(part, *BATCH).verdict == "findings"
    assert part.drop.training
    for fixed in (torch.jit.trace(Last().eval(), BATCH), torch.jit.freeze(torch.jit.script(Last().eval()))):
        assert check_padding(fixed, *BATCH).verdict == "findings"


def test_inference_tensors_are_checked() -> None:
    """A model whose weights were made in inference mode is checked, within that mode too, and keeps its weights."""
    with torch.inference_mode():
        model = Last()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        assert check_padding(model, *BATCH).verdict == "findings"
    assert check_padding(model, *BATCH).verdict == "findings"
    assert same(before, dict(model.state_dict()))


def test_dynamically_quantised_models_are_refused() -> None:
    """A model that rounds by its batch's largest value depends on all of it by design: one line says so."""
    quantised = torch.ao.quantization.quantize_dynamic(Last().eval(), {nn.Linear}, dtype=torch.qint8)
    with pytest.raises(UserError, match="before it is quantised"):
        check_padding(quantised, *BATCH)


def test_a_place_is_looked_for_without_the_compiler_and_without_other_weights() -> None:
    """Nothing imports torch's compiler, and no other weights are tried on a layer that ran with its own."""
    code = (
        "import sys, torch, rnninspect\n"
        "from torch import nn\n"
        "class Tagger(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.rnn = nn.LSTM(3, 4, batch_first=True, bidirectional=True)\n"
        "    def forward(self, x, lengths):\n"
        "        return self.rnn(x)\n"
        "from rnninspect.diagnosis.evidence import weight_search\n"
        "def refuse(*_):\n"
        "    raise AssertionError('other weights')\n"
        "weight_search._tried = refuse\n"
        "report = rnninspect.check_padding(Tagger(), torch.randn(3, 5, 3), torch.tensor([5, 2, 3]))\n"
        "assert report.findings[0].evidence['rule'] == 'lengths-ignored', report\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Streaming(nn.Module):
    """A layer that goes on from the state of the call before; `mistake`: it reads padding, or mixes rows."""

    def __init__(self, held: str, mistake: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.held, self.mistake = nn.GRU(4, 5, batch_first=True), held, mistake
        self.states: Any = [] if held == "list" else ()

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        outputs, state = self.rnn(x, self.states[-1] if self.states else None)
        if self.held == "list":
            self.states.append(state.detach())
        else:
            self.states = (state.detach(),)
        last = outputs[torch.arange(len(x)), -1 if self.mistake == "padding" else lengths - 1]
        return last - last.mean(0) if self.mistake == "rows" else last  # type: ignore[no-any-return]


@pytest.mark.parametrize("mistake", ["", "padding", "rows"])
@pytest.mark.parametrize("held", ["list", "tuple"])
def test_what_a_model_carries_from_another_batch_is_not_taken_for_its_rows(held: str, mistake: str) -> None:
    """After a call it is judged as a fresh one is, its states are given back, and the report says so."""
    x, lengths = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([7, 3, 5])
    model = Streaming(held, mistake)
    model(x, lengths)
    state, before = model.states[-1], model.states[-1].clone()
    report = check_padding(model, x, lengths)
    expected = {"": [], "padding": ["reads-padding"], "rows": ["rows-mixed"]}[mistake]
    assert [finding.rule for finding in report.findings] == expected
    assert any("carries a state from call to call" in note for note in report.notes)
    assert model.states[-1] is state
    assert torch.equal(state, before)
