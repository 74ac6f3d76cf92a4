"""Both halves of the state are one direction's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fix_code import gathered, within_lengths
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, places, proposal
from rnninspect.diagnosis.state_in_hand import top_placed
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import same


class DirectionDuplicated(Rule):
    name = "direction-duplicated"
    summary = "the forward and the backward half of the state are equal"
    why = (
        "The same state was concatenated with itself (state_fw with state_fw, h with h): the width is right, but one "
        "direction is missing."
    )
    fix = (
        "h_fw, h_bw = outputs_fw[np.arange(len(outputs_fw)), lengths - 1], outputs_bw[:, 0]\n"
        "h = np.concatenate([h_fw, h_bw], axis=-1)"
    )
    fixed_in = "arrays"
    group = "Directions"
    place = 4
    needs = ("outputs", "two directions")
    implies = ("backward-final-at-last-step",)
    example = "bidirectional"
    threads = (
        Thread(
            "https://github.com/tflearn/tflearn/pull/522",
            "A bidirectional layer returned its forward state twice.",
        ),
        Thread(
            "https://github.com/ematvey/tensorflow-seq2seq-tutorials/issues/1",
            "An encoder concatenates the forward outputs with themselves, by a typing error.",
        ),
    )

    def code(self, case: Case) -> str:
        return gathered(case, self.fix)

    def held_as(self, case: Case) -> str:
        return within_lengths(case, self.name)

    def in_hand(self, case: Case) -> str:
        return top_placed(case, self.code(case))

    def check(self, case: Case) -> Iterable[Proposal]:
        pairs: dict[int, list[TrackFacts]] = {}
        for facts in case.facts:
            pairs.setdefault(facts.track.layer, []).append(facts)
        for pair in pairs.values():
            if len(pair) != 2 or pair[0].final.shape != pair[1].final.shape:
                continue
            equal = np.asarray(same(pair[0].final, pair[1].final).all(-1)) & ~pair[0].final_zero
            seen = [Seen(f, f.mismatched & equal) for f in pair]
            yield from proposal(
                self,
                seen,
                "{rows}: the two halves of final_state.h are equal bit for bit; one direction was taken twice",
                strength=5,
                copies=tuple(places(s.facts, s.rows) for s in seen),
            )

    def inject(self, case: Case) -> Case:
        if case.trace.directions != 2:
            raise CannotInject("needs two directions")

        def doubled(track: Track) -> Track:
            forward = case.trace.track(track.layer, "forward")
            return track if forward is None else replace(track, final=forward.final, cell=forward.cell)

        return case.with_tracks(doubled)


RULE = DirectionDuplicated()
