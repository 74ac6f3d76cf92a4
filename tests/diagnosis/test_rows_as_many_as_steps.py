"""As many rows as steps, or one step: which axis is time is told by the padding and the order of the rows, or stays
open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.core.layer_config import LayerConfig
from rnninspect.diagnosis import build_case
from rnninspect.report.report import Report
from tests.support.made import correct_case, random_weights

LENGTHS = np.array([2, 5, 3, 4, 3])  # of five steps, which as counts of rows would be others
PADDING = {"zero": "tf1", "repeat": "keras", "computed": "flax"}  # a framework that leaves each
ROWS = np.array([2, 0, 1, 4, 3])


def run(padding: str, lengths: np.ndarray = LENGTHS, units: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Outputs `[B, T, H]` and the final state `[B, H]` of a right run of a GRU."""
    convention = PADDING[padding]
    case = correct_case("gru", lengths=lengths, steps=5, units=units, convention=convention, seed=units)
    track = case.trace.tracks[0]
    assert track.outputs is not None
    assert track.final is not None
    return track.outputs, track.final


def named(report: Report) -> list[str]:
    return [f.rule for f in report.findings if f.severity != "note"]


@pytest.mark.parametrize("units", [1, 4])
@pytest.mark.parametrize("padding", ["zero", "repeat"])
@pytest.mark.parametrize("row", [0, -1])
@pytest.mark.parametrize("axes", [{}, {"batch_first": True}, {"batch_first": False}])
def test_a_row_taken_for_a_step(axes: dict[str, Any], row: int, padding: str, units: int) -> None:
    """Padding says which axis is time, whatever was stated: every state is a step of one row."""
    outputs, _ = run(padding, units=units)
    report = rnninspect.inspect(outputs, outputs[row], lengths=LENGTHS, **axes)
    assert "row-taken-for-step" in named(report)
    assert set(named(report)) <= {"row-taken-for-step", *(["batch-time-swapped"] if "batch_first" in axes else [])}


@pytest.mark.parametrize("padding", ["zero", "repeat"])
def test_the_right_twin_of_a_row(padding: str) -> None:
    """The states of the right run are not accused by that."""
    outputs, final = run(padding)
    assert named(rnninspect.inspect(outputs, final, lengths=LENGTHS)) == []
    assert named(rnninspect.inspect(outputs.swapaxes(0, 1), final, lengths=LENGTHS, batch_first=False)) == []


def test_a_row_where_nothing_tells_the_axes() -> None:
    """With padding that was computed, the last row's steps may as well be the last steps of ignored lengths."""
    outputs, _ = run("computed")
    finding = rnninspect.inspect(outputs, outputs[-1], lengths=LENGTHS).findings[0]
    assert finding.rule == "lengths-ignored"
    assert "row-taken-for-step" in finding.alternatives
    time_major = rnninspect.inspect(outputs, outputs[-1], lengths=LENGTHS, batch_first=False).findings[0]
    assert time_major.rule == "lengths-ignored"
    assert time_major.alternatives == []


@pytest.mark.parametrize("units", [1, 4])
@pytest.mark.parametrize("padding", list(PADDING))
@pytest.mark.parametrize("batch_first", [True, False])
def test_axes_stated_wrongly_beside_permuted_rows(batch_first: bool, padding: str, units: int) -> None:
    """Both are named, and nothing else."""
    outputs, final = run(padding, units=units)
    handed = outputs.swapaxes(0, 1) if batch_first else outputs
    report = rnninspect.inspect(handed, final[ROWS], lengths=LENGTHS, batch_first=batch_first)
    assert sorted(named(report)) == ["batch-time-swapped", "rows-permuted"]
    rightly = rnninspect.inspect(handed, final[ROWS], lengths=LENGTHS, batch_first=not batch_first)
    assert named(rightly) == ["rows-permuted"]


