"""What a check is told, and says of itself: masks of several inputs, results without numbers, time, failures."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnninspect import UserError, check_padding
from rnninspect.invariance.torch_modules import live

LENGTHS, OTHER = torch.tensor([6, 3, 4]), torch.tensor([2, 5, 4])
X = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0))
Y = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))


def real(lengths: Tensor, steps: int) -> Tensor:
    return torch.arange(steps) < lengths[:, None]


class Cross(nn.Module):
    """Attention from one sequence to another, whose mask it uses or not."""

    def __init__(self, right: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.right, self.attention = right, nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, query: Tensor, memory: Tensor, query_mask: Tensor, memory_mask: Tensor) -> Tensor:
        hidden = ~memory_mask if self.right else None
        return self.attention(query, memory, memory, key_padding_mask=hidden)[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("mask", [None, {"query": "query_mask", "memory": "memory_mask"}])
def test_two_inputs_with_masks_of_their_own(mask: Any) -> None:
    """Both masks are taken, by their names or as they are stated, and the one that is not used is found."""
    inputs = (X, Y, real(LENGTHS, 6), real(OTHER, 5))
    assert check_padding(Cross(True), *inputs, mask=mask).verdict == "clean"
    findings = check_padding(Cross(False), *inputs, mask=mask).findings
    assert [(f.rule, f.evidence["where"]) for f in findings] == [("reads-padding", "attention")]


@pytest.mark.parametrize("filling", [float("nan"), float("inf")])
def test_results_without_a_finite_number_are_not_clean(filling: float) -> None:
    """NaN equals NaN whatever was changed: that nothing differs says nothing, of some rows as of all."""
    for longest in (6, 3):

        def broken(x: Tensor, lengths: Tensor, longest: int = longest) -> Tensor:
            y = (x * real(lengths, x.size(1))[..., None]).sum(1)
            y[lengths <= longest] = filling
            return y

        report = check_padding(broken, X, LENGTHS)
        assert report.verdict == "unjudged"
        assert "holds a finite number" in report.untested


def test_a_unit_that_is_nan_in_every_row_is_not_clean() -> None:
    """Beside it another unit may well be right; a unit that is NaN in some rows alone is compared in the others."""

    def broken(x: Tensor, lengths: Tensor, rows: slice) -> Tensor:
        y = (x * real(lengths, x.size(1))[..., None]).sum(1)
        y[rows, 0] = float("nan")
        return y

    report = check_padding(broken, X, LENGTHS, kwargs={"rows": slice(None)})
    assert report.verdict == "unjudged"
    assert "NaN, whatever was changed" in report.untested

    def spread(x: Tensor, lengths: Tensor) -> Tensor:  # of two steps or more
        sums = (x * real(lengths, x.size(1))[..., None]).sum(1)
        return torch.where((lengths > 3)[:, None] | (torch.arange(4) > 0), sums, torch.nan)

    assert check_padding(spread, X, LENGTHS).verdict == "clean"


@pytest.mark.parametrize("how", ["named", "numbers", "unsaid"])
def test_lengths_below_zero_are_one_line(how: str) -> None:
    """However they are stated: an argument of that name, its numbers, or found by its name."""
    wrong = torch.tensor([6, -3, 4])
    options: dict[str, Any] = {"named": {"lengths": "lengths"}, "numbers": {"lengths": [6, -3, 4]}, "unsaid": {}}[how]
    with pytest.raises(UserError, match=r"lengths must be whole numbers from 0.*\[6, -3, 4\]"):
        check_padding(lambda x, lengths: x.sum(1), X, wrong, **options)
    scores = {"widths": wrong, "lengths": LENGTHS}  # not every such name speaks of steps
    assert check_padding(lambda x, widths, lengths: x[:, 0], X, kwargs=scores).verdict == "clean"


@pytest.mark.parametrize("options", [{}, {"lengths": "lengths"}, {"lengths": [6, 3, 4]}])
def test_lengths_as_whole_fractions_are_lengths(options: dict[str, Any]) -> None:
    """A mean divides by them, so that they are often floats; others than whole ones are refused by name."""

    def mean(x: Tensor, lengths: Tensor, masked: bool) -> Tensor:
        kept = x * real(lengths, x.size(1))[..., None] if masked else x
        return kept.sum(1) / lengths[:, None]

    for masked in (True, False):
        report = check_padding(mean, X, LENGTHS.float(), kwargs={"masked": masked}, **options)
        assert report.verdict == ("clean" if masked else "findings")
    with pytest.raises(UserError, match=r"whole numbers from 0.*4.5"):
        check_padding(mean, X, torch.tensor([6, 3, 4.5]), lengths="lengths", kwargs={"masked": True})


@pytest.mark.parametrize("right", [True, False])
def test_one_row_whose_result_lost_its_axis(right: bool) -> None:
    """`squeeze` takes the row axis of one row away; the steps are not sought among the features for that."""

    class Squeezed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.rnn = nn.LSTM(4, 5, batch_first=True)

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return self.rnn(packed if right else x)[1][0].squeeze()  # type: ignore[no-any-return]

    report = check_padding(Squeezed(), X[:1], torch.tensor([3]))
    assert report.shape["steps"] == 6
    assert report.verdict == ("clean" if right else "findings")


def test_a_model_without_results_is_refused() -> None:
    """Nothing can be compared of a forward without a `return`."""
    with pytest.raises(UserError, match="returns no arrays, but NoneType"):
        check_padding(lambda x, lengths: None, X, LENGTHS)


def test_rows_without_a_step_alone_are_not_clean() -> None:
    """Of a batch of empty rows nothing is real."""
    report = check_padding(nn.GRU(4, 5, batch_first=True), X, lengths=[0, 0, 0])
    assert (report.verdict, report.untested) == ("unjudged", "no row has a real step")


def test_what_relies_on_the_padding_that_there_is() -> None:
    """A sum over padding of zeros is right for as long as it holds zeros: it is found, and that is said."""

    def mean(x: Tensor, lengths: Tensor) -> Tensor:
        return x.sum(1) / lengths[:, None]

    zeros = check_padding(mean, X * real(LENGTHS, 6)[..., None], LENGTHS)
    assert [finding.rule for finding in zeros.findings] == ["reads-padding"]
    assert any("only as long as the padding holds these" in note for note in zeros.notes)
    assert not any("only as long as" in note for note in check_padding(mean, X, LENGTHS).notes)


class Translator(nn.Module):
    """Attention to the embedded source, without the steps that hold token 0, or to its first four steps whatever they
    are; the target is looked up as a whole or step by step.
    """

    def __init__(self, right: bool, stepwise: bool, shift: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.right, self.stepwise, self.shift = right, stepwise, shift
        self.source, self.target = nn.Embedding(12, 6), nn.Embedding(12, 6)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        steps = self.source(source + self.shift)
        asked = [self.target(column) for column in target.T] if self.stepwise else self.target(target).unbind(1)
        scores = torch.stack([torch.einsum("btu,bu->bt", steps, vector) for vector in asked], 1)
        left_out = source.eq(0) if self.right else (torch.arange(source.shape[1]) >= 4).expand(len(source), -1)
        return scores.masked_fill(left_out[:, None], -1e9).softmax(-1) @ steps


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("stepwise", [True, False])
@pytest.mark.parametrize("shift", [0, 1])
def test_another_lookup_of_the_same_shape_is_not_the_padding(right: bool, stepwise: bool, shift: int) -> None:
    """Vectors of as many units as there are steps, and a target as long as the source, are no padded source: a model
    that tells padding by its token is right, and one that attends to four steps of a row of three is not.
    """
    rng = torch.Generator().manual_seed(3)
    source, target = torch.randint(1, 10, (3, 6), generator=rng), torch.randint(1, 10, (3, 6), generator=rng)
    source = source * real(LENGTHS, 6)
    report = check_padding(Translator(right, stepwise, shift), source, LENGTHS, target, lengths={"source": "lengths"})
    assert (report.verdict == "clean") is right, report


def test_a_model_that_exits_has_failed() -> None:
    """`sys.exit` within a model ends no check without a word."""

    def leaves(x: Tensor, lengths: Tensor) -> Tensor:
        sys.exit(3)

    with pytest.raises(UserError, match=r"leaves does not run on this batch: SystemExit: 3"):
        check_padding(leaves, X, LENGTHS)


def test_a_slow_run_is_not_made_again_without_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first run that takes all the time is not tried with one thread besides: at most one run ends too late."""
    monkeypatch.setattr(live, "SLOW", 0.01)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    runs = []

    def slow(x: Tensor, lengths: Tensor) -> Tensor:
        runs.append(time.sleep(0.05))
        return x

    with pytest.raises(UserError, match="after 1 run on 3 rows"):
        check_padding(slow, X, LENGTHS, seconds=0.01)
    assert len(runs) == 1


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("kind", ["valid", "second", "deltas"])
def test_a_step_that_is_dropped_beside_a_stride_or_a_window(kind: str, right: bool) -> None:
    """Where a model reads in strides, in windows or differences, the last step that it should read is known as well."""
    torch.manual_seed(0)
    layers = nn.Conv1d(4, 4, 5), nn.GRU(4, 5, batch_first=True)

    def model(x: Tensor, lengths: Tensor) -> Any:
        if kind == "valid":
            y, n = layers[0](x.transpose(1, 2)).transpose(1, 2), lengths - 4
        elif kind == "second":
            y, n = x[:, ::2], (lengths + 1) // 2
        else:
            y, n = x[:, 1:] - x[:, :-1], lengths - 1
        n = n if right else n - 1
        packed = nn.utils.rnn.pack_padded_sequence(y, n, batch_first=True, enforce_sorted=False)
        return layers[1](packed)[1][0]

    x, lengths = torch.randn(3, 12, 4), torch.tensor([12, 7, 9])
    assert [f.rule for f in check_padding(model, x, lengths).findings] == ([] if right else ["step-unread"])


