"""A context, or another layer's outputs, beside the outputs in one array: no two directions, and no mistake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.report.report import Report

LENGTHS = np.array([7, 3, 5, 2, 6, 4])
ROWS = np.arange(6)
Arrays = tuple[Any, Any]


def _ran(kind: str, seed: int, units: int = 8, both: bool = False, features: int = 8) -> Arrays:
    """Outputs `[B, T, D*H]` of a packed run, and its states `[D, B, H]`."""
    torch.manual_seed(seed)
    layer = getattr(torch.nn, kind)(features, units, batch_first=True, bidirectional=both)
    inputs = torch.randn(6, 7, features)
    with torch.no_grad():
        packed, state = layer(
            torch.nn.utils.rnn.pack_padded_sequence(
                inputs, torch.from_numpy(LENGTHS), batch_first=True, enforce_sorted=False
            )
        )
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0].numpy()
    return outputs, (state[0] if kind == "LSTM" else state).numpy()


def _context(outputs: Any) -> Any:
    """The weighted mean of a row's outputs at each of its steps, `[B, T, H]`: self-attention."""
    scores = np.exp(outputs @ outputs.swapaxes(1, 2))
    return (scores / scores.sum(-1, keepdims=True)) @ outputs


def _rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


@pytest.mark.parametrize("lengths", [LENGTHS, None], ids=["lengths", "none"])
@pytest.mark.parametrize("first", [True, False], ids=["context first", "outputs first"])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_context_beside_outputs_is_no_direction(kind: str, first: bool, lengths: Any) -> None:
    """The state of the half that is outputs is right, and the report says which half that is."""
    outputs, state = _ran(kind, 0)
    halves = [_context(outputs), outputs][:: 1 if first else -1]
    report = rnninspect.inspect(np.concatenate(halves, -1), state[0], lengths=lengths)
    assert (report.verdict, _rules(report)) == ("clean", [])
    assert any(("second" if first else "first") + " half" in note for note in report.notes)


def test_mistakes_in_a_half_are_named_and_mended() -> None:
    """The last column, or another row's state, of outputs behind a context: its own cause alone, and fix mends it."""
    outputs, state = _ran("GRU", 1)
    both = np.concatenate([_context(outputs), outputs], -1)
    column = rnninspect.inspect(both, outputs[:, -1], lengths=LENGTHS)
    assert _rules(column) == ["last-column-as-final-state"]
    assert _rules(rnninspect.inspect(both, state[0][::-1], lengths=LENGTHS)) == ["rows-permuted"]
    fixed = rnninspect.fix(both, outputs[:, -1], lengths=LENGTHS)
    assert np.array_equal(fixed.arrays["final_state"], state[0])
    assert fixed.report.verdict == "clean"


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_outputs_of_two_layers_side_by_side_are_not_accused(kind: str) -> None:
    """Of many pairs of layers none is accused, whichever state stands beside them; where that is open it is said."""
    verdicts = []
    for seed in range(6):
        (lower, below), (upper, top) = (_ran(kind, each, units=24) for each in (seed, 50 + seed))
        both = np.concatenate([lower, upper], -1)
        for state in (below[0], top[0], np.concatenate([below, top])):
            report = rnninspect.inspect(both, state, lengths=LENGTHS)
            assert _rules(report) == []
            assert report.verdict == "clean" or "two directions" in report.untested
            verdicts.append(report.verdict)
    assert "clean" in verdicts


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_two_directions_are_still_two(kind: str) -> None:
    """`h_n[-1]` of two directions is named always, the forward half where the outputs show two, and any once stated."""
    named = 0
    for seed in range(6):
        outputs, state = _ran(kind, seed, units=24, both=True)
        assert _rules(rnninspect.inspect(outputs, state[-1], lengths=LENGTHS)) == ["direction-missing"]
        forward = rnninspect.inspect(outputs, state[0], lengths=LENGTHS)
        assert forward.verdict in ("findings", "unjudged")
        named += _rules(forward) == ["direction-missing"]
        both = rnninspect.inspect(outputs, state[0], lengths=LENGTHS, bidirectional=True)
        assert _rules(both) == ["direction-missing"]
    assert named >= 5
    outputs, state = _ran(kind, 3, units=24, both=True)
    ends = outputs[ROWS, LENGTHS - 1]
    wrong = rnninspect.inspect(outputs, np.stack(np.split(ends, 2, -1)), lengths=LENGTHS)
    assert _rules(wrong) == ["backward-final-at-last-step"]


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_half_that_was_never_flipped_back_is_not_clean(kind: str) -> None:
    """Two packed runs, one of reversed rows, joined as they are look as two layers do: unjudged, and named once two
    directions are stated; flipped back they are right."""
    rows = [np.r_[np.arange(n)[::-1], np.arange(n, 7)] for n in LENGTHS]
    for seed in range(4):
        (ahead, end), (back, start) = (_ran(kind, each, units=24) for each in (seed, 50 + seed))
        state = np.concatenate([end, start])
        unflipped = np.concatenate([ahead, back], -1)
        assert rnninspect.inspect(unflipped, state, lengths=LENGTHS).verdict == "unjudged"
        assert _rules(rnninspect.inspect(unflipped, state, lengths=LENGTHS, bidirectional=True))
        flipped = np.stack([row[order] for row, order in zip(back, rows, strict=True)])
        both = np.concatenate([ahead, flipped], -1)
        assert rnninspect.inspect(both, state, lengths=LENGTHS, bidirectional=True).verdict == "clean"


def test_an_axis_of_directions_is_what_the_stated_framework_says_of_it() -> None:
    """Of ONNX's `[T, 2, B, H]` the last step is no state of the backward half, whatever its numbers are; unstated,
    two layers that somebody stacked have the same shape, and are not accused."""
    layers = [_ran("GRU", seed, units=4)[0][LENGTHS > 3, :4].swapaxes(0, 1) for seed in range(2)]
    stack = np.stack(layers, 1)
    dump = {"Y": stack, "Y_h": stack[-1]}
    assert _rules(rnninspect.inspect(dump, convention="onnx", lengths=[4] * 4)) == ["backward-final-at-last-step"]
    assert rnninspect.inspect(dump, lengths=[4] * 4).verdict == "unjudged"
