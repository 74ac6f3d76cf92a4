"""Zeroed steps before others prove a mask where nobody stated one, of layers that have masks, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.diagnosis import build_case
from rnninspect.report.report import Report
from tests.support.made import random_weights

MASK = np.array([[0, 1, 1, 0, 1, 0], [1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]], dtype=bool)


@pytest.fixture
def arrays() -> dict[str, Array]:
    """What two directions of Keras return under MASK."""
    inputs = np.random.default_rng(3).normal(size=(4, 6, 3)).astype(np.float32)
    config = LayerConfig(cell="gru", layers=1, direction="bidirectional")
    weights = random_weights("gru", 3, 4, 1, 2, reset_after=True)
    dumped = build_case.dump(build_case.run_case({"inputs": inputs, "mask": MASK}, config, "keras", weights=weights))
    return {name: array for name, array in dumped.items() if name not in ("mask", "inputs")}


def judged(arrays: dict[str, Array], convention: str = "keras") -> tuple[Report, list[str]]:
    report = rnninspect.inspect(arrays, convention=convention, cell="gru", bidirectional=True)
    return report, [f.rule for f in report.findings if f.severity != "note"]


def test_the_mask_that_zeros_prove_is_taken(arrays: dict[str, Array]) -> None:
    """Where each direction ends in the last step that is not zero, these are the steps that it read."""
    report, accused = judged(arrays)
    assert accused == []
    assert "some steps are zero, or" in str(report.notes)


def test_a_state_of_another_step_proves_no_mask(arrays: dict[str, Array]) -> None:
    """A state that is a step too early is not where the real steps end: no mask is taken, and it is not clean."""
    name = next(name for name in arrays if "forward" in name)
    outputs = next(a for a in arrays.values() if a.ndim == 3)
    arrays[name] = arrays[name].copy()
    arrays[name][1] = outputs[1, 2, :4]
    report, _ = judged(arrays)
    assert "some steps are zero, or" not in str(report.notes)
    assert report.verdict != "clean"


def test_a_layer_that_takes_lengths_has_no_mask(arrays: dict[str, Array]) -> None:
    """In torch zeros before real steps are no mask's: the same numbers are accused."""
    forward, backward = (next(a for n, a in arrays.items() if d in n) for d in ("forward", "backward"))
    outputs = next(a for a in arrays.values() if a.ndim == 3)
    report = rnninspect.inspect(
        {"output": outputs, "h_n": np.stack([forward, backward])}, convention="torch", batch_first=True, cell="gru"
    )
    assert report.verdict == "findings"


def test_zeros_in_front_prove_the_axes_of_as_many_rows_as_steps() -> None:
    """Of rows padded in front that are stored [T, B] in a square, without a word on axes, the zeros tell which axis is
    time where every state is right; where one is not, nothing is taken for clean."""
    mask = np.arange(5) >= np.array([4, 2, 0, 1, 3])[:, None]
    inputs = np.random.default_rng(1).normal(size=(5, 5, 3)).astype(np.float32)
    config = LayerConfig(cell="gru", layers=1, direction="bidirectional")
    weights = random_weights("gru", 3, 4, 1, 2, reset_after=True)
    case = build_case.run_case({"inputs": inputs, "mask": mask}, config, "keras", weights=weights)
    forward, backward = case.trace.tracks
    outputs = np.concatenate([np.asarray(track.outputs) for track in (forward, backward)], -1).swapaxes(0, 1)
    states = {"state_fw": forward.final, "state_bw": backward.final}
    right = rnninspect.inspect({"out": outputs, **states})
    assert (right.verdict, [f.rule for f in right.findings if f.severity != "note"]) == ("clean", [])
    first = {"state_fw": outputs[0, :, :4], "state_bw": outputs[-1, :, 4:]}
    for wrong in (first, {name: np.roll(np.asarray(state), 1, 0) for name, state in states.items()}):
        assert rnninspect.inspect({"out": outputs, **wrong}).verdict == "findings"
