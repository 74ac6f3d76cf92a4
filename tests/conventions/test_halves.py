"""Two states without names beside outputs of two directions: read as a pair by their numbers, right ones and wrong."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect import conventions
from rnninspect.api.fix import fix
from rnninspect.api.inspect import inspect
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError, UserError

LENGTHS = np.array([7, 3, 5, 6, 2])
ROWS = np.arange(5)


def _outputs() -> Array:
    """`[5, 7, 8]`: two directions of 4 units, zero behind LENGTHS."""
    outputs = np.random.default_rng(6).uniform(-1, 1, (5, 7, 8))
    outputs[np.arange(7) >= LENGTHS[:, None]] = 0
    return outputs


def _unnamed(outputs: Array, forward: Array, backward: Array) -> dict[str, Array]:
    inputs = np.random.default_rng(7).normal(size=(5, 7, 6))
    return {"a": outputs, "b": forward, "d": backward, "e": inputs, "f": LENGTHS}


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("convention", ["auto", "keras"])
def test_a_right_pair_is_clean(convention: str, empty: bool) -> None:
    """Both states are read, each as its direction's, and said to be; a row without steps takes nothing away."""
    outputs = _outputs()
    forward, backward = outputs[ROWS, LENGTHS - 1, :4], outputs[:, 0, 4:]
    arrays = _unnamed(outputs, forward, backward)
    if empty:
        arrays = {name: array.copy() for name, array in arrays.items()}
        for name in ("a", "b", "d", "f"):
            arrays[name][0] = 0
    report = inspect(arrays, convention=convention)
    assert {f.rule for f in report.findings} <= {"zero-length-row"}
    assert report.verdict == ("unjudged" if empty else "clean")  # the lengths of an empty row are no plain ones
    assert report.shape["directions"] == 2
    assert any("d [5, 4] is taken as the backward final state" in note for note in report.notes)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ("forward at the last column", "last-column-as-final-state"),
        ("backward at the last step", "backward-final-at-last-step"),
        ("forward one step short", "off-by-one-length"),
    ],
)
def test_a_wrong_pair_is_accused(wrong: str, rule: str) -> None:
    """One half at the wrong step is found at that half."""
    outputs = _outputs()
    forward, backward = outputs[ROWS, LENGTHS - 1, :4], outputs[:, 0, 4:]
    if wrong.startswith("backward"):
        backward = outputs[ROWS, LENGTHS - 1, 4:]
    else:
        forward = outputs[:, -1, :4] if "column" in wrong else outputs[ROWS, LENGTHS - 2, :4]
    report = inspect(_unnamed(outputs, forward, backward))
    assert [f.rule for f in report.findings if f.severity != "note"] == [rule]


NAMES = [("h_f", "h_b"), ("fh", "bh"), ("fwd", "bwd"), ("last_forward", "last_backward")]


@pytest.mark.parametrize("names", NAMES, ids=str)
@pytest.mark.parametrize("convention", ["auto", "keras"])
def test_names_that_differ_by_a_direction_hold(convention: str, names: tuple[str, str]) -> None:
    """States under names of their own directions are clean; under each other's they are named as exchanged, and fix
    puts them back. Names that tell no direction leave the numbers to pair them."""
    outputs = _outputs()
    forward, backward = outputs[ROWS, LENGTHS - 1, :4], outputs[:, 0, 4:]
    fw, bw = names
    right = {"outputs": outputs, fw: forward, bw: backward, "lengths": LENGTHS}
    wrong = {"outputs": outputs, fw: backward, bw: forward, "lengths": LENGTHS}
    assert inspect(right, convention=convention).verdict == "clean"
    assert [f.rule for f in inspect(wrong, convention=convention).findings] == ["directions-exchanged"]
    mended = fix(wrong, convention=convention)
    assert np.array_equal(mended.arrays[fw], forward)
    assert np.array_equal(mended.arrays[bw], backward)
    assert inspect(_unnamed(outputs, backward, forward), convention=convention).verdict == "clean"


def test_a_state_of_one_half_alone_misses_a_direction() -> None:
    """One state beside two halves is no pair: the missing direction is accused as before."""
    arrays = _unnamed(_outputs(), _outputs()[:, 0, 4:], _outputs()[:, 0, 4:])
    del arrays["b"], arrays["e"]
    report = inspect(arrays)
    assert "direction-missing" in [f.rule for f in report.findings]


def test_many_unnamed_states_are_no_state_of_one() -> None:
    """Two unnamed outputs, each the track of one of a dozen unnamed states: none is picked for being first."""
    rng = np.random.default_rng(9)
    forward, backward = rng.uniform(-1, 1, (2, 4, 6, 4))
    states = [*rng.uniform(-1, 1, (14, 4, 4)), forward[:, -1], backward[:, 0]]
    arrays = {f"arr_{k}": array for k, array in enumerate([forward, backward, *states])}
    with pytest.raises(ShapeError, match="several arrays could be the outputs and the final state"):
        inspect(arrays, convention="tf1", cell="lstm", layers=4, direction="bidirectional")


def test_halves_that_reset_differently_are_refused_by_name() -> None:
    """A bias of [2, 3H] is of a GRU that resets after the product, one of [3H] before: each half can be picked."""
    arrays = {
        f"bidirectional/{half}_layer/cell/vars/{i}": np.ones(shape)
        for half, bias in (("forward", (2, 6)), ("backward", (6,)))
        for i, shape in enumerate([(3, 6), (2, 6), bias])
    }
    keras = conventions.get("keras")
    with pytest.raises(UserError, match=r"differ in reset_after: .*forward.* \[2, 6\] is of one that resets after"):
        keras.read_weights(arrays, LayerConfig())
    for half, after in (("forward", True), ("backward", False)):
        one = {name: array for name, array in arrays.items() if half in name}
        assert keras.read_weights(one, LayerConfig()).spec.reset_after is after
