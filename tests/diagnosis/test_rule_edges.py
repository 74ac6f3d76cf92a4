"""Rules at their edges: the row of one step, the empty row, the factor that is no dropout's, ties and near misses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.trace import Array, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import Proposal
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case


def proposals(name: str, case: Case) -> list[Proposal]:
    return list(rules()[name].check(case))


def rows(proposal: Proposal) -> list[int]:
    return sorted({row for *_, row in proposal.places})


def with_final(case: Case, change: Callable[[Track, Array], Array]) -> Case:
    """The case alone, without inputs or weights, its final states changed on a copy."""

    def changed(track: Track) -> Track:
        assert track.final is not None
        return replace(track, final=change(track, track.final.copy()))

    return replace(case.with_weights(None).with_tracks(changed), batch=None)


def test_a_cell_state_that_is_h_in_a_row_of_one_step() -> None:
    """Rows of any length count, those of a single step too; those without a step do not."""
    case = correct_case("lstm", lengths=np.array([1, 4, 0, 7]))
    case = replace(case.with_weights(None).with_tracks(lambda t: replace(t, cell=t.final)), batch=None)
    (proposal,) = proposals("cell-overwritten-by-hidden", case)
    assert rows(proposal) == [0, 1, 3]


@pytest.mark.parametrize(("factor", "seen"), [(0.8, True), (0.5, True), (1.25, False), (2.0, False)])
def test_dropout_makes_outputs_larger_than_the_state(factor: float, seen: bool) -> None:
    """Kept units are the state's times a factor above 1, some are zero; a smaller one is no dropout's."""

    def dropped(track: Track, final: Array) -> Array:
        return np.asarray(final * np.float32(factor))

    case = correct_case("gru", lengths=np.array([4, 6, 7]))
    outputs = case.trace.tracks[0].outputs
    assert outputs is not None
    kept = outputs.copy()
    for row, step in enumerate((3, 5, 6)):
        kept[row, step, row % 5] = 0
    full = case.trace.tracks[0].final
    assert full is not None
    changed = with_final(case, dropped)
    changed = changed.with_tracks(lambda t: replace(t, outputs=kept))
    assert bool(proposals("output-dropout", changed)) is seen


@pytest.mark.parametrize("convention", ["tf1", "flax"])
def test_whole_orders_know_what_an_empty_row_ends_in(convention: str) -> None:
    """Rows in another order, an empty one among them: put back, whatever the framework returns of it."""
    lengths = np.array([4, 0, 7, 3])
    case = correct_case("gru", lengths=lengths, convention=convention)
    wrong = with_final(case, lambda t, final: final[[2, 0, 3, 1]])
    undone = list(rules()["rows-permuted"].undo(wrong))
    right = case.trace.tracks[0].final
    assert undone
    assert any(np.array_equal(u.case.trace.tracks[0].final, right) for u in undone)