@pytest.mark.parametrize("rows", [2, 3, 6])
@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("axes", [{}, {"batch_first": True}])
@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("convention", ["auto", "torch", "paddle"])
def test_one_step_and_permuted_rows(
    convention: str, stacked: bool, axes: dict[str, Any], lengths: bool, rows: int
) -> None:
    """Rows of one step end there, lengths or not; a state `[1, B, H]` in another order is no one row of B layers."""
    outputs, final = run("zero", np.full(rows, 1))
    outputs = outputs[:, :1]
    state = final[None] if stacked else final
    about = {"convention": convention, **axes, **({"lengths": np.ones(rows, dtype=int)} if lengths else {})}
    assert named(rnninspect.inspect(outputs, state, **about)) == []
    assert named(rnninspect.inspect(outputs, np.roll(state, 1, axis=-2), **about)) == ["rows-permuted"]


def test_other_numbers_are_no_permuted_rows() -> None:
    """Of one step, states of which one is of no row are not called another order."""
    outputs, final = run("zero", np.full(4, 1))
    states = np.roll(final, 1, axis=0)
    states[0] += 0.25
    assert "rows-permuted" not in {
        f.rule for f in rnninspect.inspect(outputs[:, :1], states).findings if f.explains == 4
    }


def backward(lengths: list[int], steps: int, time_major: bool = False) -> dict[str, np.ndarray]:
    """A dump of Flax's `RNN(reverse=True, keep_order=True)`, of a GRU."""
    config = LayerConfig(cell="gru", direction="reverse", keep_order=True, time_major=time_major)
    made = random_weights("gru", 3, 4)
    weights = replace(made, layers=tuple(replace(w, direction="backward") for w in made.layers))
    inputs = np.random.default_rng(5).normal(size=(len(lengths), steps, 3)).astype(np.float32)
    batch = {"inputs": inputs.swapaxes(0, 1) if time_major else inputs, "lengths": np.array(lengths)}
    arrays = build_case.dump(build_case.run_case(batch, config, "flax", weights=weights))
    return {name: arrays[name] for name in ("outputs", "carry", "lengths")}


@pytest.mark.parametrize("lengths", [[4, 1], [3, 1, 1], [4, 3], [1, 2]])
def test_a_backward_layer_of_few_rows(lengths: list[int]) -> None:
    """A row of one step is no evidence against a layer that reads backwards; all states at step 0 are no ratio."""
    assert named(rnninspect.inspect(backward(lengths, 4), convention="flax")) == []


@pytest.mark.parametrize("size", [2, 3, 4])
def test_a_backward_layer_by_other_axes(size: int) -> None:
    """With as many rows as steps and nothing stated, `outputs[0]` may be a backward layer's state: no row of others."""
    arrays = backward([size] * size, size, time_major=True)
    assert named(rnninspect.inspect(arrays, convention="flax")) == []
    assert named(rnninspect.inspect(arrays, convention="flax", batch_first=True)) != []


def test_lengths_of_another_scale_are_still_told() -> None:
    """The wrong twin: two rows that end at two steps have one ratio."""
    outputs, final = run("zero", np.array([2, 1, 2, 2, 1]))
    assert "lengths-rescaled" in named(rnninspect.inspect(outputs, final, lengths=np.array([4, 2, 4, 4, 2])))


@pytest.mark.parametrize("convention", ["mxnet", "torch"])
def test_what_keeps_to_the_stated_axes_comes_first(convention: str) -> None:
    """Of arrays without names, as many layers as steps: what keeps to the axes stated are the outputs."""
    case = correct_case("gru", 3, lengths=np.array([3, 3]), steps=3, units=5, convention=convention)
    states = np.stack([track.final for track in case.trace.tracks])  # type: ignore[arg-type]
    initial = np.zeros_like(states) + 0.5
    arrays = {"arr_0": case.trace.tracks[-1].outputs, "arr_1": states, "arr_2": initial}
    report = rnninspect.inspect(arrays, convention=convention, batch_first=True, layers=3, lengths=np.array([3, 3]))
    assert named(report) == []


