"""Wrong states beside outputs that are not what the layer gave: a run of the weights tells what they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case

LENGTHS = np.array([6, 3, 8, 5, 7])
STATES = ["lengths-ignored", "rows-permuted", "state-never-written", "off-by-one-length", "pooled-state"]


def run_of(cell: str) -> Case:
    """A right run, whose inputs are noise in the padding too."""
    return correct_case(cell, lengths=LENGTHS, steps=8, units=6)


def named(case: Case) -> set[str]:
    return {f.rule for f in judge(case, rules()).findings}


@pytest.mark.parametrize("cell", ["lstm", *(pytest.param(cell, marks=pytest.mark.long) for cell in ("gru", "rnn"))])
@pytest.mark.parametrize("mistake", STATES)
def test_wrong_states_beside_one_buffer(cell: str, mistake: str) -> None:
    """Every step of the outputs is the state, which they agree with; a run says which step, row or pool it is."""
    case = rules()["outputs-aliased"].inject(rules()[mistake].inject(run_of(cell)))
    findings = judge(case, rules()).findings
    (finding,) = [f for f in findings if f.rule != "outputs-aliased"]  # zeros may be of a zeroed last column
    assert finding.rule == mistake or (mistake == "state-never-written" and mistake in finding.alternatives)
    assert mistake not in named(case.with_weights(None)) or mistake == "pooled-state"


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_right_states_beside_one_buffer(cell: str) -> None:
    """The twin: the buffer alone, with its weights, also where two right runs differ by their rounding."""
    case = rules()["outputs-aliased"].inject(run_of(cell))
    assert named(case) == {"outputs-aliased"}

    def rounded(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else (array * np.float32(1 + 2e-6)).astype(array.dtype)

    case = case.with_tracks(lambda t: replace(t, outputs=rounded(t.outputs), final=rounded(t.final)))
    assert named(case) == {"outputs-aliased"}


@pytest.mark.parametrize("cover", ["outputs-aliased", "output-dropout"])
@pytest.mark.parametrize("mistake", ["initial-state-unused", "inputs-reshaped-not-transposed"])
def test_another_run_beside_outputs_that_tell_nothing(mistake: str, cover: str) -> None:
    """States of a run from zeros, or of a view of the inputs, beside a buffer or dropped outputs."""
    case = rules()[mistake].inject(run_of("gru"))
    assert {mistake, cover} <= named(rules()[cover].inject(case))
    assert mistake not in named(rules()[cover].inject(run_of("gru")))


def test_states_of_no_run_are_not_guessed() -> None:
    """Noise in the place of the states, in every step of a buffer: no rule is named for it."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (5, 6)).astype(np.float32)
    case = run_of("gru").with_tracks(lambda t: replace(t, final=noise, outputs=np.repeat(noise[:, None], 8, 1)))
    assert named(case) <= {"outputs-aliased", "unexplained-state", "unexplained-difference"}


@pytest.mark.parametrize("bottom", ["nothing", "outputs alone", "state alone"])
def test_layers_without_outputs_or_state_are_left_out(bottom: str) -> None:
    """Beside a run the top layer's states are told, whatever of the layer below is not there; no rule falls over it."""
    case = correct_case("gru", 2, lengths=LENGTHS, steps=8, units=6)
    (below, _), lower = case.trace.tracks, case.reference.track(0, "forward")
    assert lower is not None
    shown = {"nothing": (None, None), "outputs alone": (lower.outputs, None), "state alone": (None, below.final)}
    wrong = rules()["outputs-aliased"].inject(rules()["off-by-one-length"].inject(case))
    outputs, final = shown[bottom]
    wrong = wrong.with_tracks(lambda t: t if t.layer else replace(t, outputs=outputs, final=final))
    judged = judge(wrong, rules())
    assert {"outputs-aliased", "off-by-one-length"} <= {f.rule for f in judged.findings}
    assert [entry for entry in judged.not_checked if entry.failed] == []
