"""Pairs of mistakes of which one hid the other: both are named, and no second one where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.diagnosis.rule import CannotInject
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case
from tests.support.pairs import SHAPES, correct, findings, made

LSTM, GRU, STACK, TWO, FOUR = ("lstm", 1, 1), ("gru", 1, 1), ("gru", 2, 1), ("gru", 1, 2), ("lstm", 2, 2)
NAMED = [
    # a copy whose original is off
    ("rows-permuted", "direction-duplicated", TWO),
    ("off-by-one-length", "layers-share-state", FOUR),
    ("state-from-another-run", "direction-duplicated", TWO),
    ("state-from-another-run", "layers-share-state", STACK),
    ("rows-permuted", "layers-share-state", ("gru", 2, 2)),
    ("rows-permuted", "direction-duplicated", FOUR),
    # one direction's state in the other's place, and its own wrong too
    ("directions-exchanged", "off-by-one-length", TWO),
    # outputs that lie or end elsewhere, under a state that is no step of theirs
    ("lengths-misaligned", "flat-gather-wrong-stride", LSTM),
    ("pooled-state", "left-padded", STACK),
    ("state-never-written", "left-padded", LSTM),
    ("lengths-misaligned", "pooled-state", LSTM),
    # padding that hides under a wrong state, and a pool over padding that has changed since
    ("padding-computed", "flat-gather-wrong-stride", STACK),
    ("state-never-written", "padding-computed", FOUR),
    ("pooled-state", "padding-repeats-last-output", STACK),
    # states that tell of outputs that were dropped or added to
    ("lengths-ignored", "output-dropout", LSTM),
    ("rows-permuted", "output-dropout", GRU),
    ("off-by-one-length", "output-residual", STACK),
    # a row taken for a step
    ("row-taken-for-step", "rows-permuted", LSTM),
    # one row's steps in some of the tracks, beside outputs that are not padded as stated
    ("zero-length-row", "row-taken-for-step", GRU),
    ("lengths-misaligned", "row-taken-for-step", LSTM),
    ("padding-computed", "row-taken-for-step", TWO),
    ("row-taken-for-step", "flat-gather-wrong-stride", TWO),
    ("row-taken-for-step", "layers-share-state", FOUR),
    ("padding-repeats-last-output", "row-taken-for-step", GRU),
    # a difference of two dumps beneath a cause; a second run beside a cause
    ("precision-drift", "left-padded", ("lstm", 1, 2)),
    ("output-residual", "state-from-another-run", GRU),
    ("precision-drift", "output-residual", STACK),
    ("precision-drift", "outputs-are-cell-state", LSTM),
    ("cell-overwritten-by-hidden", "state-from-another-run", LSTM),
    ("inputs-differ", "state-from-another-run", GRU),
    # outputs that end elsewhere beside half of the state
    ("lengths-misaligned", "direction-missing", TWO),
    # lengths of another scale, under which states of zeros look right
    ("last-column-as-final-state", "lengths-rescaled", STACK),
    ("padding-repeats-last-output", "lengths-rescaled", GRU),
    # lengths of another scale under which another step was read, or that are cut to the time axis
    ("off-by-one-length", "lengths-rescaled", LSTM),
    ("length-exceeds-time", "lengths-rescaled", STACK),
    # a symptom that the cause does not explain, for it is there without it
    ("zero-length-row", "rows-permuted", STACK),
    ("zero-length-row", "off-by-one-length", GRU),
    ("padding-computed", "off-by-one-length", GRU),
    ("off-by-one-length", "padding-computed", STACK),
    ("padding-computed", "lengths-rescaled", TWO),
    ("output-dropout", "padding-computed", LSTM),
    ("padding-computed", "output-residual", ("gru", 2, 2)),
    ("padding-repeats-last-output", "output-dropout", GRU),
    # dropout over a sum, over one buffer, or beside a second run
    ("output-residual", "output-dropout", TWO),
    ("output-residual", "state-never-written", GRU),
    ("outputs-aliased", "output-dropout", GRU),
    ("state-from-another-run", "output-dropout", STACK),
    # numbers of a second dump that are finer, and states that agree where outputs do not
    ("pooled-state", "precision-drift", TWO),
    ("output-dropout", "precision-drift", GRU),
    ("precision-drift", "output-dropout", LSTM),
    ("precision-drift", "outputs-aliased", STACK),
    ("pooled-state", "state-from-another-run", TWO),
    # padding that was moved to the front with its row
    ("padding-repeats-last-output", "left-padded", GRU),
    ("padding-computed", "left-padded", TWO),
    ("lengths-ignored", "left-padded", FOUR),
    # states that were copied over the others, or a half that was left out, whose original is off too
    ("layers-share-state", "direction-duplicated", FOUR),
    ("output-dropout", "direction-duplicated", ("gru", 2, 2)),
    ("state-reshaped-not-transposed", "layers-share-state", STACK),
    ("state-reshaped-not-transposed", "direction-duplicated", TWO),
    ("state-reshaped-not-transposed", "direction-missing", FOUR),
    ("directions-exchanged", "direction-missing", FOUR),
    ("layer-order-reversed", "direction-missing", ("gru", 2, 2)),
    # h and c of a second run, exchanged
    ("state-from-another-run", "cell-hidden-swapped", LSTM),
    # half of a state in which the directions are interleaved; a symptom of another track's cause
    ("directions-interleaved", "off-by-one-length", TWO),
    ("directions-interleaved", "direction-duplicated", TWO),
    ("directions-interleaved", "direction-missing", ("gru", 2, 2)),
    ("directions-exchanged", "backward-final-at-last-step", FOUR),
    ("off-by-one-length", "padding-repeats-last-output", GRU),
    # outputs that hold c, and were dropped or added to
    ("outputs-are-cell-state", "output-dropout", LSTM),
    ("outputs-are-cell-state", "output-residual", ("lstm", 1, 2)),
    # inputs added to steps of other lengths than were stated
    ("lengths-misaligned", "output-residual", GRU),
    ("left-padded", "output-residual", GRU),
    # a whole track in reversed time, which no state tells from one read at the wrong end
    ("output-dropout", "backward-not-flipped", TWO),
    # one buffer beside rows that tell nothing of it
    ("nonfinite-values", "outputs-aliased", GRU),
    ("outputs-aliased", "lengths-rescaled", LSTM),
    ("outputs-aliased", "length-exceeds-time", GRU),
    ("outputs-aliased", "rows-dropped", GRU),
]


@pytest.mark.parametrize(("first", "second", "shape"), NAMED)
def test_both_of_two_mistakes_are_named(first: str, second: str, shape: tuple[str, int, int]) -> None:
    """Both mistakes are named, as causes or alternatives; no state is left, and none is called unexplained."""
    judged = findings(made(shape, first, second))
    assert {first, second} <= {name for f in judged for name in (f.rule, *f.alternatives)}, judged
    assert not any(f.unexplained or f.rule.startswith("unexplained") for f in judged)


@pytest.mark.parametrize("shape", [TWO, FOUR])
def test_states_that_agree_with_outputs_in_reversed_time_are_named(shape: tuple[str, int, int]) -> None:
    """Backward states taken at the wrong end of outputs that were then turned look right; the weights tell both."""
    judged = findings(made(shape, "backward-final-at-last-step", "backward-not-flipped", weighed=True))
    assert {f.rule for f in judged} == {"backward-final-at-last-step", "backward-not-flipped"}
    assert [f.rule for f in findings(made(shape, "backward-not-flipped", weighed=True))] == ["backward-not-flipped"]


def test_lengths_of_another_scale_beyond_the_time_axis_are_one_mistake() -> None:
    """Doubled lengths of which some, cut to the time axis, are as far from every state as the others are not halved."""
    for lengths, steps in (([3, 2, 3, 3], 5), ([2, 1], 3), ([1, 4, 4, 4, 4], 5)):
        right = correct_case("gru", lengths=np.array(lengths), steps=steps).with_weights(None)
        assert [f.rule for f in findings(rules()["lengths-rescaled"].inject(right))] == ["lengths-rescaled"]


@pytest.mark.parametrize("name", sorted(rules()))
def test_one_mistake_is_given_no_second(name: str) -> None:
    """Of one mistake in a right run without weights nothing is said to go with it or to lie beneath it; with weights
    `test_each_rule_on_its_own_plant` asks it."""
    for shape in (LSTM, TWO, STACK):
        try:
            case = made(shape, name, weighed=False)
        except CannotInject:
            continue
        for f in findings(case):
            assert not {"together_with", "beneath"} & set(f.evidence), (shape, f)


def test_outputs_of_a_right_run_tell_of_no_mistake() -> None:
    """What rules say of outputs alone, whatever the states hold: nothing of any right run, be its lengths odd ones."""
    runs = [correct(shape) for shape in SHAPES]
    runs += [
        correct_case("gru", lengths=np.array(lengths), steps=max(lengths) + more)
        for lengths in ([2, 4, 6], [1, 1, 2], [3, 3, 3], [6, 4, 2, 1])
        for more in (0, 1, 6)
    ]
    for case in runs:
        for rule in rules().values():
            assert list(rule.of_outputs(case)) == [], (rule.name, case.trace.lengths)


def test_a_copy_of_a_right_half_is_the_copy_alone() -> None:
    """Where one half is right, the other was copied from it: no other cause is asked for the first."""
    for shape in (TWO, FOUR):
        assert [f.rule for f in findings(made(shape, "direction-duplicated"))] == ["direction-duplicated"]
    assert {f.rule for f in findings(made(STACK, "layers-share-state"))} == {"layers-share-state"}


def test_states_tell_of_dropout_only_by_one_factor() -> None:
    """Outputs that were dropped are put back where each state's own step is found; other outputs are left alone."""
    rule = rules()["output-dropout"]
    case = made(LSTM, "rows-permuted", "output-dropout")
    (undone,) = rule.undo(case)
    right = made(LSTM, "rows-permuted")
    before, after = right.facts[0], undone.case.facts[0]
    assert right.elsewhere(before, before.mismatched) == undone.case.elsewhere(after, before.mismatched)
    assert not list(rule.undo(right))
    uneven = case.with_tracks(lambda t: replace(t, outputs=np.asarray(t.outputs) * (1 + np.abs(np.asarray(t.outputs)))))
    assert not list(rule.undo(uneven))


def test_a_symptom_of_wrong_weights_or_order_is_no_third_cause() -> None:
    """A backward half that was never flipped beside exchanged directions: two causes with weights, and no state at the
    last step, which is what the first looks like without them."""
    case = made(TWO, "backward-not-flipped", "directions-exchanged", weighed=True)
    assert {f.rule for f in findings(case)} == {"backward-not-flipped", "directions-exchanged"}
