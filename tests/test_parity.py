"""The engine gives what the frameworks gave: every recorded run, through the conventions, as `run --save` does it."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect.core.trace import Array
from rnninspect.diagnosis import build_case
from tests.support.recordings import GOLDEN, RECORDED, Recording, each

GIVEN = ("inputs", "lengths", "mask", "initial", "h_0", "c_0")
LIMIT = {"float64": 1e-12, "float32": 1e-5}


def real_steps(case: Recording, outputs: Array, mask: Array) -> Array:
    """The outputs with their padded steps, where the framework computes something there, set to zero."""
    time = 0 if case["time_major"] or case["layout"] == "onnx" else 1
    real = mask.T if time == 0 else mask
    shape = [1] * outputs.ndim
    shape[time], shape[2 if case["layout"] == "onnx" else 1 - time] = outputs.shape[time], mask.shape[0]
    return np.where(real.reshape(shape), outputs, 0)


@each([case for case in GOLDEN + RECORDED if case.correct and case.weighed])
def test_a_run_gives_what_the_framework_gave(case: Recording) -> None:
    """Outputs and every state, padded steps and empty rows included, under the framework's own names and axes."""
    recorded = case.dump()
    fed = {name: array for name, array in recorded.items() if name.startswith(GIVEN)}
    weights = build_case.read_weights(case.weights(), case.config, case["weights_layout"])
    made = build_case.run_case(fed, case.config, case["layout"], weights=weights)
    got = build_case.dump(made)
    padding = made.trace.padding
    compared = 0
    for name, right in recorded.items():
        if name in fed:
            continue
        assert name in got
        ours, theirs = (np.asarray(a, dtype=np.float64) for a in (got[name], right))
        assert ours.squeeze().shape == theirs.squeeze().shape
        ours = ours.reshape(theirs.shape)
        if padding == "computed" and ("output" in name or name.endswith("Y")):
            ours, theirs = (real_steps(case, a, made.trace.mask) for a in (ours, theirs))
        assert np.abs(ours - theirs).max() <= LIMIT[case["dtype"]]
        assert got[name].dtype == right.dtype
        compared += 1
    assert compared >= 2


def test_every_framework_is_run() -> None:
    """No framework drops out of the parity in silence."""
    run = {case["layout"] for case in GOLDEN + RECORDED if case.correct and case.weighed}
    assert run == {"tf1", "keras", "torch", "flax", "onnx", "paddle", "mxnet", "haiku"}


@pytest.mark.parametrize("name", ["tf1-lstm", "keras-gru-mask-only", "torch-lstm-float64"])
def test_the_comparison_can_fail(name: str) -> None:
    """A weight that is off by a little is seen."""
    case = next(c for c in GOLDEN if c.name == name)
    arrays = case.weights()
    first = next(iter(arrays))
    fed = {key: array for key, array in case.dump().items() if key.startswith(GIVEN)}
    differences = []
    for mismatched in (0.0, 0.01):
        weights = build_case.read_weights(
            {**arrays, first: arrays[first] + mismatched}, case.config, case["weights_layout"]
        )
        trace = build_case.run_case(fed, case.config, case["layout"], weights=weights).trace
        differences.append(trace.tracks[0].final)
    assert np.abs(differences[0] - differences[1]).max() > 1e-4
