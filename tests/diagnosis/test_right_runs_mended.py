"""Right runs of which little is known are not accused, and the mistakes beside them, which can be told, still are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect import conventions
from rnninspect.core.layer_config import LayerConfig
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.rules import rules
from rnninspect.report.report import Report
from tests.support.made import LENGTHS, correct_case, random_weights
from tests.support.right_runs import accusations, answers

Arrays = dict[str, Any]


def named(report: Report) -> list[str]:
    return [f.rule for f in report.findings if f.severity != "note"]


def turned(convention: str = "keras", cell: str = "gru", **options: Any) -> Arrays:
    """The dump of a layer that reads backwards, its outputs reversed as a whole."""
    config = LayerConfig(cell=cell, layers=1, go_backwards=True, **options)  # type: ignore[arg-type]
    inputs = np.random.default_rng(4).normal(size=(5, 7, 3)).astype(np.float32)
    batch = {"inputs": inputs.swapaxes(0, 1) if config.time_major else inputs, "lengths": LENGTHS}
    case = build_case.run_case(batch, config, convention, weights=backward(cell))
    return build_case.dump(case)


def backward(cell: str = "gru") -> Any:
    made = random_weights(cell, 3, 4)
    return replace(made, layers=tuple(replace(w, direction="backward") for w in made.layers))


@pytest.mark.parametrize("convention", ["keras", "auto"])
def test_a_layer_that_reads_backwards_may_look_padded_on_the_left(convention: str) -> None:
    """Lengths alone do not tell Keras' go_backwards from rows padded on the left: it cannot be judged, and both are
    said; where the inputs begin in padding it is the mistake, and another framework has no such layer."""
    arrays = {name: array for name, array in turned().items() if name != "inputs"}
    report = rnninspect.inspect(arrays, convention=convention)
    assert named(report) == []
    assert report.verdict == "unjudged"
    assert "go_backwards" in report.untested
    assert "left-padded" in report.untested
    assert "left-padded" in named(rnninspect.inspect(arrays, convention="tf1"))
    leading = np.random.default_rng(1).normal(size=(5, 7, 3)).astype(np.float32)
    leading[np.arange(7) < 7 - LENGTHS[:, None]] = 0
    assert "left-padded" in named(rnninspect.inspect(arrays | {"inputs": leading}, convention=convention))


@pytest.mark.parametrize("time_major", [False, True])
def test_weights_tell_a_layer_of_their_framework_that_reads_backwards(time_major: bool) -> None:
    """Where whose the arrays are is not decided, the order that the weights' framework gives is tried too."""
    arrays = turned(time_major=time_major)
    names = iter(("memory", "h_t", "batch", "n_frames"))
    renamed = {next(names): array for array in arrays.values()}
    weights = conventions.get("keras").write_weights(backward())
    report = rnninspect.inspect(renamed, weights=weights, weights_convention="keras")
    assert named(report) == []
    other = {name: array + 0.1 for name, array in weights.items()}
    assert named(rnninspect.inspect(renamed, weights=other, weights_convention="keras"))


def test_padding_may_be_the_habit_of_the_framework_that_the_weights_are_of() -> None:
    """Names that look like torch's beside Keras' weights: what repeats at masked steps is at most a note, unless it
    was stated that the arrays are torch's."""
    case = correct_case("rnn", convention="keras")
    track = case.trace.tracks[0]
    arrays = {"out": track.outputs, "hidden": track.final, "h0": np.zeros_like(track.final), "lengths": LENGTHS}
    arrays |= {"x": case.batch.inputs}  # type: ignore[union-attr]
    options = {
        "weights": conventions.get("keras").write_weights(case.weights),  # type: ignore[arg-type]
        "weights_convention": "keras",
        "cell": "rnn",
        "time_major": False,
    }
    assert named(rnninspect.inspect(arrays, **options)) == []
    assert named(rnninspect.inspect(arrays, convention="torch", **options)) == ["padding-repeats-last-output"]


def test_one_row_that_is_constant_may_be_padding() -> None:
    """Without lengths a single row of equal steps may be one step, repeated; two such rows are a kept buffer."""
    rng = np.random.default_rng(0)
    last = rng.uniform(-1, 1, (3, 1, 4)).astype(np.float32)
    outputs = np.repeat(last, 5, axis=1)
    alike = rnninspect.inspect(outputs, outputs[:, -1], convention="torch", time_major=False)
    assert "outputs-aliased" in named(alike)
    outputs[1:] = 0
    single = rnninspect.inspect(outputs, outputs[:, -1], convention="torch", time_major=False)
    assert "outputs-aliased" not in named(single)


def test_a_row_that_holds_its_own_state_holds_no_slot_of_another() -> None:
    """As many rows as layers: the mistake leaves no row right but the one that was indexed."""
    case = correct_case("gru", 3, 1, lengths=np.array([4, 6, 7]), convention="torch")
    wrong = rules()["state-read-batch-first"].inject(case)
    rule = rules()["state-read-batch-first"]
    assert [p.rule for p in rule.check(wrong)] == ["state-read-batch-first"]
    state, top = wrong.trace.tracks[-1].final, case.trace.tracks[-1].final
    assert state is not None
    assert top is not None
    half = state.copy()
    half[1] = top[1]
    track = replace(wrong.trace.tracks[-1], final=half)
    tracks = (*wrong.trace.tracks[:-1], track)
    assert not list(rule.check(wrong.with_trace(replace(wrong.trace, tracks=tracks))))


@pytest.mark.parametrize("seed", [90261, 91613, 91955, 97362, 97530, 130590, 160243, 771313])
def test_runs_that_were_accused(seed: int) -> None:
    """Right runs of which one to five things are not said, that were accused before."""
    for run, label, answer in answers(seed):
        assert isinstance(answer, str) or not accusations(run, answer), label
