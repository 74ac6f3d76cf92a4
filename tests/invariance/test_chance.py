"""Models that draw random numbers as they run: what one seed draws again is judged, the rest is not called clean."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnninspect import check_padding
from rnninspect.core.finding import Verdict
from rnninspect.core.trace import Array

LENGTHS = torch.tensor([9, 4, 6, 2])
MASK = torch.arange(9) < LENGTHS[:, None]
X = torch.randn(4, 9, 5, generator=torch.Generator().manual_seed(1)) * MASK[..., None]
IDS = torch.randint(1, 30, (4, 9), generator=torch.Generator().manual_seed(1)) * MASK


class Sampling(nn.Module):
    """The last output of each row, right or with a mistake, and random numbers in it."""

    def __init__(self, draws: str, mistake: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn = nn.GRU(5, 8, batch_first=True)
        self.draws, self.mistake = draws, mistake

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        outputs = self.rnn(x)[0]
        real = (torch.arange(x.shape[1]) < lengths[:, None])[..., None]
        last = outputs[torch.arange(len(x)), lengths - (2 if self.mistake == "short" else 1)]
        if self.mistake == "mean":
            last = (outputs * real).mean(1)
        if self.mistake == "rows":
            last = last[lengths.argsort()]
        if self.draws == "every step":
            return functional.dropout(last[:, None].expand_as(outputs), 0.2)[:, 0]
        return functional.dropout(last, 0.5) if self.draws == "a row" else last + random.random()


CASES: list[tuple[str, str, Verdict]] = [
    *((draws, "", "clean") for draws in ("once", "a row")),
    *((draws, mistake, "findings") for draws in ("once", "a row") for mistake in ("mean", "rows", "short")),
    ("every step", "", "unjudged"),
    ("every step", "mean", "unjudged"),
    ("every step", "rows", "findings"),
]


@pytest.mark.parametrize(("draws", "mistake", "verdict"), CASES)
def test_a_sampling_model_is_judged_where_the_same_numbers_are_drawn(
    draws: str, mistake: str, verdict: Verdict
) -> None:
    """Its width, its rows and its last steps are probed under one seed; where the width changes how much is drawn, a
    model whose padding holds zeros is not called clean."""
    assert check_padding(Sampling(draws, mistake), X, LENGTHS).verdict == verdict


class ByValue(nn.Module):
    """It counts the tokens that are not 0, and leaves out words by chance; `last`: it reads the last step of all."""

    def __init__(self, last: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.rnn, self.last = nn.Embedding(30, 6), nn.GRU(6, 8, batch_first=True), last

    def forward(self, ids: Tensor) -> Tensor:
        outputs = self.rnn(self.embedding(ids) * (torch.rand(ids.shape) > 0.3)[..., None])[0]
        return outputs[torch.arange(len(ids)), -1 if self.last else (ids != 0).sum(1) - 1]  # type: ignore[no-any-return]


@pytest.mark.parametrize("last", [False, True])
def test_padding_that_a_sampling_model_tells_by_its_values(last: bool) -> None:
    """A right one is not accused, though more padding draws other numbers, and one that computes with it is."""
    report = check_padding(ByValue(last), IDS, lengths=LENGTHS)
    assert [finding.rule for finding in report.findings] == ["reads-padding"] * last
    assert report.verdict == ("findings" if last else "unjudged")


@pytest.mark.parametrize(
    ("drawn", "typed", "verdict"),
    [(False, True, "clean"), (False, False, "clean"), (True, True, "unjudged"), (True, False, "unjudged")],
)
def test_keys_of_jax_are_arguments_that_say_whether_a_function_samples(
    drawn: bool, typed: bool, verdict: Verdict
) -> None:
    """A key that nothing is drawn from is passed on as it is; numbers drawn by it are no reading of the padding."""
    import jax

    def summed(x: Array, lengths: Array, rng: Any) -> Array:
        bits = np.asarray(jax.random.key_data(rng) if typed else rng)
        kept = x * np.random.default_rng(bits).integers(2, size=x.shape) if drawn else x
        return np.asarray(np.where((np.arange(x.shape[1]) < lengths[:, None])[..., None], kept, 0).sum(1))

    key = jax.random.key(0) if typed else jax.random.PRNGKey(0)
    probes = ("noise", "more", "permute")
    assert check_padding(summed, X.numpy(), LENGTHS.numpy(), key, probes=probes).verdict == verdict
