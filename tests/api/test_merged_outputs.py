"""Outputs that hold both directions merged are decided by a run of the weights; without one they are unjudged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.report.report import Report

ROWS, STEPS, FEATURES, UNITS = 4, 7, 3, 5
LENGTHS = [7, 5, 3, 2]
MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda a, b: a + b,
    "mean": lambda a, b: (a + b) / 2,
    "product": lambda a, b: a * b,
}


def layer_of(seed: int = 0, kind: str = "GRU") -> Any:
    torch.manual_seed(seed)
    return getattr(torch.nn, kind)(FEATURES, UNITS, bidirectional=True, batch_first=True)


def inputs_of() -> torch.Tensor:
    return torch.randn(ROWS, STEPS, FEATURES, generator=torch.Generator().manual_seed(1))


def ran(layer: Any, lengths: list[int] | None = LENGTHS) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Forward and backward outputs, and h `[2, B, H]`."""
    with torch.no_grad():
        if lengths is None:
            outputs, state = layer(inputs_of())
        else:
            packed, state = layer(pack_padded_sequence(inputs_of(), lengths, batch_first=True))
            outputs = pad_packed_sequence(packed, batch_first=True)[0]
    h = state[0] if isinstance(state, tuple) else state
    return outputs[..., :UNITS], outputs[..., UNITS:], h


def judged(outputs: torch.Tensor, h: torch.Tensor, layer: Any) -> Report:
    return rnninspect.inspect(outputs, h, lengths=LENGTHS, inputs=inputs_of(), weights=layer)


def accused(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings if finding.severity != "note"]


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize("merge", MERGES)
def test_a_right_run_is_clean_whatever_the_merge(merge: str, kind: str, tmp_path: Path) -> None:
    """The run says which merge it is, in a program and of files, whose weights state two directions."""
    layer = layer_of(kind=kind)
    forward, backward, h = ran(layer)
    merged = MERGES[merge](forward, backward)
    live = judged(merged, h, layer)
    torch.save(layer.state_dict(), tmp_path / "w.pt")
    arrays = {"output": merged, "h_n": h, "x": inputs_of(), "lengths": np.array(LENGTHS)}
    np.savez(tmp_path / "d.npz", **{name: np.asarray(array) for name, array in arrays.items()})
    for report in (live, rnninspect.compare(tmp_path / "d.npz", weights=tmp_path / "w.pt")):
        assert (report.verdict, accused(report)) == ("clean", [])
        assert any(f"the {merge} of both directions" in note for note in report.notes)


def test_a_wrong_state_is_named() -> None:
    """Once the directions are taken apart, what is wrong with the state shows as ever."""
    layer = layer_of()
    forward, backward, h = ran(layer)
    assert accused(judged(forward + backward, h[:, [1, 0, 2, 3]], layer)) == ["rows-permuted"]
    forward, backward, h = ran(layer, None)
    assert accused(judged(forward + backward, h, layer)) == ["lengths-ignored"]  # and with it the backward pass


def test_what_no_run_gives_is_unjudged() -> None:
    """Another merge, or other weights, decide nothing: neither clean nor accused."""
    layer = layer_of()
    forward, backward, h = ran(layer)
    for outputs, weights in ((torch.maximum(forward, backward), layer), (forward + backward, layer_of(9))):
        report = judged(outputs, h, weights)
        assert (report.verdict, accused(report)) == ("unjudged", [])


def test_one_direction_of_two_is_not_taken_for_a_merge() -> None:
    """The forward half alone beside weights of both directions is held against them as before."""
    layer = layer_of()
    forward, _, h = ran(layer)
    report = judged(forward, h[0], layer)
    assert (report.verdict, accused(report)) == ("clean", [])
    assert not any("both directions" in note for note in report.notes)


