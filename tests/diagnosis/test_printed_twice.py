"""A print-out that shows an array twice with other numbers: never clean by the one that happens to fit."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect.api.inspect import inspect
from rnninspect.core.trace import Array
from rnninspect.report.report import Report

LENGTHS = np.array([6, 3, 4, 2])


def _arrays() -> tuple[Array, Array]:
    """Outputs `[4, 6, 5]`, zero behind LENGTHS, and the right state `[4, 5]`."""
    outputs = np.round(np.random.default_rng(3).uniform(-1, 1, (4, 6, 5)), 4)
    outputs[np.arange(6) >= LENGTHS[:, None]] = 0
    return outputs, outputs[np.arange(4), LENGTHS - 1]


def _printed(*named: tuple[str, Array]) -> Report:
    return inspect(text="\n".join(f"{name} = {array.tolist()}" for name, array in named), direction="forward")


@pytest.mark.parametrize("first", ["right", "wrong"])
def test_two_states_of_one_name(first: str) -> None:
    """The right one before the wrong one is unjudged, the wrong one first is accused; the other is listed as unread."""
    outputs, right = _arrays()
    states = (right, outputs[:, -1]) if first == "right" else (outputs[:, -1], right)
    report = _printed(("outputs", outputs), *(("h", state) for state in states), ("lengths", LENGTHS))
    assert report.verdict == ("unjudged" if first == "right" else "findings")
    assert [entry for entry in report.source["unused"] if entry.startswith("h_2") and "final state" in entry]
    assert any("h is printed more than once" in note for note in report.notes)


@pytest.mark.parametrize("name", ["outputs", "lengths"])
def test_two_of_another_role(name: str) -> None:
    """Outputs and lengths that are printed twice are told the same way, and not as something else by their shape."""
    outputs, right = _arrays()
    again = {"outputs": outputs + 0.01, "lengths": np.full(4, 6)}[name]
    named = [("outputs", outputs), ("h", right), ("lengths", LENGTHS), (name, again)]
    report = _printed(*named)
    assert report.verdict == "unjudged"
    assert any(entry.startswith(f"{name}_2") and name in entry[9:] for entry in report.source["unused"])


def test_the_same_again_is_clean() -> None:
    """One array that is printed twice with the same numbers, or a namesake of another shape, takes nothing away."""
    outputs, right = _arrays()
    named = [("outputs", outputs), ("h", right), ("lengths", LENGTHS)]
    assert _printed(*named, ("h", right)).verdict == "clean"
    assert _printed(*named, ("h", right[:, :2])).verdict == "clean"


@pytest.mark.parametrize("second", ["right", "wrong"])
def test_a_further_batch_of_another_size(second: str) -> None:
    """A log prints outputs, state and lengths of each step: the first batch is right, and of the second, which has
    other rows and steps, nothing is known. A further state that fits no outputs of its own takes nothing away."""
    outputs, right = _arrays()
    lengths = np.array([1, 8, 3])
    later = np.random.default_rng(4).uniform(-1, 1, (3, 8, 5))
    later[np.arange(8) >= lengths[:, None]] = 0
    state = later[np.arange(3), lengths - 1] if second == "right" else later[:, -1]
    first = [("outputs", outputs), ("h", right), ("lengths", LENGTHS)]
    report = _printed(*first, ("outputs", later), ("h", state), ("lengths", lengths))
    assert report.verdict == "unjudged"
    assert "another batch" in report.untested
    assert _printed(*first, ("h", state)).verdict == "clean"
    assert _printed(*first, ("outputs", later)).verdict == "clean"
