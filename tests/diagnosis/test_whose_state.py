"""Whose state a row started from, or went on from in the middle, where that state is in the dump."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.core.batch import Batch
from rnninspect.core.finding import Finding
from rnninspect.core.trace import Array, Track
from rnninspect.diagnosis.case import Case, Dump
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case

CELLS = ["lstm", "gru", "rnn"]


def findings(case: Case) -> list[Finding]:
    return judge(case, rules()).findings


def started_from(case: Case, h: Array, c: Array | None) -> Case:
    """The run of these inputs from these states, which the dump does not give as initial ones."""
    assert case.batch is not None
    begun = case.with_tracks(lambda t: replace(t, initial=h, initial_cell=c))
    tracks = tuple(replace(t, initial=None, initial_cell=None) for t in begun.run(case.batch).tracks)
    return case.with_trace(replace(case.trace, tracks=tracks))


def stateful(cell: str) -> tuple[Case, Track]:
    """A right run, and its one track."""
    case = correct_case(cell)
    return case, case.trace.tracks[0]


def settled(cell: str) -> Case:
    """A run that starts from the state in which it ends: what a batch that is fed again and again comes to."""
    case, track = stateful(cell)
    for _ in range(300):
        assert track.final is not None
        case = started_from(case, track.final, track.cell)
        track = case.trace.tracks[0]
    return case


@pytest.mark.parametrize("cell", CELLS)
def test_a_batch_that_was_run_before_and_kept_its_state(cell: str) -> None:
    """Where a row starts from the very state in which it ends, the finding says so."""
    stale = [f for f in findings(settled(cell)) if f.rule == "stale-initial-state"]
    assert stale
    assert any("the state in which it ends itself" in f.message for f in stale)


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_under_a_name_of_its_own(cell: str) -> None:
    """The state lies in the dump under a name that means nothing: it is named; another's numbers are not."""
    case, track = stateful(cell)
    rng = np.random.default_rng(4)
    assert track.final is not None
    h = rng.uniform(-0.8, 0.8, track.final.shape).astype(np.float32)
    c = None if track.cell is None else rng.uniform(-0.8, 0.8, track.cell.shape).astype(np.float32)
    wrong = started_from(case, h, c)
    arrays = {"memory": h, "other": rng.normal(size=h.shape).astype(np.float32)} | ({} if c is None else {"kept": c})
    (finding,) = findings(replace(wrong, dump=Dump(arrays)))
    assert finding.rule == "stale-initial-state"
    assert "started from memory" in finding.message
    (unknown,) = findings(replace(wrong, dump=Dump({"other": arrays["other"]})))
    assert "not in the dump" in unknown.message


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("origin", [0, 2])
def test_a_state_that_was_carried_into_the_middle_of_a_row(cell: str, origin: int) -> None:
    """From step 3 on row 2 goes on from the state in which row 0 (or it itself) ended: the row, the step and whose."""
    case, track = stateful(cell)
    assert case.batch is not None
    assert track.outputs is not None
    assert track.final is not None
    row, step = 2, 3
    tail = case.batch.inputs[row : row + 1, step:]
    for _ in range(300 if origin == row else 1):  # its own end follows from itself
        h = track.final[[origin]]
        c = None if track.cell is None else track.cell[[origin]]
        begun = case.with_tracks(lambda t, h=h, c=c: replace(t, initial=h, initial_cell=c))  # type: ignore[misc]
        (ran,) = begun.run(Batch(tail, np.ones(tail.shape[:2], dtype=np.bool_), None, True)).tracks
        assert ran.outputs is not None
        outputs, final = track.outputs.copy(), track.final.copy()
        outputs[row, step:], final[row] = ran.outputs[0], ran.outputs[0, -1]
        cell_state = None if track.cell is None or ran.cell is None else track.cell.copy()
        if cell_state is not None and ran.cell is not None:
            cell_state[row] = ran.cell[0]
        track = replace(track, outputs=outputs, final=final, cell=cell_state)
    wrong = case.with_trace(replace(case.trace, tracks=(track,)))
    (finding,) = findings(wrong)
    assert (finding.rule, finding.severity, finding.rows) == ("restarted-within-row", "warning", [row])
    assert f"outputs[{row}, {step}] follow" in finding.message
    assert f"row {row} from row {origin}'s" in finding.message


@pytest.mark.parametrize("kind", ["GRU", "LSTM", "RNN"])
@pytest.mark.parametrize("what", ["right", "rows", "two rows", "layers", "viewed"])
def test_stated_initial_states_in_another_order(kind: str, what: str) -> None:
    """A run that began with the stated states of other rows or layers, or with a view of them, is told as that."""
    torch.manual_seed(7)
    layers = 1 if "rows" in what else 2
    layer = getattr(torch.nn, kind)(5, 6, layers, batch_first=True)
    inputs, h_0, c_0 = torch.randn(4, 7, 5), torch.randn(layers, 4, 6) / 2, torch.randn(layers, 4, 6)
    begun = {
        "right": lambda s: s,
        "rows": lambda s: s[:, [1, 2, 3, 0]],
        "two rows": lambda s: s[:, [0, 2, 1, 3]],
        "layers": lambda s: s.flip(0),
        "viewed": lambda s: s.transpose(0, 1).reshape(s.shape),
    }[what]
    start = (begun(h_0).contiguous(), begun(c_0).contiguous()) if kind == "LSTM" else begun(h_0).contiguous()
    outputs, state = layer(inputs, start)
    initial = (h_0, c_0) if kind == "LSTM" else h_0
    report = rnninspect.inspect(
        outputs, state, inputs=inputs, weights=layer, initial_state=initial, batch_first=True, lengths="full"
    )
    assert [f.rule for f in report.findings] == ([] if what == "right" else ["stale-initial-state"])
    if what == "two rows":
        assert "row 1 from row 2's, row 2 from row 1's" in report.findings[0].message
