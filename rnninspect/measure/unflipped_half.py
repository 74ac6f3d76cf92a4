"""Two directions joined by hand, the backward half never flipped back, taken for one direction of twice the units.

Keras: a masked forward layer beside one of `go_backwards`, concatenated. Every state is then the last column, as of a
layer that went on over its padding; but the second half of the units is zero in as many first steps as are masked, and
the first half repeats its last output, or is zero, where the padding is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Reading
from rnninspect.core.tiles import release
from rnninspect.core.trace import Array
from rnninspect.measure.choose_reading import Choice, Measurer, Tolerance
from rnninspect.measure.facts import TrackFacts

MOST_ROWS = 64  # rows that are looked at
ENOUGH = 4  # zeros that show two directions where as one every state is right: a few units are shut by themselves
BECAUSE = (
    "two directions: the second half of the units is zero in as many first steps as are masked, and the first half "
    "repeats, or is zero, in the masked ones"
)


def with_unflipped_half(choice: Choice, readings: list[Reading], tolerance: Tolerance, measurer: Measurer) -> Choice:
    """The reading of two directions, where the padding of each half of the units shows that the second one stands in
    the order in which a backward layer reads; else the choice itself."""
    trace = choice.reading.trace
    facts = choice.measured[0] if choice.measured and len(choice.measured) == 1 else None
    if facts is None or trace.directions > 1 or not facts.lengths_known or not _is_unflipped(facts):
        return choice
    for reading in readings:
        alike = reading.time_major == choice.reading.time_major and reading.trace.layers == trace.layers
        if alike and reading.trace.directions == 2 and all(t.final is not None for t in reading.trace.tracks):
            evidence = replace(reading.evidence, because=(*reading.evidence.because, BECAUSE))
            measured = measurer(reading.trace, tolerance)
            return replace(choice, reading=replace(reading, evidence=evidence), measured=measured, rivals=())
    return choice


def _is_unflipped(facts: TrackFacts) -> bool:
    """Whether every row with padding behind its real steps, one at least, is padded so in each half of its units."""
    units = facts.outputs.shape[2]
    counts = facts.real_counts
    rows = np.flatnonzero(facts.short)[:MOST_ROWS]
    if units % 2 or facts.track.direction != "forward" or not rows.size or (facts.ends != counts)[rows].any():
        return False
    for row in rows:
        unflipped = _is_row_unflipped(facts.outputs[row], int(counts[row]))
        release(facts.outputs[row])
        if not unflipped:
            return False
    return bool(facts.mismatched.any()) or not _may_be_shut(facts)  # else it is right as one direction, too


def _may_be_shut(facts: TrackFacts) -> bool:
    """Whether the zeros before the second half may be of units that are shut: of relu, whose outputs are never
    negative, or too few."""
    padded = (facts.steps - facts.real_counts)[facts.short].sum() * (facts.outputs.shape[2] // 2)
    return bool(padded < ENOUGH) or not bool((facts.outputs < 0).any())


def _is_row_unflipped(outputs: Array, real: int) -> bool:
    """The same of one row `[T, 2H]` with so many real steps; of most rows the first step tells that it is not."""
    forward, backward = np.split(outputs, 2, axis=-1)
    masked = len(outputs) - real
    if backward[0].any() or backward[:masked].any() or not backward[masked:].any(-1).all():
        return False
    padding = forward[real:]
    return bool((padding == forward[real - 1]).all() or not padding.any())
