"""Two layers that arrays only number: they may be the (forward, backward) of one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.conventions.dumps.numbered_pairs import are_numbered_pairs
from rnninspect.core.evidence import Slot
from rnninspect.measure.choose_reading import Choice
from rnninspect.measure.matching import gather

MOST_ROWS = 64  # rows that are looked at
GROWN = 0.8  # how small outputs begin beside how they end, at most, where they are plainly read forward


def maybe_a_pair(choice: Choice, slots: tuple[Slot, ...]) -> Choice:
    """The choice, said to be undecided where its two layers were only numbered, may be a pair (forward, backward), and
    the outputs of the second begin no smaller than they end: a layer that reads backwards ends where it began."""
    trace = choice.reading.trace
    upper = next((facts for facts in choice.measured or () if facts.track.layer == 1), None)
    if upper is None or (trace.layers, trace.directions) != (2, 1) or not are_numbered_pairs(slots):
        return choice
    rows = np.flatnonzero(upper.real_counts > 1)[:MOST_ROWS]
    if not rows.size:
        return choice
    steps = upper.mask[rows].argmax(1), np.maximum(upper.expected[rows], 0)
    first, last = (float(np.abs(gather(upper.outputs, rows, at).astype(np.float64)).sum()) for at in steps)
    if first < GROWN * last:
        return choice
    because = (
        "none was stated; the arrays numbered 0 and 1 fit two layers, and so they do the (forward, backward) of one, "
        "whose backward state would then be at the wrong end"
    )
    source = {**trace.source, "direction": because}
    return replace(choice, reading=replace(choice.reading, trace=replace(trace, source=source)))