def listed(layer: Any) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Forward and backward outputs, and the states as Keras's Bidirectional lists them."""
    with torch.no_grad():
        packed, state = layer(pack_padded_sequence(inputs_of(), LENGTHS, batch_first=True))
    outputs = pad_packed_sequence(packed, batch_first=True)[0]
    parts = state if isinstance(state, tuple) else (state,)
    return outputs[..., :UNITS], outputs[..., UNITS:], [part[d] for d in (0, 1) for part in parts]


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize("merge", MERGES)
def test_a_list_of_both_directions_states_is_unjudged_and_with_weights_decided(merge: str, kind: str) -> None:
    """`[h, c, h, c]` or `[h, h]` beside merged outputs accuses nobody, and says what to state; a run of the weights
    finds the merge, and a state of other rows."""
    layer = layer_of(kind=kind)
    forward, backward, states = listed(layer)
    outputs = MERGES[merge](forward, backward)
    alone = rnninspect.inspect(outputs, states, lengths=LENGTHS)
    assert (alone.verdict, accused(alone)) == ("unjudged", [])
    assert "merge_mode" in str(alone.untested)
    keras = rnninspect.inspect(outputs, states, lengths=LENGTHS, convention="keras", bidirectional=True)
    assert accused(keras) == []
    more: dict[str, Any] = {"lengths": LENGTHS, "inputs": inputs_of(), "weights": layer}
    assert rnninspect.inspect(outputs, states, **more).verdict == "clean"
    permuted = [*states[:-1], states[-1][[1, 0, 3, 2]]]
    assert rnninspect.inspect(outputs, permuted, **more).verdict == "findings"


def test_a_list_of_one_lstms_h_and_c_stays_accused() -> None:
    """h and c of one LSTM, or of two layers, beside outputs that hold another run's states: no two directions."""
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(FEATURES, UNITS, batch_first=True)
    with torch.no_grad():
        outputs = lstm(inputs_of())[0]
        h, c = lstm(inputs_of() * 3)[1]
    report = rnninspect.inspect(outputs, [h[0], c[0]], lengths=[STEPS] * ROWS)
    assert accused(report) == ["unexplained-state"]
    stack = torch.nn.LSTM(FEATURES, UNITS, 2, batch_first=True)
    with torch.no_grad():
        outputs = stack(inputs_of())[0]
        h, c = stack(inputs_of() * 3)[1]
    flat = [h[0], c[0], h[1], c[1]]
    report = rnninspect.inspect(outputs, flat, lengths=[STEPS] * ROWS, layers=2)
    assert accused(report) == ["unexplained-state"]


def _both_merged(kind: str, seed: int, mean: bool, layers: int = 1) -> tuple[torch.nn.RNNBase, dict[str, Any], Any]:
    """A layer, what is handed of its packed run with outputs and state merged alike, and the outputs of both sides."""
    torch.manual_seed(seed)
    layer = getattr(torch.nn, kind)(6, 8, layers, batch_first=True, bidirectional=True)
    lengths, x = torch.tensor([9, 4, 7, 2, 6]), torch.randn(5, 9, 6)
    with torch.no_grad():
        packed, state = layer(
            torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        )
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
    h = state[0] if kind == "LSTM" else state
    share = 0.5 if mean else 1.0
    merged = (outputs[..., :8] + outputs[..., 8:]) * share
    return layer, {"outputs": merged, "final_state": (h[-2] + h[-1]) * share, "lengths": lengths}, x


@pytest.mark.parametrize("mean", [False, True], ids=["sum", "mean"])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_state_that_is_merged_as_the_outputs_are(kind: str, mean: bool, layers: int) -> None:
    """`h[-2] + h[-1]` beside summed outputs: a run of the weights takes both apart, and it is clean, with an axis in
    front too; the merged outputs' last real step, and rows in another order, are named."""
    layer, handed, x = _both_merged(kind, 4, mean, layers)
    lengths = handed["lengths"]
    for state in (handed["final_state"], handed["final_state"][None]):
        right = rnninspect.inspect(**handed | {"final_state": state}, inputs=x, weights=layer)
        assert (right.verdict, right.findings) == ("clean", [])
    ends = handed["outputs"][torch.arange(5), lengths - 1]
    wrong = rnninspect.inspect(**handed | {"final_state": ends}, inputs=x, weights=layer)
    assert [f.rule for f in wrong.findings] == ["backward-final-at-last-step"]
    moved = rnninspect.inspect(**handed | {"final_state": handed["final_state"].roll(1, 0)}, inputs=x, weights=layer)
    assert moved.verdict == "findings"


SEEDS = 5


