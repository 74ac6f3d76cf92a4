"""Rows in another order are put back in the direction in which they are off, and in no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import rnninspect
from rnninspect.core.trace import Array, Track
from rnninspect.diagnosis import build_case
from rnninspect.errors import UserError
from tests.support.made import correct_case

# Sorted from long to short, rows of one length in turn and not, and an order that no length gives.
ORDERS = [(1, 3, 0, 4, 2), (1, 3, 4, 0, 2), (2, 0, 1, 4, 3)]
LENGTHS = np.array([4, 7, 2, 5, 4])
UNMOVED = (0, 1, 2, 3, 4)


@pytest.mark.parametrize("convention", ["torch", "keras"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("forward", [*ORDERS, UNMOVED], ids=str)
@pytest.mark.parametrize("backward", [*ORDERS, UNMOVED], ids=str)
def test_each_direction_is_put_back_alone(
    cell: str, layers: int, convention: str, forward: tuple[int, ...], backward: tuple[int, ...]
) -> None:
    """One direction in another order, both in one, or each in its own: the dump is the right run's, c included, and
    the report of the wrong one shows code that moves no direction which stands right."""
    case = correct_case(cell, layers, 2, convention=convention, lengths=LENGTHS)
    orders = {"forward": list(forward), "backward": list(backward)}

    def moved(track: Track) -> Track:
        assert track.final is not None
        order = orders[track.direction]
        return replace(track, final=track.final[order], cell=None if track.cell is None else track.cell[order])

    right, wrong = build_case.dump(case), build_case.dump(case.with_tracks(moved))
    about = {"cell": cell, "layers": layers, "bidirectional": True, "convention": convention, "batch_first": True}
    mended = rnninspect.fix({name: np.array(array) for name, array in wrong.items()}, **about)
    assert mended.report.verdict == "clean"
    assert {name: array.tolist() for name, array in mended.arrays.items()} == {
        name: array.tolist() for name, array in right.items()
    }
    changes = [change.rule for change in mended.changes]
    assert set(changes) <= {"rows-permuted"}
    assert bool(changes) == (forward != UNMOVED or backward != UNMOVED)
    for direction, half in (("forward", "h_fw"), ("backward", "h_bw")):
        if orders[direction] == list(UNMOVED):
            assert all(f"{half} =" not in change.code and "\nh =" not in change.code for change in mended.changes)


@pytest.mark.parametrize(("layers", "order"), [(1, ORDERS[1]), (2, ORDERS[2])])
def test_outputs_are_put_back(layers: int, order: tuple[int, ...]) -> None:
    """Of outputs in another order than states and lengths only the outputs are put back, of every direction; where a
    state besides is in no output, nothing is."""
    case = correct_case("gru", layers, 2, convention="torch", lengths=LENGTHS)
    right = build_case.dump(case)
    about = {"layers": layers, "bidirectional": True, "batch_first": True, "convention": "torch"}
    wrong = {**right, "output": right["output"][list(order)]}
    mended = rnninspect.fix({name: np.array(array) for name, array in wrong.items()}, **about)
    assert [change.rule for change in mended.changes] == ["rows-permuted"]
    assert {name: array.tolist() for name, array in mended.arrays.items()} == {
        name: array.tolist() for name, array in right.items()
    }
    wrong["h_n"] = np.array(wrong["h_n"])
    wrong["h_n"][-1, 1] += 1
    with pytest.raises(UserError):
        rnninspect.fix(wrong, **about)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_c_that_stands_right_stays(order: tuple[int, ...]) -> None:
    """Of h in another order and c in the batch's own only h is put back: c is behind the right rows' h as it is."""
    case = correct_case("lstm", 1, 1, convention="torch", lengths=LENGTHS)

    def moved(track: Track) -> Track:
        assert track.final is not None
        return replace(track, final=track.final[list(order)])

    right, wrong = build_case.dump(case), build_case.dump(case.with_tracks(moved))
    mended = rnninspect.fix({name: np.array(array) for name, array in wrong.items()}, batch_first=True)
    assert {name: array.tolist() for name, array in mended.arrays.items()} == {
        name: array.tolist() for name, array in right.items()
    }


@pytest.mark.parametrize(("cell", "layers", "name"), [("lstm", 1, "c_n"), ("gru", 2, "h_n")])
def test_states_that_no_output_tells_are_put_back_as_a_run_tells(cell: str, layers: int, name: str) -> None:
    """c alone, or the lower layer's h alone, in another order: the dump is the right run's; c of no row is refused."""
    case = correct_case(cell, layers, convention="torch", lengths=LENGTHS)
    right = build_case.dump(case)
    wrong = {key: np.array(array) for key, array in right.items()}
    wrong[name][0] = wrong[name][0][[2, 0, 1, 4, 3]]
    about = {"cell": cell, "layers": layers, "convention": "torch", "batch_first": True, "weights": case.weights}
    mended = rnninspect.fix(wrong, **about)
    assert ([change.rule for change in mended.changes], mended.report.verdict) == (["rows-permuted"], "clean")
    assert {key: a.tolist() for key, a in mended.arrays.items()} == {key: a.tolist() for key, a in right.items()}
    with pytest.raises(UserError):
        rnninspect.fix({**wrong, name: 0 * wrong[name]}, **about)


def test_outputs_along_other_axes_than_stated_are_transposed() -> None:
    """A right run whose outputs were saved `[T, B, H]`, and states in another order besides; states of no step are
    refused."""
    right = build_case.dump(correct_case("gru", convention="torch", lengths=LENGTHS))
    outputs, h = right["output"], right["h_n"]
    for rows, rules in (([0, 1, 2, 3, 4], []), ([1, 0, 2, 3, 4], ["rows-permuted"])):
        fixed = rnninspect.fix(outputs.swapaxes(0, 1), h[:, rows], lengths=LENGTHS, batch_first=True)
        assert sorted(change.rule for change in fixed.changes) == ["batch-time-swapped", *rules]
        assert fixed.arrays["outputs"].tolist() == outputs.tolist()
        assert fixed.arrays["final_state"].tolist() == h.tolist()
    with pytest.raises(UserError):
        rnninspect.fix(outputs.swapaxes(0, 1), 2 * h, lengths=LENGTHS, batch_first=True)


@pytest.mark.parametrize("rows_first", [False, True])
@pytest.mark.parametrize("turned", [(), (0,), (1,), (0, 1)])
def test_layers_and_directions_in_reverse_are_told_where_shapes_tell_no_axis(
    turned: tuple[int, ...], rows_first: bool
) -> None:
    """Of as many rows as two layers' states in two directions, both lists turned as well as one, each is named by
    itself, along the axes on which the rows stand, and put back."""
    case = correct_case("lstm", 2, 2, convention="torch", lengths=LENGTHS[:4])
    right = build_case.dump(case)

    def moved(states: Array, axes: tuple[int, ...]) -> Array:
        by_layer = np.flip(states.reshape(2, 2, *states.shape[1:]), axes).reshape(states.shape)
        return np.ascontiguousarray(by_layer.swapaxes(0, 1) if rows_first else by_layer)

    wrong = {**right, **{name: moved(right[name], turned) for name in ("h_n", "c_n")}}
    mended = rnninspect.fix(wrong, cell="lstm", layers=2, bidirectional=True, convention="torch", batch_first=True)
    names = ("layer-order-reversed", "directions-exchanged")
    assert {change.rule for change in mended.changes} == {names[axis] for axis in turned}
    for name in ("h_n", "c_n"):
        assert mended.arrays[name].tolist() == moved(right[name], ()).tolist()


def test_the_code_for_directions_apart_takes_rows_where_they_stand() -> None:
    """Each direction's states an array `[1, B, H]`, one or both in another order: the code, run on them, puts them
    back."""
    case = correct_case("gru", 1, 2, lengths=LENGTHS)
    forward, backward = (np.asarray(track.final)[None] for track in case.trace.tracks)
    outputs = np.concatenate([np.asarray(track.outputs) for track in case.trace.tracks], -1)
    order = [2, 0, 1, 4, 3]
    for both in (False, True):
        names = {"h_fw": forward[:, order], "h_bw": backward[:, order] if both else backward.copy(), "np": np}
        arrays = {name: array for name, array in names.items() if name != "np"}
        report = rnninspect.inspect({"outputs": outputs, **arrays, "lengths": LENGTHS}, batch_first=True)
        (fix,) = [finding.fix for finding in report.findings if finding.rule == "rows-permuted"]
        exec(fix.partition("\n# if")[0], names | {"lengths": LENGTHS}, names)
        assert (names["h_fw"].tolist(), names["h_bw"].tolist()) == (forward.tolist(), backward.tolist())
