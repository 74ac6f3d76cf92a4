"""What a mistake of the states hid in the outputs is named beside it, and nothing is named that is not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case
from tests.support.pairs import correct, findings, made

BENEATH = [
    ("padding-repeats-last-output", "rows-permuted", ("lstm", 2, 2)),
    ("padding-repeats-last-output", "rows-permuted", ("gru", 1, 1)),
    ("padding-computed", "cell-hidden-swapped", ("lstm", 1, 1)),
    ("padding-computed", "layer-order-reversed", ("gru", 2, 1)),
    ("padding-computed", "state-reshaped-not-transposed", ("lstm", 2, 1)),
    ("mask-hole", "output-residual", ("gru", 1, 1)),
    ("mask-hole", "rows-permuted", ("lstm", 1, 1)),
]


@pytest.mark.parametrize(("hidden", "cause", "shape"), BENEATH)
def test_padding_and_holes_show_once_the_cause_is_undone(hidden: str, cause: str, shape: tuple[str, int, int]) -> None:
    """Both are named, the hidden one with the cause that it was seen beneath or by itself; no state is left."""
    judged = findings(made(shape, hidden, cause))
    assert {hidden, cause} <= {f.rule for f in judged}
    assert not any(f.unexplained for f in judged)
    beneath = [f for f in judged if "beneath" in f.evidence]
    assert all(f.evidence["beneath"] == cause and cause in f.message for f in beneath)


@pytest.mark.parametrize("second", ["last-column-as-final-state", "pooled-state", "state-never-written"])
def test_a_run_tells_of_dropout_beneath_a_wrong_state(second: str) -> None:
    """States that came from elsewhere show no factor; the outputs beside a run of the weights do."""
    case = made(("lstm", 1, 1), "output-dropout", second, weighed=True)
    assert {"output-dropout", second} <= {f.rule for f in findings(case)}
    assert "output-dropout" not in {f.rule for f in findings(made(("lstm", 1, 1), second, weighed=True))}


def test_relu_zeros_and_other_weights_are_no_dropout() -> None:
    """Zeros among outputs that are no one multiple of the run's are given no dropout."""
    case = correct(("gru", 1, 1))
    spoiled = case.with_tracks(
        lambda t: replace(t, outputs=np.where(np.asarray(t.outputs) > 0, np.asarray(t.outputs) ** 2 * 3, 0))
    )
    assert not list(rules()["output-dropout"].undo(spoiled))
    assert not list(rules()["output-dropout"].undo(case))


def test_a_residual_beneath_a_wrong_state_is_taken_off_within_its_rounding() -> None:
    """Inputs added and taken off again leave rounding: the states of full rows still tell of the residual."""
    lengths = np.array([7, 4, 7, 3, 6, 7])
    right = correct_case("gru", 1, 1, lengths=lengths, steps=7, units=4)
    case = rules()["last-column-as-final-state"].inject(right)
    case = rules()["output-residual"].inject(case).with_weights(None)
    judged = {name for f in findings(case) for name in (f.rule, *f.alternatives)}
    assert {"last-column-as-final-state", "output-residual"} <= judged


def test_the_view_of_inputs_makes_no_stale_start() -> None:
    """Where a view of the inputs gives every output, steps that it left in place are no rows with another start."""
    for lengths in ([2, 2], [2, 2, 3, 4], [1, 1, 2], [3, 4, 4]):
        right = correct_case("lstm", lengths=np.array(lengths), steps=max(lengths))
        case = rules()["inputs-reshaped-not-transposed"].inject(right)
        assert [f.rule for f in findings(case)] == ["inputs-reshaped-not-transposed"]


@pytest.mark.parametrize("directions", [1, 2])
def test_reversed_layers_of_a_run_over_the_padding_are_two_mistakes(directions: int) -> None:
    """Neither of them is a third one's: states that are put right by the outputs are no longer those that were given,
    and a top state that read on, listed first, is no lower layer's in its place."""
    ran_over = rules()["lengths-ignored"].inject(correct(("gru", 2, directions)))
    case = rules()["layer-order-reversed"].inject(ran_over)
    bare = case.with_tracks(lambda t: t if t.layer == 1 else replace(t, outputs=None))
    judged = {f.rule for f in findings(bare) if f.severity != "note"}
    assert judged == {"layer-order-reversed", "lengths-ignored"}