@pytest.mark.parametrize(
    ("kind", "mean"),
    [
        ("LSTM", False),
        *(pytest.param(*case, marks=pytest.mark.long) for case in (("GRU", False), ("GRU", True), ("LSTM", True))),
    ],
)
def test_both_merged_without_weights_are_left_open(kind: str, mean: bool) -> None:
    """Nothing takes them apart: 9 in 10 are unjudged, and none is called clean; a state that goes with neither end, or
    with one, of one direction's outputs is unexplained."""
    unjudged = 0
    for seed in range(SEEDS):
        _, handed, _ = _both_merged(kind, seed, mean)
        report = rnninspect.inspect(**handed)
        assert report.verdict != "clean"
        unjudged += report.verdict == "unjudged"
        torch.manual_seed(seed)
        noise = torch.randn(5, 8)
        near = handed["outputs"][torch.arange(5), handed["lengths"] - 1] + 0.05 * torch.randn(5, 8)
        for state in (noise, near):
            assert rnninspect.inspect(**handed | {"final_state": state}).verdict == "findings"
        assert rnninspect.inspect(**handed, direction="forward").verdict == "findings"
    assert unjudged >= 0.9 * SEEDS


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize("half", [0, 1, 2])
def test_half_of_two_directions_beside_the_states_of_both(half: int, kind: str) -> None:
    """One half of the outputs, or their sum (2), beside both states is clean with the weights, and its own state alone
    too; states of other rows, and those of a run that read the padding, are named."""
    layer = layer_of(kind=kind)
    outputs, h = (lambda f, b, h: ((f, b, f + b)[half], h))(*ran(layer))
    for state in (h, torch.cat([h[0], h[1]], 1), h[min(half, 1)]):
        assert judged(outputs, state, layer).verdict == "clean"
    assert accused(judged(outputs, torch.cat([h[0][[1, 0, 2, 3]], h[1]], 1), layer)) == ["rows-permuted"]
    read_on, over = (lambda f, b, h: ((f, b, f + b)[half], h))(*ran(layer, None))
    rule = "backward-read-padding" if half == 1 else "lengths-ignored"
    assert rule in accused(judged(read_on, torch.cat([over[0], over[1]], 1), layer))


def test_merged_outputs_without_weights_accuse_nobody() -> None:
    """Both merged, and stated so or not; one sum beside states side by side; a list of two layers in two directions:
    nothing takes these apart, and nothing is accused or refused."""
    layer = layer_of()
    forward, backward, h = ran(layer, None)
    ways: tuple[dict[str, Any], ...] = ({}, {"convention": "keras", "merge_mode": "sum"})
    for options in ways:
        report = rnninspect.inspect(forward + backward, h[0] + h[1], lengths="full", bidirectional=True, **options)
        assert (report.verdict, accused(report)) == ("unjudged", [])
    side_by_side = torch.cat([h[0], h[1]], 1)
    for both in (None, True):
        report = rnninspect.inspect(forward + backward, side_by_side, lengths="full", bidirectional=both)
        assert (report.verdict, accused(report)) == ("unjudged", [])
    stack = torch.nn.GRU(FEATURES, UNITS, 2, bidirectional=True, batch_first=True)
    with torch.no_grad():
        outputs, states = stack(inputs_of())
    listed = [states[i] for i in (0, 2, 1, 3)]
    summed = outputs[..., :UNITS] + outputs[..., UNITS:]
    report = rnninspect.inspect(summed, [[state] for state in listed], lengths="full")
    assert (report.verdict, accused(report)) == ("unjudged", [])


def test_both_merged_where_two_are_stated_and_the_width_is_even() -> None:
    """Read as two halves, as stated, the whole goes with both ends of each row, be they two rows: unjudged; noise is
    accused as ever, and so are two halves that are not merged and that noise moved."""
    torch.manual_seed(3)
    layer = torch.nn.GRU(FEATURES, 6, bidirectional=True, batch_first=True)
    with torch.no_grad():
        outputs, h = layer(inputs_of())
    summed, state = outputs[..., :6] + outputs[..., 6:], h[0] + h[1]
    about: dict[str, Any] = {"lengths": "full", "bidirectional": True}
    noise = torch.randn(state.shape, generator=torch.Generator().manual_seed(4)) * state.std()
    halves = torch.cat([h[0], h[1]], 1) + 0.2 * torch.cat([noise, noise.flip(0)], 1)
    for rows in (ROWS, 2):
        assert rnninspect.inspect(summed[:rows], state[:rows], **about).verdict == "unjudged"
        assert accused(rnninspect.inspect(summed[:rows], noise[:rows], **about)) == ["unexplained-state"]
        assert accused(rnninspect.inspect(outputs[:rows], halves[:rows], **about)) == ["unexplained-state"]
