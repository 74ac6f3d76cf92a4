"""Axes and directions that nobody stated are as a run of the weights confirms them; no run confirms a mistake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.core.weights import Weights
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.reading_by_run import with_reading_by_run
from rnninspect.diagnosis.rules import rules
from tests.support.made import random_weights

LENGTHS = np.array([4, 6, 2, 3])
FORWARD = random_weights("lstm", 3, 4)
BACKWARD = replace(FORWARD, layers=tuple(replace(w, direction="backward") for w in FORWARD.layers))
REVERSED: dict[str, tuple[str, dict[str, Any]]] = {
    "Keras go_backwards": ("keras", {"go_backwards": True}),
    "Flax reverse": ("flax", {"direction": "reverse", "keep_order": False}),
    "Flax reverse, keep_order": ("flax", {"direction": "reverse", "keep_order": True}),
    "ONNX reverse": ("onnx", {"direction": "reverse"}),
}


def dumped(convention: str, config: LayerConfig, weights: Weights, rows: int = 4) -> dict[str, Array]:
    inputs = np.random.default_rng(3).normal(size=(rows, 6, 3)).astype(np.float32)
    batch = {"inputs": inputs.swapaxes(0, 1) if config.time_major else inputs, "lengths": np.resize(LENGTHS, rows)}
    return build_case.dump(build_case.run_case(batch, config, convention, weights=weights))


def read(convention: str, arrays: dict[str, Array], weights: Weights) -> Case:
    """The case of a dump of which cell and lengths alone are stated."""
    return build_case.read_case(arrays, LayerConfig(cell="lstm"), convention).with_weights(weights)


def accused(case: Case) -> list[str]:
    return [f.rule for f in judge(with_reading_by_run(case), rules()).findings if f.severity != "note"]


@pytest.mark.parametrize(("convention", "config"), REVERSED.values(), ids=REVERSED)
def test_a_layer_that_reads_backwards_is_told_by_a_run(convention: str, config: dict[str, Any]) -> None:
    """The weights are read as a forward layer's, for no name of theirs says more, and the run tells the direction."""
    arrays = dumped(convention, LayerConfig(cell="lstm", layers=1, **config), BACKWARD)
    case = with_reading_by_run(read(convention, arrays, FORWARD))
    assert {track.direction for track in case.trace.tracks} == {"backward"}
    assert case.weights is not None
    assert case.weights.directions == ("backward",)
    assert accused(case) == []


def test_no_direction_is_taken_where_the_weights_are_others() -> None:
    """Of other weights no run gives the numbers, forward or backward: the difference is said."""
    arrays = dumped("keras", LayerConfig(cell="lstm", layers=1, go_backwards=True), BACKWARD)
    case = read("keras", arrays, random_weights("lstm", 3, 4, seed=9))
    assert accused(case)


def test_a_stated_direction_is_kept() -> None:
    """Who says that the layer reads forward is told that the numbers differ."""
    arrays = dumped("onnx", LayerConfig(cell="lstm", layers=1, direction="reverse"), BACKWARD)
    declared = build_case.read_case(arrays, LayerConfig(cell="lstm", direction="forward"), "onnx").with_weights(FORWARD)
    assert with_reading_by_run(declared).trace.tracks[0].direction == "forward"
    assert accused(declared)


def test_a_left_padded_run_is_no_layer_that_reads_backwards() -> None:
    """Data behind its padding, run forward: both directions leave blanks first, and the run tells which it was."""
    inputs = np.random.default_rng(3).normal(size=(4, 6, 3)).astype(np.float32)
    mask = (np.arange(6) < LENGTHS[:, None])[:, ::-1]
    ran = build_case.run_case(
        {"inputs": inputs, "mask": mask}, LayerConfig(cell="lstm", layers=1), "keras", weights=FORWARD
    )
    arrays = {**build_case.dump(ran), "lengths": LENGTHS}
    del arrays["mask"]
    assert "left-padded" in accused(read("keras", arrays, FORWARD))


def test_a_rival_of_other_units_than_the_weights_is_no_reading() -> None:
    """Outputs that all equal the state fit as two directions of half the units too, which no run of these weights has:
    the buffer that was kept is the mistake."""
    arrays = dumped("torch", LayerConfig(cell="lstm", layers=1), FORWARD)
    name = next(name for name in ("output", "outputs") if name in arrays)
    state = arrays["h_n"][0]
    arrays[name] = np.repeat(state[:, None], arrays[name].shape[1], axis=1)
    arrays["h_n"] = state
    assert "outputs-aliased" in accused(read("torch", arrays, FORWARD))


