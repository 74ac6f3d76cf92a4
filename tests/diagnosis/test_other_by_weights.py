"""Two dumps that differ by a bias: named where weights are given, whichever of the two they are of; else asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.weights import Weights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from rnninspect.engine import cells
from tests.support.made import correct_case


def with_bias(weights: Weights, gate: str, more: float) -> Weights:
    """The weights with more in one gate's bias of every layer and direction."""
    at = cells.get(weights.spec.cell).gates.index(gate)
    more_there = np.array([more if k == at else 0.0 for k in range(4)], dtype=np.float32)[:, None]
    return replace(weights, layers=tuple(replace(w, bias=w.bias + more_there) for w in weights.layers))


def against(gate: str, more: float, *, of_first: bool, layers: int = 1, directions: int = 1) -> Case:
    """A run beside one with another bias, and the weights of the first or of the second."""
    case = correct_case("lstm", layers, directions)
    assert case.weights is not None
    assert case.batch is not None
    other = case.with_weights(with_bias(case.weights, gate, more)).run(case.batch)
    pair = replace(case, other=other, other_batch=case.batch)
    return pair if of_first else replace(case.with_trace(other), other=case.trace, other_batch=case.batch)


def errors(case: Case) -> list[str]:
    return [f.rule for f in judge(case, rules()).findings if f.severity != "note"]


@pytest.mark.parametrize("of_first", [True, False])
@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("more", [1.0, -1.0])
def test_another_forget_bias(more: float, layers: int, directions: int, of_first: bool) -> None:
    """The one cause is named, of the first dump where the weights are the second's, and the other way round."""
    case = against("f", more, of_first=of_first, layers=layers, directions=directions)
    assert errors(case) == ["forget-bias"]
    message = judge(case, rules()).findings[0].message
    assert ("these weights give the first dump and not the second" in message) == of_first


@pytest.mark.parametrize("of_first", [True, False])
@pytest.mark.parametrize("gate", ["i", "g", "o"])
def test_another_bias(gate: str, of_first: bool) -> None:
    """A constant in another gate's bias is named as a bias, of whichever dump."""
    assert errors(against(gate, 0.5, of_first=of_first)) == ["bias-dropped"]


def test_without_weights_it_cannot_be_told() -> None:
    """Two dumps alone tell that they differ and from which step on; one line says what would tell by what."""
    findings = judge(against("f", 1.0, of_first=True).with_weights(None), rules()).findings
    assert [f.rule for f in findings] == ["unexplained-difference"]
    assert findings[0].message.endswith("two dumps do not show the cause: give weights of either run")


def test_two_right_dumps_are_not_accused() -> None:
    """The twin: the same run twice, beside its weights."""
    case = correct_case("lstm")
    assert errors(replace(case, other=case.trace, other_batch=case.batch)) == []


def test_noise_stays_unexplained() -> None:
    """A second dump that no known change of the weights gives is unexplained, whatever weights are given."""
    case = correct_case("lstm")
    noise = np.random.default_rng(0)

    def off(array: np.ndarray) -> np.ndarray:
        return np.asarray(array + noise.normal(size=array.shape).astype(np.float32) * 0.1)

    tracks = tuple(replace(t, outputs=off(t.outputs)) for t in case.trace.tracks if t.outputs is not None)
    other = replace(case.trace, tracks=tracks)
    assert "unexplained-difference" in errors(replace(case, other=other, other_batch=case.batch))
