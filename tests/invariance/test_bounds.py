"""What a check may cost, and how near it comes: its time, its runs, its threads, and the spot of a difference."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnninspect import UserError, check_padding
from rnninspect.invariance.torch_modules import live
from rnninspect.invariance.trial import Model

LENGTHS = torch.tensor([7, 3, 5])
X = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0))


class Reader(nn.Module):
    """A layer in two directions; without packing the backward one begins in the padding."""

    def __init__(self, packed: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.rnn = nn.GRU(4, 5, batch_first=True, bidirectional=True)
        self.packed = packed

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        encoded = self.encoder(x)
        if not self.packed:
            return self.rnn(encoded)[0]  # type: ignore[no-any-return]
        packed = nn.utils.rnn.pack_padded_sequence(encoded, lengths, batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]


def slow_from(monkeypatch: pytest.MonkeyPatch, run: int) -> None:
    """The clock stands still until that run, and an hour has passed then."""
    monkeypatch.setattr("rnninspect.invariance.trial.time.monotonic", lambda: clock[0])
    clock, passed = [0.0], Model._passed

    def tick(self: Model) -> None:
        clock[0] = 3600.0 if self.passes >= run else 0.0
        passed(self)

    monkeypatch.setattr(Model, "_passed", tick)


def standing(report: Any) -> dict[str, str]:
    return {probe.probe: probe.standing for probe in report.probes}


def test_what_there_is_no_time_for_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes after the time are listed with it, and a right model is not called clean; without a limit it is."""
    whole = check_padding(Reader(True), X, LENGTHS)
    assert whole.verdict == "clean"
    slow_from(monkeypatch, 12)
    report = check_padding(Reader(True), X, LENGTHS, seconds=5)
    assert standing(report)["noise"] == "held"
    assert standing(report)["reach"] == "not made"
    assert report.verdict == "unjudged"
    assert {n.reason for n in report.not_checked} == {"time: the 5 seconds that it may take were over"}
    assert check_padding(Reader(True), X, LENGTHS, seconds=None).verdict == "clean"


def test_a_difference_without_time_for_its_place_is_still_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen stands, and a note says that its place was not looked for."""
    slow_from(monkeypatch, 12)
    report = check_padding(Reader(), X, LENGTHS)
    assert [finding.rule for finding in report.findings] == ["reads-padding"]
    assert "where" not in report.findings[0].evidence
    assert any("was not looked for, time: the 60 seconds" in note for note in report.notes)


class Mixing(nn.Module):
    """It counts the other rows, in the order in which they come, or steps of padding."""

    def __init__(self, width: bool) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        if self.width:
            return x[:, 0] / x.size(1)
        return x[:, 0] - x[:, 0].mean(0)


@pytest.mark.parametrize(
    ("probe", "model"),
    [("noise", Reader()), ("more", Mixing(True)), ("alone", Mixing(False))],
    ids=lambda p: str(p)[:5],
)
def test_a_difference_seen_before_the_time_was_over_stands(
    probe: str, model: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever run within the probe is the first without time: what differed by then is a finding, and says so."""
    standings, partly = [], False
    for run in range(7, 20):
        with monkeypatch.context() as patches, suppress(UserError):  # too early for anything
            slow_from(patches, run)
            report = None
            report = check_padding(model, X, LENGTHS, probes=probe)
        if report is None:
            continue
        standings.append(standing(report)[probe])
        partly = any(note.startswith("not all was compared, time: the 60 seconds") for note in report.notes)
        assert report.verdict == ("findings" if standings[-1] == "differs" else "unjudged")
        if partly:
            break
    assert partly
    assert standings[-1] == "differs"
    assert standings == sorted(standings, reverse=True)  # not made, until it differs


def test_without_time_to_tell_whether_padding_is_told_by_value_nothing_is_accused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside padding of zeros a right model may look for zeros: the difference is told, and is no finding yet."""
    zeros = X * (torch.arange(7) < LENGTHS[:, None])[..., None]
    reasons = []
    for run in range(8, 16):
        with monkeypatch.context() as patches:
            slow_from(patches, run)
            report = check_padding(Reader(), zeros, LENGTHS, probes="noise")
        assert report.verdict in ("unjudged", "findings")
        reasons += [one.reason for one in report.not_checked]
    assert any("other values in the padding change results" in reason for reason in reasons)


def test_too_little_time_for_anything_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing could be compared yet, the refusal says what to change."""
    slow_from(monkeypatch, 3)
    with pytest.raises(UserError, match=r"after 3 runs on 3 rows.*seconds=.*max_rows="):
        check_padding(Reader(), X, LENGTHS)


