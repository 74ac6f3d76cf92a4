"""What counts as a state that equals a step, asked where a small mistake in the code would count another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Track
from rnninspect.measure.choose_roles import share_of_steps
from rnninspect.measure.facts import measure
from tests.support.made import correct_case


def test_a_step_is_equal_in_all_its_units() -> None:
    """A state that shares one number with every step equals none of them; a row's own state equals one."""
    reading = correct_case().reading
    assert share_of_steps(reading) == 1.0
    (track,) = reading.trace.tracks
    outputs, final = np.array(track.outputs), np.array(track.final)
    outputs[..., 0] = final[..., 0] = 0.5
    final[:, 1] += 10
    unlike = replace(track, outputs=outputs, final=final)
    assert share_of_steps(replace(reading, trace=replace(reading.trace, tracks=(unlike,)))) == 0.0


def test_a_track_that_lacks_outputs_or_state_is_not_asked() -> None:
    """A layer below the top one has a state alone, another may have outputs alone: neither counts."""
    reading = correct_case().reading
    (track,) = reading.trace.tracks

    def share(*tracks: Track) -> float:
        return share_of_steps(replace(reading, trace=replace(reading.trace, tracks=tracks)))

    assert share(replace(track, outputs=None)) == 0.0
    assert share(replace(track, final=None)) == 0.0
    assert share(replace(track, outputs=None), track, replace(track, final=None)) == 1.0


def test_where_a_row_equals_its_expected_step_no_near_one_is_looked_for() -> None:
    """Under a tolerance a state may be near a neighbour of its step, and that is no matter where it equals its own."""
    case = correct_case(lengths=np.array([1, 4, 7, 3, 6]))
    (track,) = case.trace.tracks
    outputs, final = np.array(track.outputs), np.array(track.final)
    outputs[0, 1], outputs[1, 4] = outputs[0, 0], outputs[1, 3]  # within any tolerance of the expected steps 0 and 3
    final[2] += 1e-7
    facts = measure(case.trace, replace(track, outputs=outputs, final=final), rtol=1e-3, atol=1e-3)
    assert facts is not None
    assert facts.near.any(1).tolist() == [False, False, True, False, False]
