"""One state that merges both directions' final states is right code; merged from the wrong steps, or for other rows, it
is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.diagnosis.merged_state import _is_merge

LENGTHS = np.array([9, 4, 7, 2, 5])
MERGES: dict[str, Callable[..., Any]] = {
    "sum": np.add,
    "mean": lambda f, b: (f + b) / 2,
    "maximum": np.maximum,
    "product": np.multiply,
}


def run(kind: str, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Outputs `[B, T, 2H]`, h `[2, B, H]` and c of a packed bidirectional layer."""
    torch.manual_seed(seed)
    layer = getattr(nn, kind)(4, 5, batch_first=True, bidirectional=True)
    packed = pack_padded_sequence(torch.randn(5, 9, 4), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    with torch.no_grad():
        out, state = layer(packed)
    h, c = state if kind == "LSTM" else (state, None)
    return pad_packed_sequence(out, batch_first=True)[0].numpy(), h.numpy(), None if c is None else c.numpy()


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_both_directions_merged_are_right(kind: str, merge: str) -> None:
    """Stated or not, with lengths or without, in half precision, beside a c that is merged too: nothing is accused."""
    outputs, h, c = run(kind)
    state = MERGES[merge](*h)
    for options in ({"lengths": LENGTHS, "bidirectional": True}, {"lengths": LENGTHS}, {"bidirectional": True}):
        report = rnninspect.inspect(outputs, state, **options)
        assert report.verdict == "clean", (options, report.findings)
    half = np.float16
    report = rnninspect.inspect(outputs.astype(half), state.astype(half), lengths=LENGTHS, bidirectional=True)
    assert report.verdict == "clean"
    if c is not None:
        pair = (state, MERGES[merge](*c))
        assert rnninspect.inspect(outputs, pair, lengths=LENGTHS, bidirectional=True).verdict == "clean"


@pytest.mark.parametrize("merge", ["sum", "mean"])
def test_merged_from_the_wrong_steps_or_rows(merge: str) -> None:
    """The output at the last real step holds the backward half's first; a row of another is named, and no other row."""
    outputs, h, _ = run("GRU")
    rows = np.arange(len(LENGTHS))
    state = MERGES[merge](*h)
    at_last = outputs[rows, LENGTHS - 1]
    wrong = MERGES[merge](at_last[:, :5], at_last[:, 5:])
    report = rnninspect.inspect(outputs, wrong, lengths=LENGTHS, bidirectional=True)
    assert [f.rule for f in report.findings] == ["backward-final-at-last-step"]
    state[1] = state[4]
    report = rnninspect.inspect(outputs, state, lengths=LENGTHS, bidirectional=True)
    assert (report.verdict, sorted({row for f in report.findings for row in f.rows})) == ("findings", [1])
    noise = np.random.default_rng(0).normal(size=state.shape).astype(state.dtype)
    assert rnninspect.inspect(outputs, noise, lengths=LENGTHS, bidirectional=True).verdict == "findings"


@pytest.mark.parametrize("places", [None, 4])
@pytest.mark.parametrize("merge", ["sum", "mean"])
def test_the_backward_half_of_one_row_is_what_the_merge_leaves(merge: str, places: int | None) -> None:
    """A row whose backward half is of the last step is named for that, where numbers are whole; printed to few places,
    right ones are clean, and others of the same size are merged of nothing."""
    rng, rows = np.random.default_rng(0), np.arange(5)
    outputs = rng.uniform(-1, 1, (5, 9, 10)) * (np.arange(9)[:, None] < LENGTHS[:, None, None])
    state = MERGES[merge](outputs[rows, LENGTHS - 1, :5], outputs[:, 0, 5:])
    if places is None:
        state[1] = MERGES[merge](outputs[1, LENGTHS[1] - 1, :5], outputs[1, LENGTHS[1] - 1, 5:])
        report = rnninspect.inspect(outputs, state, lengths=LENGTHS, bidirectional=True)
        assert [(f.rule, f.rows) for f in report.findings] == [("backward-final-at-last-step", [1])]
        return
    for h, verdict in ((state, "clean"), (rng.uniform(-1, 1, state.shape), "findings")):
        printed = outputs.round(places), h.round(places)
        assert rnninspect.inspect(*printed, lengths=LENGTHS, bidirectional=True).verdict == verdict


@pytest.mark.parametrize(
    ("shape", "zero", "told"), [((1, 3), 0, False), ((2, 2), 0, True), ((2, 3), 1, False), ((3, 2), 1, True)]
)
def test_four_numbers_that_are_no_zeros_show_a_merge(shape: tuple[int, int], zero: int, told: bool) -> None:
    """Fewer may be so by chance, and zeros are the sum of zeros whatever was merged."""
    state = np.ones(shape)
    state[:zero] = 0
    assert _is_merge(np.ones(len(state), dtype=np.bool_), state, "sum", whole=True) is told


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_one_direction_beside_a_sum_is_left_open(kind: str) -> None:
    """One direction's own state, or both summed, beside outputs that are the sum of both, as in a chatbot's encoder:
    most are unjudged, and none is said to be proven; moved by noise, or a multiple of the last real steps, they are
    accused, and so is what was stated to be of one direction."""
    unjudged = 0
    for seed in range(3):
        outputs, h, _ = run(kind, seed)
        summed = outputs[..., :5] + outputs[..., 5:]
        for state in (h[0], h[:1] + h[1:]):
            report = rnninspect.inspect(summed, state, lengths=LENGTHS)
            unjudged += report.verdict == "unjudged"
            assert all(f.certainty == "suspected" for f in report.findings)
    assert unjudged >= 4
    end = summed[np.arange(5), LENGTHS - 1]
    for wrong in (end + np.random.default_rng(0).normal(0, 0.02, end.shape).astype(end.dtype), end * 0.5):
        assert rnninspect.inspect(summed, wrong, lengths=LENGTHS).verdict == "findings"
    assert rnninspect.inspect(summed, h[0], lengths=LENGTHS, direction="forward").verdict == "findings"


def test_a_dense_layer_behind_both_directions_is_left_open() -> None:
    """`tanh(fc(cat(h[-2], h[-1])))` as wide as one direction equals no step: unjudged, with what to give; as wide as
    both it is suspected alone, with the same advice. One row of another's step stays proven."""
    outputs, h, _ = run("GRU")
    both = np.concatenate([h[0], h[1]], 1)
    bridge = np.random.default_rng(1).normal(size=(10, 10)).astype(h.dtype)
    narrow = rnninspect.inspect(outputs, np.tanh(both @ bridge[:, :5]), lengths=LENGTHS)
    assert narrow.verdict == "unjudged"
    assert "the final state that the layer itself gave" in " ".join(narrow.render().split())
    wide = rnninspect.inspect(outputs, np.tanh(both @ bridge), lengths=LENGTHS)
    assert [(f.rule, f.certainty) for f in wide.findings] == [("unexplained-state", "suspected")]
    assert "give the final state itself" in wide.findings[0].message
    both[1] = outputs[3, 1]
    report = rnninspect.inspect(outputs, both, lengths=LENGTHS)
    assert [(f.certainty, f.rows) for f in report.findings if f.severity == "error"] == [("proven", [1])]


@pytest.mark.parametrize("planes", [True, False])
def test_one_directions_own_states_are_no_maximum_of_both(planes: bool) -> None:
    """Where one direction is the larger one in every unit, its states are the maximum of both: the other half, which
    holds something else, is not passed over."""
    rng = np.random.default_rng(0)
    outputs = rng.uniform(0, 0.5, (5, 9, 6)) + np.repeat([0, 0.5], 3)
    outputs[np.arange(9) >= LENGTHS[:, None]] = 0
    halves = [rng.uniform(0, 0.5, (5, 3)), outputs[:, 0, 3:]]
    state = np.stack(halves) if planes else np.concatenate(halves, 1)
    for options in ({}, {"bidirectional": True}):
        report = rnninspect.inspect(outputs, state, lengths=LENGTHS, **options)
        assert [f.rule for f in report.findings] == ["unexplained-state"]
