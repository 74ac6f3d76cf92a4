"""A loop that carries one of h and c on and begins every step with the other as the row began with it, or passes one in
place of the other, is told so, and not as a bias that went missing: the two may give the same numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.trace import Array
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support import oracles
from tests.support.made import correct_case

LENGTHS = np.array([6, 1, 4, 6])


def looped(lost: str, direction: str = "forward", start: float = 0.0) -> Case:
    """A batch stepped through by the plain numpy step; `lost`: the state that every step begins with as the row did, or
    how h and c are passed on."""
    case = correct_case("lstm", lengths=LENGTHS, steps=6, units=5)
    assert case.weights is not None
    assert case.batch is not None
    layer = case.weights.layers[0]
    begun = np.full((LENGTHS.size, 5), start)
    h, c, made = begun, begun, np.zeros((LENGTHS.size, 6, 5))
    for t in range(6) if direction == "forward" else reversed(range(6)):
        real = (t < LENGTHS)[:, None]
        ways = {"h": (begun, c), "c": (h, begun), "exchanged": (c, h), "h twice": (h, h), "c twice": (c, c)}
        before = ways.get(lost, (h, c))
        rows = zip(case.batch.inputs[:, t].astype(np.float64), *before, strict=True)
        stepped = [oracles.step(case.weights.spec, layer, *row) for row in rows]
        after = [np.stack(states) for states in zip(*stepped, strict=True)]
        made[:, t] = np.where(real, after[0], 0)
        h, c = (np.where(real, new, old) for new, old in zip(after, (h, c), strict=True))

    def cast(array: Array) -> Array:
        return array.astype(np.float32)

    track = replace(
        case.trace.tracks[0],
        direction=direction,  # type: ignore[arg-type]
        outputs=cast(made),
        final=cast(h),
        cell=cast(c),
        initial=cast(begun) if start else None,
        initial_cell=cast(begun) if start else None,
    )
    weights = replace(case.weights, layers=(replace(layer, direction=direction),))  # type: ignore[arg-type]
    looped = case.with_trace(replace(case.trace, tracks=(track,)))
    return looped.with_weights(weights, replace(case.config, direction=direction))  # type: ignore[arg-type]


@pytest.mark.parametrize(("direction", "start"), [("forward", 0.3), ("backward", 0.0)])
@pytest.mark.parametrize("lost", ["h", "c", "exchanged", "h twice", "c twice", ""])
def test_the_state_that_is_never_carried_on_is_named(lost: str, direction: str, start: float) -> None:
    """c or h lost, or one passed for the other, is one error that says which; a loop that carries both has no error."""
    errors = [f for f in judge(looped(lost, direction, start), rules()).findings if f.severity != "note"]
    passed = {"h": "no h", "c": "no c"}.get(lost, lost)
    assert [(f.rule, f.evidence["passed"], f.rows) for f in errors] == (
        [("restarted-within-row", passed, [0, 2, 3])] if lost else []
    )
    assert all("(h, c))" in f.fix for f in errors)


def test_a_bias_that_went_missing_stays_one() -> None:
    """The twin whose constant on the biases is no imitation: one of the biases was left out of the weights."""
    case = rules()["bias-dropped"].inject(looped(""))
    assert [f.rule for f in judge(case, rules()).findings if f.severity != "note"] == ["bias-dropped"]
