"""Results of other forms than a row each: counts, spans, rows and steps as one axis; and what the user overrules."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from rnninspect import check_padding

LENGTHS = torch.tensor([7, 3, 5, 6])
X = torch.randn(4, 7, 3, generator=torch.Generator().manual_seed(0))
Form = Callable[[Tensor, Tensor], Any]


def spans(y: Tensor, real: Tensor) -> Any:
    begin, end = torch.triu_indices(y.shape[1], y.shape[1])
    return torch.cat([y[:, begin], y[:, end]], -1), real[:, begin] & real[:, end]


FORMS: dict[str, tuple[Form, bool]] = {
    "an int of the width beside": (lambda y, real: {"state": y.sum(1), "steps": y.shape[1]}, True),
    "the shape beside": (lambda y, real: (y.sum(1), torch.tensor(y.shape)), True),
    "the width as a float beside": (lambda y, real: (y.sum(1), torch.tensor(float(y.shape[1]))), True),
    "rows outside": (lambda y, real: y.reshape(-1, 3), True),
    "steps outside": (lambda y, real: y.transpose(0, 1).reshape(-1, 3), True),
    "an object's attributes": (lambda y, real: SimpleNamespace(state=y.sum(1), name="state"), True),
    "a distribution of a function": (lambda y, real: Categorical(logits=y.sum(1)), True),
    "all spans beside": (lambda y, real: (y.sum(1), *spans(y, real)), True),
    "all spans alone": (spans, False),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_result_is_judged_by_what_its_axes_count(name: str) -> None:
    """A right model is not accused for the form of its result, and one that reads padding is found in the same form;
    spans, of which steps nothing shows, are not judged.
    """
    form, judged = FORMS[name]

    def model(x: Tensor, lengths: Tensor, wrong: bool) -> Any:
        real = torch.arange(x.shape[1]) < lengths[:, None]
        y = x * real[..., None]
        return form(y + x.sum(1, keepdim=True) * real[..., None] if wrong else y, real)

    right = check_padding(model, X, LENGTHS, kwargs={"wrong": False}, skip="reach")
    assert right.verdict == ("clean" if judged else "unjudged"), right
    wrong = check_padding(model, X, LENGTHS, kwargs={"wrong": True}, probes="noise")
    assert [finding.rule for finding in wrong.findings] == (["reads-padding"] if judged else [])


@pytest.mark.parametrize("right", [True, False])
def test_a_batch_with_attributes_and_a_distribution_without_a_mean(right: bool) -> None:
    """Arrays of a plain object are inputs under their names; the mean of a Categorical, always NaN, is no result."""

    class Tagger(nn.Module):
        def forward(self, batch: Any) -> Any:
            real = torch.arange(batch.x.shape[1]) < batch.lengths[:, None]
            return Categorical(logits=(batch.x * real[..., None] if right else batch.x).cumsum(1)[:, -1])

    report = check_padding(Tagger(), SimpleNamespace(x=X, lengths=LENGTHS, name="a batch"), probes="noise")
    assert report.verdict == ("clean" if right else "findings"), report
    assert "batch.x" in report.reading["used"]


@pytest.mark.parametrize("lengths", [LENGTHS, torch.tensor([7, 7, 7, 7])])
def test_lengths_that_full_overrules_are_told(lengths: Tensor) -> None:
    """`full` beside an argument by which rows are shorter: what was not read is said."""
    report = check_padding(lambda x, lengths: x.cumsum(1), X, lengths, lengths="full", probes="permute")
    assert any("was not used" in note for note in report.notes) == bool((lengths < 7).any())
