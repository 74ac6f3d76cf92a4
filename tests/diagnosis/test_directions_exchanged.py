"""The two directions in each other's place: which of outputs and state it was is told, and right runs are clean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.core.trace import Array
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case

NAME = "directions-exchanged"
LENGTHS = np.array([4, 1, 7, 3, 6])


def arrays_of(cell: str, lengths: Array = LENGTHS, layers: int = 1) -> dict[str, Any]:
    """A right run's outputs `[B, T, 2H]`, state `[L*2, B, H]`, and lengths."""
    trace = correct_case(cell, layers, 2, lengths=lengths).trace
    top = [t.outputs for t in trace.tracks if t.layer == layers - 1]
    return {
        "outputs": np.concatenate(top, -1),  # type: ignore[arg-type]
        "final_state": np.stack([t.final for t in trace.tracks]),  # type: ignore[misc]
        "lengths": lengths,
    }


def exchanged(array: Array) -> Array:
    """Outputs `[B, T, 2H]` with their halves, or states `[2, B, H]` with their planes, in each other's place."""
    if array.shape[0] == 2:
        return array[::-1]
    units = array.shape[-1] // 2
    return np.concatenate([array[..., units:], array[..., :units]], -1)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("what", [("final_state",), ("outputs",), ("outputs", "final_state")])
def test_what_was_exchanged_is_told(cell: str, what: tuple[str, ...]) -> None:
    """State, outputs or both: the rule names it, all rows are explained, and the right twin is clean."""
    arrays = arrays_of(cell)
    options: dict[str, Any] = {"bidirectional": True, "convention": "torch", "cell": cell}
    assert rnninspect.inspect(**arrays, **options).verdict == "clean"
    for name in what:
        arrays[name] = exchanged(arrays[name])
    report = rnninspect.inspect(**arrays, **options)
    finding = report.findings[0]
    assert [f.rule for f in report.findings] == [NAME]
    assert not finding.unexplained
    in_words = {"outputs": "outputs", "final_state": "states"}
    assert finding.evidence["exchanged"] == " and ".join(in_words[name] for name in what)
    mended = rnninspect.fix(arrays, **options)
    assert mended.report.verdict == "clean"
    assert {change.rule for change in mended.changes} == {NAME}


@pytest.mark.parametrize("bidirectional", [True, False])
def test_one_vector_a_row(bidirectional: bool) -> None:
    """`cat([h_bw, h_fw])` `[B, 2H]` is told, whether two directions were stated or not."""
    arrays = arrays_of("gru")
    arrays["final_state"] = np.concatenate(list(arrays["final_state"][::-1]), -1)
    options = {"bidirectional": True} if bidirectional else {}
    report = rnninspect.inspect(**arrays, **options)
    assert report.verdict == "findings"
    assert NAME in [f.rule for f in report.findings]


def test_rows_of_one_length_without_lengths() -> None:
    """Where no lengths are known the exchanged state is still told, by the half that reads backwards."""
    arrays = arrays_of("lstm", np.full(5, 7))
    arrays["final_state"] = exchanged(arrays["final_state"])
    report = rnninspect.inspect(**(arrays | {"lengths": None}), bidirectional=True)
    assert [f.rule for f in report.findings] == [NAME]


def test_a_stack_of_two_layers() -> None:
    """Of two layers, each with its directions exchanged, the top one tells it."""
    arrays = arrays_of("gru", np.array([4, 2, 7, 3, 6]), layers=2)
    arrays["final_state"] = arrays["final_state"][[1, 0, 3, 2]]
    report = rnninspect.inspect(**arrays, bidirectional=True, layers=2)
    assert NAME in [f.rule for f in report.findings]


def test_equal_directions_are_another_mistake() -> None:
    """One direction taken twice is no exchange."""
    case = rules()["direction-duplicated"].inject(correct_case("lstm", 1, 2))
    assert [f.rule for f in judge(case.with_weights(None), rules()).findings] == ["direction-duplicated"]


def test_both_halves_at_one_step_are_another_mistake() -> None:
    """`outputs[:, -1]` of rows of one length: the backward half is at the wrong end, and nothing was exchanged."""
    case = correct_case("lstm", 1, 2, lengths=np.full(5, 7))
    wrong = case.with_tracks(lambda t: replace(t, final=t.outputs[:, -1], cell=None))  # type: ignore[index]
    assert [f.rule for f in judge(wrong.with_weights(None), rules()).findings] == ["backward-final-at-last-step"]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("order", [[1, 2, 0, 4, 3], [1, 2, 3, 4, 0], [2, 1, 0, 4, 3], [0, 2, 1, 3, 4]])
def test_rows_in_another_order_besides(order: list[int], layers: int) -> None:
    """No half that equals its own ends in another order is read as all that the state holds: both mistakes are named,
    whether one row stays where it was or none."""
    arrays = arrays_of("gru", layers=layers)
    states = arrays["final_state"][:, order].reshape(layers, 2, 5, -1)[:, ::-1].reshape(2 * layers, 5, -1)
    for options in ({}, {"bidirectional": True}):
        report = rnninspect.inspect(arrays | {"final_state": states}, **options)
        assert {f.rule for f in report.findings} == {NAME, "rows-permuted"}


def test_one_half_in_the_place_of_the_other_beside_a_lower_layers() -> None:
    """Of `cat([h_n[0], h_n[2]])` the second half alone is the other direction's: no exchange of both is told, and the
    code takes both anew; where both changed places it is told of both."""
    torch.manual_seed(0)
    layer, inputs = torch.nn.GRU(3, 5, 2, batch_first=True, bidirectional=True), torch.randn(4, 7, 3)
    outputs, states = layer.requires_grad_(False)(inputs)
    told: dict[str, Any] = {"lengths": "full", "inputs": inputs, "weights": layer}
    one = rnninspect.inspect(outputs, torch.cat([states[0], states[2]], 1), **told).findings
    assert [(f.rule, f.direction) for f in one] == [("directions-exchanged", "backward"), ("wrong-layer", "forward")]
    assert "the backward half of final_state.h is what the forward outputs end in" in one[0].message
    (both,) = rnninspect.inspect(outputs, torch.cat([states[3], states[2]], 1), **told).findings
    assert (both.rule, "the halves of final_state.h are exchanged" in both.message) == ("directions-exchanged", True)
