"""The zoo's recurrent models, recorded: no right one is accused, nothing changes, wrong ones are named or unjudged."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import rnninspect
from tests.support.zoo import Animal, awkward, pairs

# Wrong in what they make of a layer's outputs, or in what they give it: the layer's own call is right.
BESIDE_THE_LAYER = {"mean-pool", "deepspeech", "bridge-view", "actor-critic", "zero-in-maximum"}


def tensors(results: Any) -> Iterator[torch.Tensor]:
    if isinstance(results, torch.Tensor):
        yield results
    elif isinstance(results, (tuple, list, dict)):
        for part in results.values() if isinstance(results, dict) else results:
            yield from tensors(part)


def recurrent(model: torch.nn.Module) -> bool:
    return any(isinstance(m, (torch.nn.RNNBase, torch.nn.RNNCellBase)) for m in model.modules())


def recorded(animal: Animal, model: torch.nn.Module) -> Any:
    """The reports of one call in evaluation, its lengths known by the name of the argument that holds them."""
    model.eval()
    arguments, keywords = animal.batch(0, 0)
    keywords = {**keywords, **(keywords.get("kwargs") or {})}
    signature = inspect.signature(model.forward).parameters
    names = list(signature)
    by_place = [name for name in names if signature[name].kind is not inspect.Parameter.KEYWORD_ONLY]
    keywords = {n: v for n, v in keywords.items() if n in names and n not in by_place[: len(arguments)]}
    lengths = next((n for n in names if "len" in n or "mask" in n), None)

    def run() -> list[torch.Tensor]:
        torch.manual_seed(1)
        with torch.no_grad():
            return list(tensors(model(*arguments, **keywords)))

    with rnninspect.record(model, lengths=lengths) as recording:
        during = run()
    if animal.name != "stateful":
        assert all(torch.equal(a, b) for a, b in zip(during, run(), strict=True))
    return recording.inspect()


def errors(reports: Any) -> list[str]:
    return [f"{f.name}: {f.rule}" for f in reports.findings if f.severity != "note"]


@pytest.mark.parametrize("animal", pairs(), ids=lambda animal: animal.name)
def test_right_and_wrong(animal: Animal) -> None:
    """The right twin has no error; the wrong one has one, or is not clean."""
    torch.manual_seed(0)
    right = animal.right()
    if not recurrent(right):
        pytest.skip("no recurrent layer of torch's")
    assert errors(recorded(animal, right)) == []
    assert animal.wrong is not None
    wrong = recorded(animal, animal.wrong())
    assert wrong.verdict in (("clean", "unjudged") if animal.name in BESIDE_THE_LAYER else ("findings", "unjudged"))


@pytest.mark.parametrize("animal", awkward(), ids=lambda animal: animal.name)
def test_awkward_right_ones(animal: Animal) -> None:
    """Right models that are easily taken for wrong ones are not accused."""
    torch.manual_seed(0)
    model = animal.right()
    if not recurrent(model) or animal.name == "lengths-passed-on":
        pytest.skip("no recurrent layer of torch's, or lengths that the model does not take")
    assert errors(recorded(animal, model)) == []
