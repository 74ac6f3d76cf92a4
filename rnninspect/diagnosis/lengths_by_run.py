"""Search for unstated lengths by running the weights over every length: the one that gives each row's numbers.

Rows of a batch are independent, so that one run a length tries it on all rows at once.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Bools, Ints, Trace, prefix_mask
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.measure.difference import differences, state_differences

MOST_STEPS = 128  # more lengths than these are not tried one by one
MOST_NUMBERS = 1 << 22  # nor are batches whose outputs in all these runs are more
CELL = 32  # times what outputs may differ by: c adds up over the steps, and is larger


def lengths_by_run(case: Case) -> Ints | None:
    """`[B]`: the greatest length of each row over which a run of the weights gives the row's outputs at its real steps
    and all its final states; None where a row has none, or the batch is too large to try them.

    A row of no steps must agree in its padding too, for it has nothing else to show.
    """
    batch, trace = case.batch, case.trace
    assert batch is not None
    rows, steps = trace.mask.shape
    units = sum(t.outputs.shape[2] for t in trace.tracks if t.outputs is not None)
    if steps > MOST_STEPS or rows * steps * units * (steps + 1) > MOST_NUMBERS:
        return None
    lengths = np.full(rows, -1, dtype=np.int64)
    for length in range(steps, -1, -1):
        each = np.full(rows, length, dtype=np.int64)
        mask = prefix_mask(each, batch.mask.shape[1])
        ran = case.run(replace(batch, mask=mask, lengths=each, mask_given=False))
        supposed = replace(trace, mask=mask[:, :steps], lengths=each, mask_given=False)
        lengths[(lengths < 0) & _agree(supposed, ran, tolerance(case), padding=length == 0)] = length
        if (lengths >= 0).all():
            return lengths
    return None


def _agree(trace: Trace, ran: Trace, allowed: float, *, padding: bool) -> Bools:
    """`[B]`: whether the rows of a dump are those of a run, within `allowed`; `padding`: at padded steps too."""
    alike = np.ones(trace.batch_size, dtype=np.bool_)
    for difference in differences(trace, ran):
        compared = np.ones_like(difference.real) if padding else difference.real
        alike &= np.where(compared, difference.difference, 0.0).max(1, initial=0.0) <= allowed
        alike &= ~(compared & difference.nonfinite).any(1)
    for state in state_differences(trace, ran):
        room = allowed if state.state == "h" else CELL * allowed
        alike &= np.asarray(state.difference <= room)
    return alike