@pytest.mark.parametrize("packs", [True, False])
def test_lengths_without_a_name_are_known_by_what_stands_behind_them(packs: bool) -> None:
    """Counts behind which every shorter row of tokens holds one value are its lengths; the report says where from."""
    torch.manual_seed(0)
    layers = nn.Embedding(9, 4), nn.GRU(4, 5, batch_first=True)

    def model(text: tuple[Tensor, Tensor]) -> Any:
        x = layers[0](text[0])
        packed = nn.utils.rnn.pack_padded_sequence(x, text[1], batch_first=True, enforce_sorted=False)
        return layers[1](packed if packs else x)[1][0]

    tokens = torch.tensor([[3, 1, 2, 5, 4, 7], [2, 6, 8, 0, 0, 0], [5, 1, 4, 3, 0, 0]])
    report = check_padding(model, (tokens, LENGTHS))
    assert report.verdict == ("clean" if packs else "findings")
    assert "the lengths are read from the argument text[1]" in report.notes
    assert check_padding(model, (tokens, torch.tensor([6, 2, 4]))).verdict == "unjudged"


def test_a_report_that_is_printed_draws_no_random_number() -> None:
    """What renders it does, as it is imported: a training that goes on afterwards must not."""
    code = (
        "import random, torch, rnninspect\n"
        "report = rnninspect.check_padding(torch.nn.Linear(3, 2), torch.randn(2, 4, 3), lengths=[4, 2])\n"
        "state = random.getstate()\n"
        "str(report), report.render('table'), report.render('svg'), report.render('markdown')\n"
        "assert random.getstate() == state\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("probes", [None, "alone"])
def test_a_result_that_depends_on_the_longest_row_is_never_told_to_be_the_same_alone(probes: Any) -> None:
    """Divided by the longest length, a row's result changes without the longest row beside it, whatever the padding:
    it is found once, with the finding whose fix divides by the row's own length.
    """

    def mean(x: Tensor, lengths: Tensor, right: bool) -> Tensor:
        sums = (x * real(lengths, x.size(1))[..., None]).sum(1)
        return sums / (lengths[:, None] if right else lengths.max())

    assert check_padding(mean, X, LENGTHS, kwargs={"right": True}, probes=probes).verdict == "clean"
    report = check_padding(mean, X, LENGTHS, kwargs={"right": False}, probes=probes)
    assert [f.rule for f in report.findings] == ["rows-mixed" if probes else "depends-on-padded-width"]
    assert {p.probe: p.standing for p in report.probes}["alone"] == "differs"
    assert probes or "run alone and cut to their own lengths, they give different results" in report.findings[0].message
