"""c equals h bit for bit: one buffer, or one name, was used for both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import disagreement
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, proposal
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import same


class CellOverwritten(Rule):
    name = "cell-overwritten-by-hidden"
    summary = "the cell state c equals h bit for bit"
    why = (
        "The cell state was saved from the variable that holds h (h = c = …, or one buffer for both). h is right, "
        "but whatever continues from this state starts from a wrong c."
    )
    fix = "outputs, h, c = layer(inputs)  # c is lost here: run again, and keep each under a name of its own"
    group = "What the state holds"
    place = 2
    needs = ("outputs", "cell state")
    in_states = True
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
            [] if _runs_so(case) else [Seen(facts, _overwritten(facts)) for facts in case.facts],
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
    """`[B]`: c equals h in rows where some unit is not zero: |h| < |c| there, however small, unless an output gate is
    wide open and tanh leaves c as it is; one such unit is chance, a whole row is not.
    """
    cell = facts.track.cell
    if cell is None or cell.shape != facts.final.shape:
        return np.zeros(facts.mismatched.shape, dtype=np.bool_)
    finite = np.isfinite(facts.final.astype(np.float64)).all(-1)  # NaN in both says nothing
    alive = (cell != 0).any(-1)
    return np.asarray(same(cell, facts.final).all(-1) & finite & alive & (facts.expected >= 0))


def _runs_so(case: Case) -> bool:
    """Whether the weights give these very states: an open output gate over a small c."""
    if not (case.has("inputs") and case.has("weights")) or disagreement(case) > 0:
        return False
    runs = [case.reference.track(f.track.layer, f.track.direction) for f in case.facts if f.track.cell is not None]
    return all(t is not None and np.array_equal(np.asarray(t.cell), np.asarray(t.final)) for t in runs)


RULE = CellOverwritten()
