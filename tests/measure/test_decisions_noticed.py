"""What counts as a state that equals a step, asked where a small mistake in the code would count another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import rnninspect
from rnninspect.core.precision import Precision
from rnninspect.core.trace import Track
from rnninspect.measure.choose_roles import share_of_steps
from rnninspect.measure.decimals import rounded
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


@pytest.mark.parametrize("digits", [2, 4, 6])
def test_numbers_are_rounded_to_as_many_digits_as_python_prints(digits: int) -> None:
    """Of a print-out in powers of ten, each number keeps its own scale: `1.23e-02` and `-1.23e+02`."""
    numbers = [0.0123456, -123.456, 5.5554e-5, 0.99996, 0.0, 1e5]
    printed = [float(f"{number:.{digits}e}") for number in numbers]
    assert np.allclose(rounded(np.array(numbers), Precision(digits=digits)), printed, rtol=1e-12, atol=0)


def test_full_rows_of_a_backward_track_have_no_padding_that_could_speak_against_an_order() -> None:
    """A right state of a backward cell alone, whose outputs lie in the order in which they were read, is not accused
    where no row is padded; the state of another row is."""
    outputs = np.random.default_rng(8).uniform(-1, 1, (4, 6, 3))
    arrays = {"outputs_bw": outputs[:, ::-1], "lengths": np.full(4, 6)}
    right = rnninspect.inspect(arrays | {"state_bw": outputs[:, 0]})
    assert ([finding.rule for finding in right.findings], right.verdict) == ([], "unjudged")
    assert rnninspect.inspect(arrays | {"state_bw": outputs[[1, 2, 3, 0], 0]}).verdict == "findings"
