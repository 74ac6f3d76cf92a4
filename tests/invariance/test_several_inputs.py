"""Several inputs that have as many rows and steps: the lengths speak of one that results depend on, or of more."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnninspect import UserError, check_padding

LENGTHS = torch.tensor([6, 3, 4, 6])
RNG = torch.Generator().manual_seed(0)
X, SPEAKERS = torch.randn(4, 6, 5, generator=RNG), torch.randint(1, 9, (4, 6), generator=RNG)
REAL = torch.arange(6) < LENGTHS[:, None]
TABLE = torch.randn(9, 5, generator=RNG)
PROBES = ("noise", "more")


def summed(x: Tensor, lengths: Tensor, masked: bool) -> Tensor:
    real = torch.arange(x.shape[1]) < lengths[:, None]
    return (x * real[..., None] if masked else x).sum(1)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("blank", [True, False])
@pytest.mark.parametrize("options", [{}, {"lengths": "lengths"}])
def test_an_input_that_nothing_depends_on_is_not_the_sequence(options: Any, blank: bool, masked: bool) -> None:
    """Speakers stand before x, and suit the lengths as well as it does or better; the model reads x alone."""
    speakers = SPEAKERS * REAL if blank else SPEAKERS
    report = check_padding(
        lambda speakers, x, lengths: summed(x, lengths, masked), speakers, X, LENGTHS, probes=PROBES, **options
    )
    assert [finding.rule for finding in report.findings] == ([] if masked else ["reads-padding"])
    assert report.verdict == ("clean" if masked else "findings")


@pytest.mark.parametrize("masked", [True, False])
def test_two_inputs_of_these_steps_are_not_clean_where_one_is_left_as_it_is(masked: bool) -> None:
    """What a second one holds behind the lengths may be its padding: a model that reads it is judged once its lengths
    are stated, and one that does not is clean without.
    """

    def model(speakers: Tensor, x: Tensor, lengths: Tensor) -> Tensor:
        return summed(TABLE[speakers], lengths, True)[:, : x.shape[2]] + summed(x, lengths, masked)

    report = check_padding(model, SPEAKERS, X, LENGTHS, probes=PROBES)
    assert report.verdict == ("clean" if masked else "unjudged")
    assert masked or "x has as many steps as speakers" in report.untested
    both = check_padding(model, SPEAKERS, X, LENGTHS, lengths={"x": "lengths", "speakers": "lengths"}, probes=PROBES)
    assert both.verdict == ("clean" if masked else "findings")


@pytest.mark.parametrize("masked", [True, False])
def test_inputs_that_are_joined_step_by_step_have_the_same_steps(masked: bool) -> None:
    """Times beside values, whatever stands behind the lengths: the model takes no other width of one of them alone."""
    times = torch.rand(4, 6, generator=torch.Generator().manual_seed(1)).cumsum(1)

    def model(x: Tensor, times: Tensor, lengths: Tensor) -> Tensor:
        real = torch.arange(x.shape[1]) < lengths[:, None]
        shares = times / (times * real if masked else times).max(1, keepdim=True)[0]
        return (torch.cat([x, shares[..., None]], 2) * real[..., None]).sum(1)

    report = check_padding(model, X, times, LENGTHS, probes=PROBES)
    assert report.verdict == ("clean" if masked else "findings")


def test_a_target_has_steps_of_its_own() -> None:
    """What a decoder is given may be as wide as what the encoder reads, and is real to its end."""
    decoder = check_padding(
        lambda x, lengths, targets: summed(x, lengths, True) + TABLE[targets].sum(1),
        X,
        LENGTHS,
        SPEAKERS,
        probes=PROBES,
    )
    assert decoder.verdict == "clean"


TOKENS, KINDS = SPEAKERS * REAL, torch.randint(0, 4, (4, 6), generator=RNG)


@pytest.mark.parametrize("wrong", [True, False])
@pytest.mark.parametrize("beside", ["kinds", "values"])
def test_one_input_tells_what_is_padding_of_another(beside: str, wrong: bool) -> None:
    """A model that takes its padding from the tokens is right whatever stands there in a second input, and one that
    reads the second input's padding is not: the tokens keep theirs while it is disturbed.
    """

    def model(tokens: Tensor, second: Tensor) -> Tensor:
        real = (tokens != 0)[..., None]
        x = TABLE[second] if beside == "kinds" else second
        joined = (TABLE[tokens] + x) * real
        return joined.sum(1) + (x * (tokens >= 0)[..., None]).sum(1) * wrong

    second = KINDS if beside == "kinds" else X
    report = check_padding(model, TOKENS, second, lengths=LENGTHS, probes=PROBES)
    assert [finding.rule for finding in report.findings] == (["reads-padding"] if wrong else [])


@pytest.mark.parametrize("wrong", [True, False])
@pytest.mark.parametrize("form", ["weights", "scales", "labels"])
def test_as_many_numbers_as_rows_may_be_of_no_row(form: str, wrong: bool) -> None:
    """Weights of as many classes as there are rows, without which a model fails, and a list of scales are left as they
    are; labels of the rows go along. A model that mixes rows beside them is found.
    """

    def model(x: Tensor, lengths: Tensor, numbers: Any) -> Any:
        y = summed(x, lengths, True)
        y = y - y.mean(0) if wrong else y
        if form == "weights":
            return y[:, :4] * numbers[None]
        return sum(y * n for n in numbers) if form == "scales" else y * numbers[:, None]

    numbers = [1.0, 2.0, 3.0, 5.0]
    report = check_padding(
        model, X, LENGTHS, numbers if form == "scales" else torch.tensor(numbers), probes=("permute", "alone")
    )
    assert [finding.rule for finding in report.findings] == (["rows-mixed"] if wrong else [])


def test_numbers_that_are_named_like_lengths_are_told_by_name() -> None:
    """Sizes of kernels are as many as there are kernels: the message names them, and what it says to state helps."""

    def model(x: Tensor, lengths: Tensor, kernel_sizes: list[int]) -> Tensor:
        return summed(x, lengths, True) * len(kernel_sizes)

    with pytest.raises(UserError, match=r"lengths of 4, kernel_sizes of 3.*name the one that is, lengths='lengths'"):
        check_padding(model, X, LENGTHS, [3, 5, 7])
    assert check_padding(model, X, LENGTHS, [3, 5, 7], lengths="lengths", probes=PROBES).verdict == "clean"


class Loss(nn.Module):
    """The loss of each row, over its own labels, or over T."""

    def __init__(self, over_width: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.rnn = nn.Embedding(30, 6), nn.GRU(6, 30, batch_first=True)
        self.over_width = over_width

    def forward(self, ids: Tensor, attention_mask: Tensor, labels: Tensor) -> Tensor:
        scores = self.rnn(self.embedding(ids))[0].transpose(1, 2)
        loss = nn.functional.cross_entropy(scores, labels, ignore_index=-100, reduction="none")
        return loss.mean(1) if self.over_width else loss.sum(1) / (labels != -100).sum(1)


@pytest.mark.parametrize("shift", [0, 1])
def test_labels_with_a_padding_of_their_own_go_along(shift: int) -> None:
    """A wider batch has labels as wide, filled with what their padding holds: a mean over T is found, a right loss is
    clean, and where labels end one step before the rows as well."""
    lengths = torch.tensor([9, 4, 6, 3])
    mask = torch.arange(9) < lengths[:, None]
    ids = torch.randint(1, 30, (4, 9), generator=torch.Generator().manual_seed(0)) * mask
    labels = ids.roll(-shift, 1).masked_fill(torch.arange(9) >= lengths[:, None] - shift, -100)
    right, wrong = (check_padding(Loss(wide), ids, mask.long(), labels, skip="reach") for wide in (False, True))
    assert right.verdict == "clean"
    assert [probe.standing for probe in right.probes[:2]] == ["held", "held"]
    assert [finding.rule for finding in wrong.findings] == ["depends-on-padded-width"]


def test_a_row_of_all_steps_says_nothing_of_the_width() -> None:
    """Where no wider batch runs and no row is cut, nothing was compared: the probe is not said to hold."""

    def fixed(x: Tensor, lengths: Tensor) -> Tensor:
        assert x.shape[1] == 9
        return x[torch.arange(len(x)), lengths - 1]

    lengths = torch.tensor([9, 4, 6, 3])
    report = check_padding(fixed, torch.randn(4, 9, 5), lengths, probes="more")
    assert [probe.standing for probe in report.probes] == ["not made"]


COUNTS = torch.tensor([[3, 1, 2, 3, 2, 1], [2, 3, 1, 0, 0, 0], [1, 1, 3, 2, 0, 0], [3, 2, 2, 1, 3, 1]])
WORDS = torch.randint(1, 9, (4, 6, 3), generator=RNG) * (torch.arange(3) < COUNTS[..., None])


@pytest.mark.parametrize(
    ("form", "mistake", "verdict"),
    [
        *((form, "", "clean") for form in ("counts", "mask", "values")),
        *((form, kind, "findings") for form in ("counts", "mask") for kind in ("sum", "mean")),
        ("values", "mean", "unjudged"),
    ],
)
def test_padding_within_the_steps_is_probed(form: str, mistake: str, verdict: str) -> None:
    """The words of each step are counted or marked beside a document: other values behind them, and more of these, must
    change nothing; where the values alone tell what is padding, a model that more of it changes is not called clean."""

    def model(document: Tensor, lengths: Tensor, real_words: Tensor) -> Tensor:
        counted = (document != 0).sum(2) if form == "values" else real_words.reshape(*real_words.shape[:2], -1).sum(2)
        real = torch.arange(document.shape[2]) < counted[..., None]
        vectors = TABLE[document] * (1 if mistake == "sum" else real[..., None])
        steps = vectors.mean(2) if mistake == "mean" else vectors.sum(2)
        return summed(steps, lengths, True)

    called = {
        "counts": lambda document, lengths, words_per_step: model(document, lengths, words_per_step),
        "mask": lambda document, lengths, word_mask: model(document, lengths, word_mask),
        "values": lambda document, lengths: model(document, lengths, COUNTS),
    }
    beside = {"counts": [COUNTS], "mask": [torch.arange(3) < COUNTS[..., None]], "values": []}
    assert check_padding(called[form], WORDS, LENGTHS, *beside[form], probes=PROBES).verdict == verdict
