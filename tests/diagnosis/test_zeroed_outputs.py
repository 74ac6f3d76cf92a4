"""A run over padding whose outputs were zeroed afterwards: the state is no step any more, and still has its cause."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.trace import Array
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case

LENGTHS = np.array([7, 2, 5, 7, 3])


def went_on(case: Case) -> Case:
    """The case as a run that never got the lengths leaves it, with its outputs zeroed behind them afterwards."""
    assert case.batch is not None
    run = case.run(replace(case.batch, mask=np.ones_like(case.batch.mask)))
    real = case.trace.mask[:, :, None]
    tracks = tuple(replace(t, outputs=np.where(real, t.outputs, np.float32(0))) for t in run.tracks)
    return case.with_trace(replace(case.trace, tracks=tracks))


def rules_of(case: Case) -> list[tuple[str, str, list[int]]]:
    return [(f.rule, f.certainty, f.rows) for f in judge(case, rules()).findings]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_state_went_on_through_padding_that_is_zero_by_now(cell: str) -> None:
    """Suspected from the outputs alone, proven by a run over all steps."""
    wrong = went_on(correct_case(cell, lengths=LENGTHS))
    assert rules_of(wrong.with_weights(None)) == [("lengths-ignored", "suspected", [1, 2, 4])]
    assert rules_of(wrong) == [("lengths-ignored", "proven", [1, 2, 4])]


def shifted(final: Array | None, rows: list[int]) -> Array:
    assert final is not None
    moved = final.copy()
    moved[rows] = np.tanh(moved[rows] + 0.4)
    return moved


@pytest.mark.parametrize("rows", [[1, 2], [0, 1, 2, 4]], ids=["not all short rows", "a whole row as well"])
def test_states_that_are_off_in_other_rows_have_no_such_cause(rows: list[int]) -> None:
    """A short row that is right, or a row without padding that is not: the lengths are not what is wrong."""
    case = correct_case("gru", lengths=LENGTHS).with_weights(None)
    wrong = case.with_tracks(lambda t: replace(t, final=shifted(t.final, rows)))
    assert [rule for rule, _, _ in rules_of(wrong)] == ["unexplained-state"]


def test_without_a_row_of_full_length_nothing_is_suspected() -> None:
    """Where every row has padding, no right row speaks for a layer that ran over all steps."""
    case = correct_case("gru", lengths=np.array([6, 2, 5]), steps=7)
    assert [rule for rule, _, _ in rules_of(went_on(case).with_weights(None))] == ["unexplained-state"]
    assert [rule for rule, _, _ in rules_of(case)] == []