@pytest.mark.parametrize("mistake", [0, 1])
def test_a_framework_of_other_axes_beside_another_cause(mistake: int) -> None:
    """Where the lengths fit one order of the axes alone, that it is not the framework's default stays a note, whatever
    else is wrong."""
    case = correct_case("gru", lengths=np.array([6, 3, 5, 2]), steps=6, convention="flax")
    outputs = case.trace.tracks[0].outputs
    assert outputs is not None
    ends = np.maximum(case.trace.real_counts - 1 - mistake, 0)
    report = rnninspect.inspect(
        outputs.swapaxes(0, 1), outputs[np.arange(4), ends], lengths=case.trace.lengths, convention="flax"
    )
    assert named(report) == ["off-by-one-length"] * mistake
    assert "batch-time-swapped" in {f.rule for f in report.findings}


def test_one_row_of_one_step_reads_in_no_direction() -> None:
    """A state taken from the padding of a single row is that, and does not make the layer a backward one."""
    outputs = np.zeros((1, 5, 3), dtype=np.float32)
    outputs[0, 0] = [0.1, -0.2, 0.3]
    report = rnninspect.inspect(outputs, outputs[:, -1], lengths=[1])
    assert not {"backward-final-at-last-step", "backward-not-flipped"}.intersection(named(report))
    assert named(report)


def test_rows_exchanged_with_one_of_no_step() -> None:
    """A row without steps holds another's state, and that one its zeros: two rows in one another's place, one cause."""
    case = correct_case("gru", lengths=np.array([0, 6, 5, 3, 7]), steps=7, convention="mxnet")
    track = case.trace.tracks[0]
    report = rnninspect.inspect(
        track.outputs,
        track.final[[4, 1, 2, 3, 0]],
        lengths=case.trace.lengths,
        convention="mxnet",
        batch_first=True,  # type: ignore[index]
    )
    assert [f.rule for f in report.findings if f.severity == "error"] == ["rows-permuted"]
    right = rnninspect.inspect(
        track.outputs, track.final, lengths=case.trace.lengths, convention="mxnet", batch_first=True
    )
    assert {f.severity for f in right.findings if f.rule == "zero-length-row"} == {"warning"}
    assert named(right) == ["zero-length-row"]


def test_zeros_before_the_first_step_tell_axes_only_where_steps_are_held() -> None:
    """Lengths in ascending order leave zeros that by the other axes come first: the last row's steps are one row's
    still, where nothing beside them repeats as a masked layer's steps do; where it does, they may be right."""
    outputs, _ = run("zero", np.array([1, 2, 3, 4, 5]))
    assert "row-taken-for-step" in named(rnninspect.inspect(outputs, outputs[-1], convention="keras"))
    masked = outputs.copy()
    masked[3, :2] = masked[2, :2]
    assert named(rnninspect.inspect(masked, masked[-1], convention="keras")) == []


@pytest.mark.parametrize("by", ["the layer itself", "a statement"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(
    ("taken", "cause"),
    [("one row", "row-taken-for-step"), ("wrong stride", "flat-gather-wrong-stride"), ("right", None)],
)
def test_a_run_tells_the_axes_that_states_do_not(taken: str, cause: str | None, layers: int, by: str) -> None:
    """The outputs are those of a batch-major layer, whatever steps its states were taken from: they are not turned so
    that wrong states fit, and no right weights are accused."""
    torch.manual_seed(0)
    layer, lengths, rows = torch.nn.GRU(3, 7, layers, batch_first=True), np.array([2, 5, 3, 4, 1]), np.arange(5)
    inputs = torch.randn(5, 5, 3)
    outputs = layer(inputs)[0].detach().numpy()
    flat = outputs.reshape(-1, 7)[(lengths - 1) * 5 + rows]
    state = {"one row": outputs[-1], "wrong stride": flat, "right": outputs[rows, lengths - 1]}[taken]
    about: dict[str, Any] = {"batch_first": True} if by == "a statement" else {}
    report = rnninspect.inspect(outputs, state, lengths=lengths, inputs=inputs, weights=layer, **about)
    assert [f.rule for f in report.findings if f.severity != "note"] == ([cause] if cause else [])
