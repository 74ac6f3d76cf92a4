"""The state given is a lower layer's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.read_on_below import read_on_below
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.diagnosis.fix_code import gathered
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, proposal
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import same


class WrongLayer(Rule):
    name = "wrong-layer"
    summary = "the state is that of a lower layer, and equals no step of the top layer's outputs"
    why = (
        "h_n holds the state of every layer, bottom layer first: h_n[0] is that of the bottom layer, h_n[-1] that of "
        "the top one (with one direction). The outputs are those of the top layer only."
    )
    fix = "h = outputs[np.arange(len(outputs)), lengths - 1]  # the outputs are the top layer's; so is states[-1]"
    fixed_in = "arrays"
    group = "Rows, axes, layers"
    place = 6
    needs = ("outputs",)
    implies = ("state-from-another-run",)
    example = "stack"
    in_states = True
    threads = (
        Thread(
            "https://github.com/spro/practical-pytorch/issues/81",
            "A slice of h_n taken for the forward states holds the bottom layer's two directions.",
        ),
        Thread(
            "https://github.com/yanwii/dynamic-seq2seq/issues/4",
            "Which of a stack's states does the decoder get? The last one.",
        ),
    )

    def code(self, case: Case) -> str:
        return gathered(case, self.fix)

    def check(self, case: Case) -> Iterable[Proposal]:
        for facts in case.facts:
            if facts.track.layer == 0 or not facts.mismatched.any():
                continue
            in_question = facts.mismatched & ~facts.final_zero & ~facts.equal.any(1) & ~_stands_below(case, facts)
            for where, states, exact in _lower_states(case, facts):
                rows = in_question & _agree(facts.final, states, 0.0 if exact else tolerance(case))
                if rows.any():
                    yield from proposal(
                        self,
                        [Seen(facts, rows)],
                        f"{{rows}}: final_state.h equals {where}, and no step of the top layer's outputs",
                        strength=4,
                    )
                    break

    def inject(self, case: Case) -> Case:
        bottom = case.trace.tracks[0]
        if case.trace.layers < 2 or case.trace.directions > 1 or bottom.final is None:
            raise CannotInject("needs two layers of one direction")
        top = case.trace.tracks[-1]
        if top.final is None or top.final.shape != bottom.final.shape:
            raise CannotInject("needs layers of one width")

        def lowered(track: Track) -> Track:
            return replace(track, final=bottom.final, cell=bottom.cell) if track is top else track

        return case.with_tracks(lowered)


def _stands_below(case: Case, facts: TrackFacts) -> Bools:
    """`[B]`: rows whose top state, or that of a run which read on, stands where a lower layer's belongs: the layers are
    in another order."""
    rows, last = np.zeros(facts.mismatched.shape, dtype=np.bool_), facts.outputs[:, -1]
    for track in case.trace.tracks:
        if track.layer < facts.track.layer and track.final is not None and track.final.shape == facts.final.shape:
            rows |= same(track.final, facts.at_end).all(-1) & (facts.expected >= 0)
            rows |= same(track.final, last).all(-1) & last.any(-1)
    return rows


def _lower_states(case: Case, facts: TrackFacts) -> Iterator[tuple[str, Array, bool]]:
    """Candidate states `[B, H]` of lower layers, in words, and whether they must agree exactly."""
    rows, units = facts.final.shape
    for track in case.trace.tracks:
        if track.layer < facts.track.layer and track.final is not None and track.final.shape == facts.final.shape:
            yield f"the state of layer {track.layer}", track.final, True
    used = {id(s.array) for s in case.dump.slots}
    for name, array in case.dump.arrays.items():
        if array.ndim == 3 and id(array) not in used and array.shape[1:] == (rows, units):
            for k in range(array.shape[0] - 1):
                yield f"{name}[{k}], a lower layer's state", array[k], True
    for below in read_on_below(case):
        if below.facts is facts:
            states = np.where(below.rows[:, None], facts.final, np.inf)
            yield f"what layer {below.layer} ends in when the weights are run over every step", states, True
    if case.batch is not None and case.weights is not None and case.weights.depth > 1:
        for track in case.reference.tracks:
            if track.layer < facts.track.layer and track.final is not None and track.final.shape == facts.final.shape:
                yield f"what layer {track.layer} ends in when the weights are run", track.final, False


def _agree(final: Array, states: Array, allowed: float) -> Bools:
    """`[B]`: rows of two states that are equal, or as near as two right runs may be."""
    near = np.abs(final.astype(np.float64) - states.astype(np.float64)) <= allowed
    return np.asarray((same(final, states) | near).all(-1))


RULE = WrongLayer()