@pytest.mark.parametrize("packed", [True, False])
def test_the_runs_are_as_many_as_is_promised(packed: bool) -> None:
    """About 10 + 3 * B runs, as often where rows are long, 10 + B for a place and a few for a further one."""
    for steps, twice in ((7, 1), (40, 2)):
        x, lengths = torch.randn(4, steps, 4), torch.tensor([steps, steps - 2, steps - 1, steps // 2])
        runs = check_padding(Reader(packed), x, lengths).source["runs"]
        assert runs <= twice * (10 + 3 * 4) + (0 if packed else 10 + 4 + 5)


def test_threads_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first run that is slow is tried with one thread; afterwards there are as many as before."""
    monkeypatch.setattr(live, "SLOW", 0.0)
    before, seen = torch.get_num_threads(), []

    class Slow(Reader):
        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            seen.append(torch.get_num_threads())
            time.sleep(0.1 if torch.get_num_threads() > 1 else 0)
            return super().forward(x, lengths)

    torch.set_num_threads(2)
    try:
        check_padding(Slow(True), X, LENGTHS, probes="permute")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert (seen[:2], set(seen[2:])) == ([2, 1], {1})


def test_the_row_and_the_step_are_named() -> None:
    """The first row whose results differ in the layer, its first step, and what the padding changed there."""
    model = Reader()
    finding = check_padding(model, X, LENGTHS).findings[0]
    kept = finding.evidence
    assert (kept["where"], kept["first_row"], kept["first_step"]) == ("rnn", 1, 0)
    assert "outputs and final state do not, first in row 1, step 0" in finding.message
    with torch.no_grad():
        outputs = model(X, LENGTHS)[1, 0]
    assert any(abs(float(unit) - kept["undisturbed"]) < 1e-6 for unit in outputs)
    assert kept["disturbed"] != kept["undisturbed"]


def test_the_call_of_a_layer_is_named() -> None:
    """Of a layer that reads two sequences, and is wrong about the second alone, the second call is named."""

    class Pair(Reader):
        def forward(self, x: Tensor, lengths: Tensor, other: Tensor, other_lengths: Tensor) -> Any:  # type: ignore[override]
            self.packed = True
            first = super().forward(x, lengths)
            self.packed = False
            return first, super().forward(other, other_lengths)

    lengths = {"x": "lengths", "other": "other_lengths"}
    finding = check_padding(Pair(), X, LENGTHS, X[:, :6], LENGTHS.clamp(max=6), lengths=lengths).findings[0]
    assert (finding.evidence["where"], finding.evidence["call"]) == ("rnn", 1)
    assert "call 1 of 2, first in row 1, step 0" in finding.message


@pytest.mark.parametrize("dropped", [False, True])
def test_a_model_that_looks_less_far_has_dropped_no_step(dropped: bool) -> None:
    """Two causal convolutions read the last five steps alone; one that leaves the last step out is named as ever."""

    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.second = nn.Conv1d(4, 6, 3), nn.Conv1d(6, 6, 3)

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            past = nn.functional.pad(x.transpose(1, 2), (4, 0))
            y = self.second(self.first(past)).transpose(1, 2)
            return y[torch.arange(len(x)), lengths - (2 if dropped else 1)]

    x, lengths = torch.randn(4, 60, 4), torch.tensor([60, 31, 24, 9])
    report = check_padding(Causal(), x, lengths)
    assert [finding.rule for finding in report.findings] == (["step-unread"] if dropped else [])
    if dropped:
        assert report.findings[0].evidence["step"] == "last"


@pytest.mark.parametrize("reads", ["all", "half", "five", "a span"])
def test_steps_at_the_end_that_are_not_read_are_counted(reads: str) -> None:
    """Half of each row is a warning; the first five steps, or a span that
    the inputs state, are as the model means, and only said.
    """
    lengths = torch.tensor([24, 7, 13, 16])
    ends = {"all": lengths, "half": lengths // 2, "five": lengths.clamp(max=5), "a span": torch.tensor([9, 3, 6, 2])}

    def model(x: Tensor, lengths: Tensor, end: Tensor) -> Tensor:
        real = (torch.arange(x.shape[1]) < end[:, None])[..., None]
        return (x * real).sum(1) / lengths[:, None]

    report = check_padding(model, torch.randn(4, 24, 3), lengths, ends[reads], lengths="lengths", probes="reach")
    assert [finding.rule for finding in report.findings] == ["step-unread"] * (reads == "half")
    told = report.findings[0].message if reads == "half" else "".join(one.reason for one in report.not_checked)
    counts = ", ".join(map(str, (lengths - ends[reads]).tolist()))
    assert (f"{counts} steps at " in told) == (reads != "all")


def test_lengths_are_those_of_the_sequence_and_not_of_a_table() -> None:
    """A vector a row that is as wide as the captions are long is no sequence."""
    captions = torch.randint(1, 9, (4, 8), generator=torch.Generator().manual_seed(0))

    def logits(image: Tensor, captions: Tensor, lens: Tensor) -> Tensor:
        real = torch.arange(8) < lens[:, None]
        return (captions[:, :8] * real[:, : captions.size(1)]).cumsum(1) + image.sum(1, keepdim=True)

    report = check_padding(logits, torch.randn(4, 10), captions, torch.tensor([8, 3, 5, 6]))
    assert report.reading["used"].startswith("image B F, captions B T")


def test_a_scripted_part_is_run_and_passed_over() -> None:
    """Hooks do not run within it; the layers around it are watched."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.rnn = nn.GRU(4, 5, batch_first=True)
            self.out = torch.jit.script(nn.Linear(5, 2))

        def forward(self, x: Tensor, lengths: Tensor) -> Any:
            return self.out(self.rnn(x)[1][0])

    finding = check_padding(Mixed(), X, LENGTHS).findings[0]
    assert (finding.rule, finding.evidence["where"]) == ("reads-padding", "rnn")


@pytest.mark.parametrize("tracked", [True, False])
def test_a_layer_that_mixes_rows_is_named_where_no_row_runs_by_itself(tracked: bool) -> None:
    """Beside rows of other values the others differ in every layer; the row that is as it was tells the place."""

    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.rnn, self.out = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 2)
            self.norm = nn.BatchNorm1d(5, track_running_stats=tracked)  # of one row it has no statistics

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return self.out(self.norm(self.rnn(packed)[1][0]))  # type: ignore[no-any-return]

    report = check_padding(Normed(), X, LENGTHS)
    assert [finding.rule for finding in report.findings] == ([] if tracked else ["rows-mixed"])
    assert tracked or report.findings[0].evidence["where"] == "norm"
