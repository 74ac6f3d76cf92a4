"""Where outputs stop by themselves: at once, as a masked layer's do, and not where a layer creeps to a fixed point."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.trace import Trace, Track, prefix_mask
from rnninspect.measure.facts import TrackFacts, measure
from rnninspect.measure.run_ends import contradicts_lengths, run_ends, shows_lengths

RAN = np.array([4, 1, 7, 3, 6])
STEPS = 7
REAL = prefix_mask(RAN, STEPS)[..., None]
MOVING = np.random.default_rng(1).uniform(0.1, 0.9, (5, STEPS, 3))
ZEROED = np.where(REAL, MOVING, 0)
REPEATED = np.take_along_axis(MOVING, np.minimum(np.arange(STEPS), RAN[:, None] - 1)[..., None], 1)


def facts_of(outputs: np.ndarray, lengths: np.ndarray, **track: str) -> TrackFacts:
    made = replace(Track(0, "forward", outputs, outputs[:, -1]), **track)  # type: ignore[arg-type]
    facts = measure(Trace(prefix_mask(lengths, STEPS), (made,), lengths), made, 0.0, 0.0)
    assert facts is not None
    return facts


@pytest.mark.parametrize("outputs", [ZEROED, REPEATED], ids=["zero", "repeat"])
def test_the_end_of_a_run_is_seen(outputs: np.ndarray) -> None:
    """Whatever was stated: the row that fills the time axis shows nothing, the others their own lengths."""
    facts = facts_of(outputs, np.roll(RAN, 1))
    assert run_ends(facts).tolist() == [4, 1, -1, 3, 6]
    assert contradicts_lengths(facts).tolist() == [True, True, False, True, True]
    assert not shows_lengths(facts)
    assert shows_lengths(facts_of(outputs, RAN))


def test_a_layer_that_reads_on_shows_no_end() -> None:
    """Computed outputs, and those that halve their distance until they stand still: no end, and no contradiction."""
    slow = 0.5 + 0.4 * 2.0 ** -np.array([0, 9, 18, 27, 70, 80, 90.0])[None, :, None] * np.ones((5, 1, 3))
    for outputs in (MOVING, slow):
        facts = facts_of(outputs, np.minimum(RAN, 2))
        assert (run_ends(facts) == -1).all()
        assert not contradicts_lengths(facts).any()
        assert not shows_lengths(facts)


def test_outputs_in_reversed_time_show_no_end() -> None:
    """Their padding lies in front."""
    facts = facts_of(ZEROED, RAN, direction="backward", order="reversed")
    assert (run_ends(facts) == -1).all()


def test_rows_of_zeros_show_no_end() -> None:
    """A row whose outputs are zero everywhere may have ended anywhere."""
    assert run_ends(facts_of(np.zeros_like(MOVING), RAN)).tolist() == [-1] * 5


def test_a_padding_value_is_no_step() -> None:
    """One number in every unit, alike in all rows: the run ended before it; a repeated step ends it later."""
    filled = np.where(REAL, MOVING, -1.0)
    assert run_ends(facts_of(filled, RAN)).tolist() == [4, 1, -1, 3, -1]  # of one padded step nothing repeats
    assert shows_lengths(facts_of(filled, RAN))
    one_number = REPEATED.copy()
    one_number[:] = REPEATED[:, :, :1]  # a layer whose units are all alike
    assert run_ends(facts_of(one_number, RAN)).tolist() == [4, 1, -1, 3, 6]
