"""A residual connection over a run that never heard of its lengths: the inputs were added to its padded steps too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.trace import Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case


def summed(case: Case) -> Case:
    """The case with the inputs added to every output."""
    inputs = case.batch.inputs  # type: ignore[union-attr]

    def added(track: Track) -> Track:
        return replace(track, outputs=None if track.outputs is None else track.outputs + inputs)

    return case.with_tracks(added)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("with_weights", [True, False])
def test_lengths_that_were_ignored_are_named(cell: str, with_weights: bool) -> None:
    """The state of such a run is the last column less its input; of a right run it is that of the last real step."""
    right = correct_case(cell, convention="torch")
    ran_on = summed(rules()["lengths-ignored"].inject(right))
    case = ran_on if with_weights else ran_on.with_weights(None)
    findings = judge(case, rules()).findings
    assert [f.rule for f in findings if f.severity != "note"] == ["lengths-ignored"]
    assert "output-residual" in {f.rule for f in findings}
    assert not [f for f in judge(summed(right).with_weights(None), rules()).findings if f.severity != "note"]
    nowhere = ran_on.with_tracks(lambda t: replace(t, final=np.roll(t.final, 1, 1))).with_weights(None)  # type: ignore[arg-type]
    assert "lengths-ignored" not in {f.rule for f in judge(nowhere, rules()).findings}
