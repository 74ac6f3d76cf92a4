"""c equals h bit for bit: one buffer, or one name, was used for both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, proposal
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import same


class CellOverwritten(Rule):
    name = "cell-overwritten-by-hidden"
    summary = "c equals h bit for bit"
    why = (
        "The cell state was saved from the variable that holds h (h = c = …, or one buffer for both). h is right, but "
        "whatever goes on from this state starts from a wrong c."
    )
    fix = "outputs, h, c = layer(inputs)  # c is lost here: run again, and keep each under a name of its own"
    group = "What the state holds"
    place = 2
    needs = ("outputs", "cell state")
    threads = (
        Thread(
            "https://github.com/joeynmt/joeynmt/issues/51",
            "A decoder's initial state is (h, h) where an LSTM wants a cell state too.",
        ),
        Thread(
            "https://github.com/joeynmt/joeynmt/issues/13",
            "Is it right to use h for c? The authors train both ways and compare.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        yield from proposal(
            self,
            [Seen(facts, _overwritten(facts)) for facts in case.facts],
            "{rows}: final_state.c equals final_state.h bit for bit, which no LSTM computes: one overwrote the other",
            kind="fact",
        )

    def inject(self, case: Case) -> Case:
        if any(t.cell is None or t.final is None or t.cell.shape != t.final.shape for t in case.trace.tracks):
            raise CannotInject("needs an LSTM without projection")

        def overwritten(track: Track) -> Track:
            return replace(track, cell=track.final)

        return case.with_tracks(overwritten)


def _overwritten(facts: TrackFacts) -> Bools:
    """`[B]`: c equals h, in rows where it could not: |h| <= |tanh(c)|, and tanh moves some unit of this c.

    Zeros, and numbers so small that tanh leaves them as they are, may be equal under an open output gate.
    """
    cell = facts.track.cell
    if cell is None or cell.shape != facts.final.shape:
        return np.zeros(facts.mismatched.shape, dtype=np.bool_)
    finite = np.isfinite(facts.final.astype(np.float64)).all(-1)  # NaN in both says nothing
    moved = (np.tanh(cell.astype(np.float64)).astype(cell.dtype) != cell).any(-1)
    return np.asarray(same(cell, facts.final).all(-1) & finite & moved & (facts.expected >= 0))


RULE = CellOverwritten()
