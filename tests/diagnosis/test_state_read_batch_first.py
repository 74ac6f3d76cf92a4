"""`state-read-batch-first`: a vector a row that holds all slots of one row, and of how many rows it may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.trace import Array
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import Proposal
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case

LENGTHS = np.array([4, 6])
RULE = rules()["state-read-batch-first"]


def indexed(row: int, state: Array | None = None, alike: bool = False, directions: int = 1) -> Case:
    """Two rows of a stack of two layers (or of one in two directions), whose state was taken as `states[:, row]`.

    `alike`: both rows end in the same outputs. `state`: in place of what was taken.
    """
    case = correct_case("gru", 2 // directions, directions, lengths=LENGTHS, steps=6)
    tracks = list(case.trace.tracks)
    if alike:
        ends = [t.outputs for t in tracks if t.outputs is not None]
        for outputs in ends:
            outputs[1, 5] = outputs[0, 3]
            outputs[1, 0] = outputs[0, 0]
    finals = [t.final for t in tracks]
    stacked = np.stack([f for f in finals if f is not None])  # [L*D, B, H]
    taken = stacked[:, row] if state is None else state
    bare = [replace(t, final=None, cell=None) for t in tracks]
    return case.with_trace(replace(case.trace, tracks=(*bare[:-1], replace(bare[-1], final=taken))))


def proposals(case: Case) -> list[Proposal]:
    return list(RULE.check(case))


@pytest.mark.parametrize("row", [0, 1])
def test_one_row_is_named(row: int) -> None:
    """The slots of one row: it is named, and the rows are explained whose vector is not their own."""
    (proposal,) = proposals(indexed(row))
    assert proposal.evidence == {"row": row}
    assert f"holds the 2 layers and directions of row {row} alone" in proposal.message
    assert {b for *_, b in proposal.places} == ({0, 1} if row == 0 else {0})


def test_no_row_is_no_evidence() -> None:
    """A state whose last slot ends no row of the top layer comes from somewhere else."""
    case = indexed(0)
    state = case.trace.tracks[-1].final
    assert state is not None
    other = state.copy()
    other[-1] += 0.125
    assert proposals(indexed(0, other)) == []


def test_a_step_of_the_outputs_is_no_lower_layers() -> None:
    """Two rows' top states exchanged: that of row 0 stands where its slots would, and the other is a step as well."""
    top = indexed(0).trace.tracks[-1].outputs
    assert top is not None
    assert proposals(indexed(0, np.stack([top[1, 5], top[0, 3]]))) == []


def test_two_rows_are_no_evidence() -> None:
    """Where both rows end alike, none can be said to be the one."""
    case = indexed(0, alike=True)
    top = case.trace.tracks[-1].outputs
    assert top is not None
    assert np.array_equal(top[0, 3], top[1, 5])
    shared = np.stack([np.full(5, 0.25, dtype=np.float32), top[0, 3]])
    assert proposals(indexed(0, shared, alike=True)) == []


def test_both_halves_must_be_of_the_row() -> None:
    """Of two directions, both slots must end where the row does."""
    (proposal,) = proposals(indexed(1, directions=2))
    assert proposal.evidence == {"row": 1}
    state = indexed(1, directions=2).trace.tracks[-1].final
    assert state is not None
    for slot in (0, 1):
        other = state.copy()
        other[slot] = other[slot][::-1]
        assert proposals(indexed(1, other, directions=2)) == []


def test_as_many_rows_as_slots_are_needed() -> None:
    """Three rows cannot be two slots of one row; and one slot is no mixture."""
    case = correct_case("gru", 2, 1, lengths=np.array([4, 6, 5]), steps=6)
    taken = np.zeros((3, 5), dtype=np.float32)
    bare = [replace(t, final=None) for t in case.trace.tracks]
    assert proposals(case.with_trace(replace(case.trace, tracks=(*bare[:-1], replace(bare[-1], final=taken))))) == []
    single = correct_case("gru", 1, 1, lengths=np.array([4]), steps=6)
    wrong = replace(single.trace.tracks[0], final=np.zeros((1, 5), dtype=np.float32))
    assert proposals(single.with_trace(replace(single.trace, tracks=(wrong,)))) == []


def test_nothing_is_said_of_a_right_state() -> None:
    """Where every state is at its step there is nothing to explain."""
    assert proposals(correct_case("gru", 2, 1, lengths=LENGTHS, steps=6)) == []
