"""Nothing is measured against a fixed number: arrays times a power of two are judged alike."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import rnninspect
from rnninspect.core.trace import Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.examples import runs
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rule import CannotInject
from rnninspect.diagnosis.rules import rules

EXAMPLES = ("rows", "bidirectional")
FIELDS = ("outputs", "final", "cell", "initial", "initial_cell")


@cache
def injected(name: str, example: Any) -> Case | None:
    """The example with this rule's mistake, its weights left away: they do not scale."""
    try:
        return rules()[name].inject(runs.case(example)).with_weights(None)
    except CannotInject:
        return None


def scaled(case: Case, factor: float) -> Case:
    """All arrays of the case times `factor`."""

    def times(array: Any) -> Any:
        return None if array is None else (array * factor).astype(array.dtype)

    def track(each: Track) -> Track:
        return replace(each, **{name: times(getattr(each, name)) for name in FIELDS})

    changed = case.with_tracks(track)
    batch = None if case.batch is None else replace(case.batch, inputs=times(case.batch.inputs))
    other = None if case.other is None else replace(case.other, tracks=tuple(map(track, case.other.tracks)))
    return replace(changed, batch=batch, other=other)


def judged(case: Case) -> list[tuple[str, str, list[int], list[str]]]:
    return [(f.rule, f.severity, f.rows, f.alternatives) for f in judge(case, rules()).findings]


@given(power=st.integers(-30, 30), example=st.sampled_from(EXAMPLES))
@settings(max_examples=6, deadline=None)
@pytest.mark.parametrize("name", list(rules()))
def test_a_power_of_two_changes_nothing(name: str, example: str, power: int) -> None:
    """Each mistake is found, and no other, at any size of the numbers."""
    case = injected(name, example)
    if case is not None:
        assert judged(scaled(case, 2.0**power)) == judged(case)


@pytest.mark.parametrize("size", [1.0, 1e-4, 1e-9])
def test_a_small_cell_state_that_is_h_is_found(size: float) -> None:
    """c equals h below 3e-4 too, where tanh leaves float32 as it is."""
    rng = np.random.default_rng(0)
    outputs = (size * rng.uniform(-0.9, 0.9, (3, 5, 4))).astype(np.float32)
    report = rnninspect.inspect(outputs, outputs[:, -1], cell_state=outputs[:, -1], lengths="full")
    assert [f.rule for f in report.findings] == ["cell-overwritten-by-hidden"]


@pytest.mark.parametrize("size", [1.0, 1e-5])
def test_a_lower_layers_state_is_told_at_any_size(size: float) -> None:
    """By weights, the bottom layer's state is known as such, and one that is off by as much as small outputs are is not
    taken for it."""
    torch.manual_seed(0)
    layer = torch.nn.RNN(3, 4, num_layers=2, batch_first=True)
    inputs = torch.randn(3, 5, 3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter *= size
        outputs, states = layer(inputs)

    def named(state: torch.Tensor) -> set[str]:
        options: dict[str, Any] = {"inputs": inputs, "weights": layer, "lengths": "full", "layers": 2}
        return {f.rule for f in rnninspect.inspect(outputs, state, **options).findings}

    assert "wrong-layer" in named(states[0] * (1 + 1e-6))
    assert "wrong-layer" not in named(states[0] * 1.3)
