"""States that no output tells, c and the h of layers without outputs, beside those in which a run of the weights ends.

Only where the run gives the dump's outputs does a difference say anything of these states.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Trace
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.diagnosis.once import once
from rnninspect.measure.decimals import decimals
from rnninspect.measure.difference import StateDifference, state_differences

FAR = 32  # times what two right runs' outputs may differ by: c adds up over the steps, and is larger
SHARE = 0.05  # of the state's own size: less is rounding, clipping or a lower precision

StatePlace = tuple[int, str, str]  # layer, direction, `h` or `c`
FarOff = dict[StatePlace, tuple[StateDifference, list[int]]]


@once
def far_from_run(case: Case) -> FarOff:
    """By layer, direction and state: the rows with real steps whose state is far from that of the right run."""
    return _far_off(case, case.reference)


@once
def over_every_step(case: Case) -> Trace:
    """The run of the weights over every step, padded ones too. RuntimeError without inputs or weights."""
    if case.batch is None:
        raise RuntimeError("a run needs inputs and weights")
    everywhere = np.ones(case.batch.mask.shape, dtype=np.bool_)
    return case.run(replace(case.batch, mask=everywhere, lengths=None))


@once
def after_the_padding(case: Case) -> FarOff:
    """Those of `far_from_run`, with the rows alone whose state is that of a run over every step, padded ones too."""
    off = far_from_run(case)
    if not off or case.batch is None or case.batch.mask.all():
        return {}
    off_unpacked = _far_off(case, over_every_step(case))
    after: FarOff = {}
    for place, (difference, rows) in off.items():
        still = set(off_unpacked[place][1]) if place in off_unpacked else set()
        if read_on := [row for row in rows if row not in still]:
            after[place] = difference, read_on
    return after


def _far_off(case: Case, run: Trace) -> FarOff:
    off: FarOff = {}
    for difference in state_differences(case.trace, run):
        track = difference.track
        recorded = track.cell if difference.state == "c" else track.final
        if recorded is None or (difference.state == "h" and track.outputs is not None):
            continue  # the outputs tell it
        far = np.isfinite(difference.difference) & (difference.difference > _allowed(case, recorded, run, difference))
        rows = [int(row) for row in np.flatnonzero(far & case.trace.mask.any(1))]
        if rows:
            off[track.layer, track.direction, difference.state] = difference, rows
    return off


def _allowed(case: Case, recorded: Array, run: Trace, difference: StateDifference) -> Array:
    """`[B]`: how far a state may be from the run's; its own last printed digit is allowed for."""
    ran = run.track(difference.track.layer, difference.track.direction)
    state = None if ran is None else ran.cell if difference.state == "c" else ran.final
    size = np.abs((recorded if state is None else state).astype(np.float64)).max(-1)
    digits = decimals(recorded)
    printed = 0.0 if digits is None else 10.0**-digits
    return np.asarray(np.maximum(FAR * tolerance(case), SHARE * size) + printed)
