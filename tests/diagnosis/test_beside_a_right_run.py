"""What a right run beside the dump tells: inputs that are not its own, a backward half in reversed time, and initial
states passed in each other's place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.core.trace import DIRECTIONS, Track
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.starts import started
from rnninspect.diagnosis.evidence.stated_starts import EXCHANGED, began_otherwise
from rnninspect.diagnosis.rules import rules
from tests.support.made import LENGTHS, correct_case

Arrays = dict[str, np.ndarray]


def _against(tmp_path: Path, dump: Arrays, other: Arrays, **told: Any) -> list[Any]:
    for name, arrays in (("dump", dump), ("other", other)):
        np.savez(tmp_path / f"{name}.npz", **arrays)  # type: ignore[arg-type]
    return rnninspect.compare(tmp_path / "dump.npz", against=tmp_path / "other.npz", **told).findings


@pytest.mark.parametrize("directions", [1, 2])
def test_inputs_that_are_not_those_of_equal_outputs(directions: int, tmp_path: Path) -> None:
    """Outputs that agree bit for bit followed from one batch: other inputs beside them are told, rows and all; those
    that differ behind the rows' ends alone, by rounding, or not at all are not, nor are any where no lengths are."""
    right = build_case.dump(correct_case("gru", 1, directions, convention="torch"))
    told = {"convention": "torch", "batch_first": True, "bidirectional": directions == 2}
    inputs = right["inputs"]
    behind = np.where((np.arange(7) < LENGTHS[:, None])[..., None], inputs, 5)
    second = inputs.copy()
    second[2] *= 2
    findings = _against(tmp_path, {**right, "inputs": second}, right, **told)
    assert [(f.rule, f.severity, f.rows) for f in findings] == [("inputs-differ", "warning", [2])]
    for same in (inputs, behind, inputs * np.float32(1 + 1e-7)):
        assert not _against(tmp_path, {**right, "inputs": same}, right, **told)
    bare = {name: array for name, array in right.items() if name != "lengths"}
    findings = _against(tmp_path, {**bare, "inputs": behind}, bare, **told)
    assert "inputs-differ" not in [f.rule for f in findings]


def test_a_layer_that_is_held_says_nothing_of_its_inputs(tmp_path: Path) -> None:
    """The twin: steps that repeat the step before them, as those of saturated units, would so of any inputs."""
    outputs = np.ones((4, 6, 3), np.float32)
    held = {"outputs": outputs, "final_state": outputs[:, -1], "lengths": np.array([6, 6, 6, 6])}
    inputs = np.random.default_rng(0).normal(size=(4, 6, 3))
    inputs[:, 0] = 1
    other = np.where(np.arange(6)[:, None] > 0, inputs * 2, inputs)
    assert not _against(tmp_path, {**held, "inputs": inputs}, {**held, "inputs": other})


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("inputs", [True, False])
def test_a_backward_half_in_reversed_time(inputs: bool, layers: int, tmp_path: Path) -> None:
    """A reference without weights shows which of the two ways round the backward outputs are: nothing else is named,
    and of the right dump beside one in reversed time no such thing is said."""
    case = correct_case("gru", layers, 2, convention="torch")
    pair = [build_case.dump(c) for c in (rules()["backward-not-flipped"].inject(case), case)]
    wrong, right = ({n: a for n, a in dump.items() if inputs or n != "inputs"} for dump in pair)
    told = {"convention": "torch", "batch_first": True, "bidirectional": True, "layers": layers}
    (finding,) = _against(tmp_path, wrong, right, **told)
    assert (finding.rule, finding.certainty, finding.alternatives) == ("backward-not-flipped", "proven", [])
    assert "backward-not-flipped" not in [f.rule for f in _against(tmp_path, right, wrong, **told)]
    assert not _against(tmp_path, right, right, **told)


def test_a_backward_state_read_at_the_wrong_end(tmp_path: Path) -> None:
    """The twin: outputs that are those of the reference are not reversed; the state was taken at the wrong step."""
    case = correct_case("gru", 1, 2, convention="torch")
    wrong = build_case.dump(rules()["backward-final-at-last-step"].inject(case))
    told = {"convention": "torch", "batch_first": True, "bidirectional": True}
    findings = _against(tmp_path, wrong, build_case.dump(case), **told)
    assert "backward-final-at-last-step" in [f.rule for f in findings]
    assert "backward-not-flipped" not in [f.rule for f in findings]


def _begun(case: Case, h: float, c: float) -> Case:
    """The case with initial states of these sizes for every layer and direction."""
    rng = np.random.default_rng(6)
    draw = rng.uniform(0.2, 0.8, (2, len(case.trace.tracks), 5, 5)).astype(np.float32)
    starts = {(t.layer, t.direction): (h * draw[0, i], c * draw[1, i]) for i, t in enumerate(case.trace.tracks)}
    return started(case, starts)


@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (1, 2), (2, 1)])
def test_initial_states_in_each_others_place(layers: int, directions: int) -> None:
    """A run that began with c_0 for h and h_0 for c, with h_0 for both, or with one layer's or direction's in all, is
    told from one that began with states that nobody gave."""
    case = _begun(correct_case("lstm", layers, directions), 1, 1)
    assert case.batch is not None
    exchanged: Any = {(t.layer, t.direction): (t.initial_cell, t.initial) for t in case.trace.tracks}
    twice: Any = {(t.layer, t.direction): (t.initial, t.initial) for t in case.trace.tracks}
    last: Any = {(t.layer, t.direction): exchanged[layers - 1, t.direction][::-1] for t in case.trace.tracks}
    of_last = started(case, last), f"it started from layer {layers - 1}'s in every layer" if layers > 1 else ""
    ways = [
        (started(case, exchanged), EXCHANGED),
        (_begun(case, 2, 1), ""),
        (started(case, twice), "it started from h_0 as its h and as its c"),
        of_last,
    ]
    if directions == 2:
        crossed: Any = {(0, d): exchanged[0, o][::-1] for d, o in (DIRECTIONS, DIRECTIONS[::-1])}
        ways.append((started(case, crossed), "it started from those of the other direction"))
    for ran_from, told in ways:
        tracks = {(t.layer, t.direction): t for t in ran_from.run(case.batch).tracks}

        def ran(track: Track) -> Track:
            made = tracks[track.layer, track.direction]  # noqa: B023
            return replace(track, outputs=made.outputs, final=made.final, cell=made.cell)

        assert began_otherwise(case.with_tracks(ran)) == told


def test_the_code_for_exchanged_initial_states() -> None:
    """An LSTM that was passed (c_0, h_0): the one finding is its start, and the code names the two in order."""
    torch.manual_seed(4)
    lstm = torch.nn.LSTM(3, 4, batch_first=True)
    x, h, c = torch.randn(5, 6, 3), *(torch.randn(2, 1, 5, 4) * 0.5)
    with torch.no_grad():
        returned = lstm(x, (c, h))
    (finding,) = rnninspect.inspect(returned, lengths="full", inputs=x, weights=lstm, initial_state=(h, c)).findings
    assert finding.rule == "stale-initial-state"
    assert "(h_0, c_0)" in finding.fix