def test_axes_that_a_run_tells_are_not_accused_as_stated() -> None:
    """As many rows as steps, time-major and read backwards, and nothing of it stated: what a run confirms is no finding
    on axes; other weights confirm nothing."""
    config = LayerConfig(cell="lstm", layers=1, go_backwards=True, time_major=True)
    inputs = np.random.default_rng(1).normal(size=(2, 2, 3)).astype(np.float32)
    batch = {"inputs": inputs, "lengths": np.array([1, 1])}
    arrays = build_case.dump(build_case.run_case(batch, config, "keras", weights=BACKWARD))
    assert accused(read("keras", arrays, FORWARD)) == []
    assert accused(read("keras", arrays, random_weights("lstm", 3, 4, seed=5))) != []


def flax_in_reverse(keep_order: bool, lengths: np.ndarray) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """What is known of a run of Flax's `RNN(reverse=True)` whose padding was computed, its outputs and its state."""
    made = random_weights("gru", 3, 4)
    weights = replace(made, layers=tuple(replace(w, direction="backward") for w in made.layers))
    config = LayerConfig(cell="gru", direction="reverse", keep_order=keep_order)
    inputs = np.random.default_rng(3).normal(size=(4, 6, 3)).astype(np.float32)
    case = build_case.run_case({"inputs": inputs, "lengths": lengths}, config, "flax", weights=weights)
    track = case.trace.tracks[0]
    assert track.outputs is not None
    assert track.final is not None
    beside = {"inputs": inputs, "weights": case.convention.write_weights(weights), "convention": "flax"}
    return {**beside, "lengths": lengths}, track.outputs, track.final


@pytest.mark.parametrize("direction", [{}, {"direction": "reverse"}])
@pytest.mark.parametrize("keep_order", [True, False])
@pytest.mark.parametrize("lengths", [[6, 2, 3, 5], [6, 6, 6, 6]])
def test_a_run_tells_the_order_of_a_backward_layer(
    lengths: list[int], keep_order: bool, direction: dict[str, str]
) -> None:
    """Whether Flax kept the order of the outputs need not be stated beside inputs and weights: the state that its call
    returned is right, the one after a single input is named, and nothing else."""
    beside, outputs, state = flax_in_reverse(keep_order, np.array(lengths))
    right = rnninspect.inspect(outputs, state, **beside, **direction)
    assert (right.verdict, [f.rule for f in right.findings if f.severity != "note"]) == ("clean", [])
    after_one = outputs[np.arange(4), np.array(lengths) - 1] if keep_order else outputs[:, 0]
    report = rnninspect.inspect(outputs, after_one, **beside, **direction)
    assert [f.rule for f in report.findings if f.severity != "note"] == ["backward-final-at-last-step"]


def test_without_a_run_nothing_tells_the_order_of_a_backward_layer() -> None:
    """A state at step 0 is that of outputs put back in order, or the one after a single input: computed padding behind
    the lengths speaks for neither, and the order is asked for."""
    beside, outputs, state = flax_in_reverse(True, np.array([6, 2, 3, 5]))
    about = {"convention": "flax", "lengths": beside["lengths"], "direction": "reverse"}
    report = rnninspect.inspect(outputs, state, **about)
    assert report.verdict == "unjudged"
    assert "keep_order" in report.would_decide
    assert rnninspect.inspect(outputs, state, **about, keep_order=True).verdict == "clean"
    wrong = rnninspect.inspect(outputs, state, **about, keep_order=False)
    assert [f.rule for f in wrong.findings if f.severity != "note"] == ["backward-final-at-last-step"]


@pytest.mark.parametrize(("read_so", "rules_of"), [("reversed", ["backward-not-flipped"]), ("one later", [])])
def test_inputs_that_were_changed_on_the_way_to_the_layer(read_so: str, rules_of: list[str]) -> None:
    """Inputs reversed by hand, or shifted by one step as a decoder's are, beside outputs that were left so: a run tells
    it. Of other weights neither is taken, and states in another order of the rows are not passed over."""
    arrays = dumped("torch", LayerConfig(cell="lstm", layers=1, time_major=True), FORWARD)
    inputs = arrays["inputs"].copy()
    for row, n in enumerate(LENGTHS):
        inputs[:n, row] = inputs[:n, row][::-1]
    if read_so == "one later":
        arrays["inputs"][0] = 0
        ran = build_case.run_case(arrays, LayerConfig(cell="lstm", time_major=True), "torch", weights=FORWARD)
        arrays = build_case.dump(ran)
        inputs = np.concatenate([arrays["inputs"][1:], inputs[:1]])
    changed = {**arrays, "inputs": inputs}
    assert accused(read("torch", changed, FORWARD)) == rules_of
    assert "unexplained-difference" in accused(read("torch", changed, random_weights("lstm", 3, 4, seed=9)))
    moved = {**changed, "h_n": changed["h_n"][:, [1, 0, 2, 3]], "c_n": changed["c_n"][:, [1, 0, 2, 3]]}
    assert accused(read("torch", moved, FORWARD)) == (rules_of or ["rows-permuted"])
