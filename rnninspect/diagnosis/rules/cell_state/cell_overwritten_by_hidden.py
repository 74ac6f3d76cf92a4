"""c equals h bit for bit: one buffer, or one name, was used for both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.cell_beside_state import SLACK
from rnninspect.diagnosis.evidence.cell_in_outputs import nearly_cell
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.fix_code import as_called
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, proposal
from rnninspect.measure.decimals import decimals
from rnninspect.measure.difference import precision
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import same

# By how much of a number two roundings may move it, in each precision.
ROUNDING = {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float32": 2.0**-22, "float64": 2.0**-51}
FEW_UNITS = 3  # with fewer, the gates of all units are wide open too often
TELLING = 8  # different numbers that no few gates leave as they are


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

    def fitted(self, case: Case, theirs: str) -> str:
        return as_called(case, theirs)

    def check(self, case: Case) -> Iterable[Proposal]:
        plain = case.config.attributes.get("activation") in (None, "tanh")
        exact = [] if _runs_so(case) else [Seen(facts, _overwritten(facts, plain)) for facts in case.facts]
        yield from proposal(
            self,
            exact,
            "{rows}: final_state.c equals final_state.h bit for bit, which no LSTM computes: one overwrote the other",
            kind="fact",
        )
        if plain and exact and not any(s.rows.any() for s in exact):
            yield from proposal(
                self,
                [Seen(facts, nearly_cell(facts) & _beyond_tanh(facts) & (facts.expected >= 0)) for facts in case.facts],
                "{rows}: final_state.c is final_state.h but for what two runs, or a cast, may differ by, and |h| is "
                "larger than |tanh(c)|, which no LSTM computes: one overwrote the other in another run",
                kind="fact",
                certainty="suspected",
            )

    def inject(self, case: Case) -> Case:
        if any(t.cell is None or t.final is None or t.cell.shape != t.final.shape for t in case.trace.tracks):
            raise CannotInject("needs an LSTM without projection")

        def overwritten(track: Track) -> Track:
            return replace(track, cell=track.final)

        return case.with_tracks(overwritten)


def _overwritten(facts: TrackFacts, plain: bool) -> Bools:
    """`[B]`: c equals h in rows where some unit is not zero, and no open output gate explains it; `plain`: tanh stands
    between c and h."""
    cell = facts.track.cell
    if cell is None or cell.shape != facts.final.shape:
        return np.zeros(facts.mismatched.shape, dtype=np.bool_)
    finite = np.isfinite(facts.final.astype(np.float64)).all(-1)  # NaN in both says nothing
    alive = (cell != 0).any(-1) & finite & (facts.expected >= 0)
    equal: Bools = np.asarray(same(cell, facts.final).all(-1) & alive)
    told = plain and _shrinks(np.asarray(cell[equal]))
    return equal if told or _too_many_for_gates(np.asarray(cell[alive]), equal[alive]) else np.zeros_like(equal)


def _beyond_tanh(facts: TrackFacts) -> Bools:
    """`[B]`: rows in which some |h| exceeds |tanh(c)| by more than rounding."""
    h, c = facts.final.astype(np.float64), np.asarray(facts.track.cell, dtype=np.float64)
    room = SLACK * np.abs(h).max(-1, keepdims=True, initial=0.0)
    return (
        np.asarray((np.abs(h) - np.abs(np.tanh(c)) > room).any(-1)) if c.shape == h.shape else facts.mismatched & False
    )


def _shrinks(cell: Array) -> bool:
    """Whether tanh makes some number of c `[N, H]` smaller, whatever the output gate then does: not by its rounding,
    which leaves those near zero as they are."""
    if not cell.size:
        return False
    size, places = np.abs(cell.astype(np.float64)), decimals(cell)
    room = ROUNDING[precision(cell)] * size if places is None else np.maximum(10.0**-places, ROUNDING["float32"] * size)
    return bool((size - np.tanh(size) > room).any())


def _too_many_for_gates(cell: Array, equal: Bools) -> bool:
    """Whether c `[N, H]` equals h in every row, in more numbers than output gates are wide open at once by chance."""
    few = cell.ndim < 2 or cell.shape[1] < FEW_UNITS or not equal.all()
    return not few and len(set(np.abs(cell).ravel().tolist()) - {0.0}) >= TELLING


def _runs_so(case: Case) -> bool:
    """Whether the weights give these very states: an open output gate over a small c."""
    if not (case.has("inputs") and case.has("weights")) or not agrees(case):
        return False
    runs = [case.reference.track(f.track.layer, f.track.direction) for f in case.facts if f.track.cell is not None]
    return all(t is not None and np.array_equal(np.asarray(t.cell), np.asarray(t.final)) for t in runs)


RULE = CellOverwritten()
