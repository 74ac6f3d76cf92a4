"""A state with fewer rows than the batch: whose rows they are is told by the numbers, or it is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.core.evidence import Slot
from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError
from rnninspect.measure.fewer_rows import with_fewer_rows
from rnninspect.report.report import Report

ROWS, STEPS, UNITS = 5, 7, 4
LENGTHS = np.array([7, 7, 5, 3, 2])


def run(directions: int = 1) -> tuple[Array, Array]:
    """Outputs `[B, T, D*H]` with zeros past the lengths, and the right states `[D, B, H]`."""
    outputs = np.random.default_rng(3).normal(size=(ROWS, STEPS, directions * UNITS)).astype(np.float32)
    outputs[np.arange(STEPS) >= LENGTHS[:, None]] = 0
    forward = outputs[np.arange(ROWS), LENGTHS - 1, :UNITS]
    backward = outputs[:, 0, UNITS:]
    return outputs, np.stack([forward, backward][:directions])


def inspect(outputs: Array, state: Array, **options: Any) -> Report:
    return rnninspect.inspect({"outputs": outputs, "final_state": state, "lengths": LENGTHS}, **options)


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_first_rows_are_read_as_such(count: int, directions: int, time_major: bool) -> None:
    """The state of a loop whose batch shrinks is that of the rows still running; their steps are found."""
    outputs, state = run(directions)
    stored = outputs.swapaxes(0, 1) if time_major else outputs
    report = inspect(stored, state[:, :count], bidirectional=directions == 2, time_major=time_major)
    assert [row["steps"] for row in report.to_dict()["tracks"][0]["rows"]] == [[n - 1] for n in LENGTHS[:count]]
    assert any(f"has {count} row" in note and f"the batch {ROWS}" in note for note in report.notes)


def test_both_directions_may_stand_side_by_side() -> None:
    """Halves that end at different steps are told by the forward one: `[N, D*H]` of outputs `[B, T, D*H]`."""
    outputs, state = run(directions=2)
    report = inspect(outputs, np.concatenate(state, axis=-1)[:2], bidirectional=True)
    forward, backward = report.to_dict()["tracks"]
    assert [row["steps"] for row in forward["rows"]] == [[n - 1] for n in LENGTHS[:2]]
    assert [row["steps"] for row in backward["rows"]] == [[0], [0]]


def test_other_rows_are_named() -> None:
    """Rows from all over the batch are related to those that they equal, and the note says which these are."""
    outputs, state = run()
    report = inspect(outputs, state[0][[4, 2]])
    assert not [f for f in report.findings if f.severity == "error"]
    assert any("rows 4, 2" in note for note in report.notes)
    assert [row["steps"] for row in report.to_dict()["tracks"][0]["rows"]] == [[1], [4]]


def test_a_wrong_step_of_a_kept_row_is_found() -> None:
    """A row that is there is judged as ever: its state at the last column is wrong."""
    outputs, state = run()
    kept = state[0][:3].copy()
    kept[2] = outputs[2, -1]
    assert "last-column-as-final-state" in {f.rule for f in inspect(outputs, kept).findings}


def test_rows_that_equal_nothing_are_refused() -> None:
    """Where no number tells whose rows they are, the error says how many there are and how many are needed."""
    outputs, state = run()
    with pytest.raises(ShapeError, match=r"the state has 2 rows, and the batch 5"):
        inspect(outputs, state[0][:2] + 1)


def test_equal_rows_are_not_told_apart() -> None:
    """Rows of the batch that are alike leave open which of them a row of the state is: nothing is guessed."""
    outputs, _ = run()
    outputs[3] = outputs[4]
    with pytest.raises(ShapeError):
        inspect(outputs, outputs[4:, 1])


@pytest.mark.parametrize("tried_first", [False, True])
@pytest.mark.parametrize("stored", ["batch first", "time first"])
def test_the_rows_are_found_on_whichever_axis_they_are(stored: str, tried_first: bool) -> None:
    """Which axes are tried first says where to begin, not where to end: the numbers tell on which axis the rows are."""
    outputs, state = run()
    axis = 1 if stored == "time first" else 0
    slots = (Slot("outputs", "outputs", outputs.swapaxes(0, axis)), Slot("h", "h_n", state[0][[4, 2]]))
    slots = (*slots, Slot("lengths", "lengths", LENGTHS))
    fewer = next(with_fewer_rows(slots, tried_first), None)
    assert fewer is not None
    assert fewer.state_rows.rows == (4, 2)
    assert np.array_equal(fewer.slots[0].array, outputs[[4, 2]].swapaxes(0, axis))


@pytest.mark.parametrize(("order", "axis"), [([0, 1, 2, 3], 0), ([0, 1, 2, 3], 1), ([3, 0, 2], 0)])
@pytest.mark.parametrize("tried_first", [False, True])
def test_of_as_many_rows_as_steps_the_lengths_tell_the_axis(order: list[int], axis: int, tried_first: bool) -> None:
    """States of distinct last steps are those of distinct rows by the other axes too: those count by which all end
    where the lengths say, whichever axes are tried first."""
    lengths = np.array([4, 5, 1, 3, 2])
    outputs = np.random.default_rng(5).normal(size=(5, 5, UNITS))
    stored, state = outputs.swapaxes(0, axis), outputs[order, lengths[order] - 1]
    slots = (Slot("outputs", "outputs", stored), Slot("h", "h_n", state), Slot("lengths", "lengths", lengths))
    fewer = next(with_fewer_rows(slots, tried_first), None)
    assert fewer is not None
    assert fewer.state_rows.rows == tuple(order)
    assert np.array_equal(fewer.slots[0].array, outputs[order].swapaxes(0, axis))


@pytest.mark.parametrize(("count", "listed"), [(20, "20"), (21, "20, …")])
def test_the_note_gives_the_states_shape_and_twenty_rows(count: int, listed: str) -> None:
    """It speaks of the state, not of another array, and lists so many rows and no more."""
    outputs = np.random.default_rng(4).normal(size=(30, 3, UNITS))
    fewer = next(
        with_fewer_rows((Slot("outputs", "outputs", outputs), Slot("h", "h_n", outputs[1 : count + 1, -1])), False),
        None,
    )
    assert fewer is not None
    assert fewer.note.startswith(f"h_n [{count}, {UNITS}] has {count} rows, the batch 30: it is read as that of")
    assert f"rows {', '.join(map(str, range(1, 20)))}, {listed}, by its numbers" in fewer.note


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("layers", [1, 2])
def test_parts_that_were_gathered_on_the_axis_of_layers_are_refused(
    layers: int, directions: int, time_major: bool
) -> None:
    """torch.nn.DataParallel joins `[L*D, B/N, H]` of its devices to `[N*L*D, B/N, H]`: no row was dropped, the line
    says how to put them together, and that does; a state of the first rows alone is read as such."""
    rng, rows = np.random.default_rng(5), 6
    outputs = rng.normal(size=(rows, STEPS, directions * UNITS)).astype(np.float32)
    top = [outputs[:, -1, :UNITS], outputs[:, 0, UNITS:]][:directions]
    below = list(rng.normal(size=((layers - 1) * directions, rows, UNITS)).astype(np.float32))
    right = np.stack([*below, *top])
    stored = outputs.swapaxes(0, 1) if time_major else outputs
    for parts in (2, 3):
        joined = np.concatenate(np.split(right, parts, axis=1))
        with pytest.raises(ShapeError, match=r"torch\.nn\.DataParallel gathers them") as refused:
            rnninspect.inspect(stored, joined, lengths="full", time_major=time_major)
        code = str(refused.value).rpartition(": ")[2]
        mended = eval(code, {"h": joined})  # the line's own code, on the state that it is about
        assert np.array_equal(mended, right)
        options = {"time_major": time_major, "layers": layers}
        assert rnninspect.inspect(stored, mended, lengths="full", **options).verdict == "clean"
    first = rnninspect.inspect(stored, right[:, :3], lengths="full", time_major=time_major)
    assert "rows-dropped" in [finding.rule for finding in first.findings]


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("steps", [1, STEPS])
def test_a_state_of_one_layer_with_batch_first_drops_no_row(steps: int, time_major: bool) -> None:
    """`h_n.transpose(0, 1)` `[B, 1, H]` is every row's state: neither parts of devices nor one row of the batch; of
    rows in another order it is wrong."""
    outputs = np.random.default_rng(6).normal(size=(5, steps, UNITS)).astype(np.float32)
    stored, right = outputs.swapaxes(0, 1) if time_major else outputs, outputs[:, -1:]
    options = {"lengths": [steps] * 5, "time_major": time_major}
    assert rnninspect.inspect(stored, right, **options).verdict == "clean"
    assert [f.rule for f in rnninspect.inspect(stored, right[::-1], **options).findings] == ["rows-permuted"]
