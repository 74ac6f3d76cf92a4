"""What the first differing steps of two runs point to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnninspect.core.trace import Ints
from rnninspect.measure.difference import StateDifference, TrackDifference, is_drift


def explain(differences: list[TrackDifference], states: Sequence[StateDifference] = ()) -> str:
    """What the first differing steps point to: the table that people debug recurrent ports by.

    `states`: the final states that differ. They are a fault of their own only where all real outputs agree.
    """
    differing = [d for d in differences if d.largest > 0]
    if not differing and states:
        return "the outputs agree and the final states do not: each was taken at another step, or from another row"
    if not differing:
        padded = any(d.largest_padded > 0 for d in differences)
        return "only padded steps differ: another convention for the padding" if padded else "no difference"
    if all(is_drift(d) for d in differing):
        return "rounding that grows with the steps: another precision, device or order of summation"
    short = [_only_short_rows(d) for d in differing]
    if all(d.track.direction == "backward" for d in differing) and all(short):
        return "only the backward half of short rows differs: the reversal read the padding"
    steps = {int(s) for d in differing for s in _read_index(d)}
    if steps == {0}:
        causes = "other weights, layout, gate order or biases, or another initial state"
        return f"every differing row differs from its first step on ({causes})"
    if min(steps) == 1:
        return "step 0 agrees and step 1 does not: the forget bias or the recurrent kernel"
    if min(steps) == 0:
        return "some rows differ from their first step on and others later: the inputs themselves, lengths or masks"
    return f"rows first differ after {min(steps)} or more steps: lengths, masks, or the inputs themselves"


def _read_index(difference: TrackDifference) -> Ints:
    """How many real steps had been read before the first difference, for each differing row."""
    backward = difference.track.direction == "backward" and difference.track.order == "time"
    counts = []
    for row in np.flatnonzero(difference.first >= 0):
        real = np.flatnonzero(difference.real[row])
        at = int(np.searchsorted(real, difference.first[row]))
        counts.append(real.size - 1 - at if backward else at)
    return np.asarray(counts, dtype=np.int64)


def _only_short_rows(difference: TrackDifference) -> bool:
    """Whether full rows agree and some shorter ones do not."""
    full = difference.real.all(1)
    return bool(full.any() and (difference.first[full] < 0).all() and (difference.first[~full] >= 0).any())
