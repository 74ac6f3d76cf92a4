"""A lower layer's state given for the top one's, of a run over every step: a run of the weights tells both mistakes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Bools
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.states_of_run import over_every_step
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.diagnosis.once import once
from rnninspect.measure.facts import TrackFacts


@frozen(eq=False)
class ReadOnBelow:
    """`rows` `[B]` of a track whose states are those in which the lower `layer` ends, its padding read too."""

    facts: TrackFacts
    layer: int
    rows: Bools


@once
def read_on_below(case: Case) -> tuple[ReadOnBelow, ...]:
    """The tracks of which every state that is off and no step of its own row is such a one; none without weights."""
    if case.batch is None or case.weights is None or case.weights.depth < 2 or case.batch.mask.all():
        return ()
    return tuple(_below(case))


def _below(case: Case) -> Iterator[ReadOnBelow]:
    for facts in (f for f in case.facts if f.track.layer > 0):
        rows = facts.mismatched & ~facts.final_blank & ~facts.equal.any(1)
        if not (rows & facts.short).any():
            continue
        for track in over_every_step(case).tracks:
            beneath = track.layer < facts.track.layer and track.direction == facts.track.direction
            if not beneath or track.final is None or track.final.shape != facts.final.shape:
                continue
            gaps = np.abs(track.final[rows].astype(np.float64) - facts.final[rows])
            if gaps.max() <= tolerance(case):
                yield ReadOnBelow(facts, track.layer, rows)
                break
