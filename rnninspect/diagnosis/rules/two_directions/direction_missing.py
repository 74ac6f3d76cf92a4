"""The state has one direction's width where the outputs have two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fix_code import gathered, within_lengths
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, places, proposal
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import gather, same


class DirectionMissing(Rule):
    name = "direction-missing"
    summary = "the state holds one direction only, while the outputs hold both"
    why = (
        "h_n[-1] of a bidirectional layer is the backward half only; the forward half is h_n[-2]. A classifier on top "
        "sees half of what the layer computed."
    )
    fix = (
        "h_fw, h_bw = outputs_fw[np.arange(len(outputs_fw)), lengths - 1], outputs_bw[:, 0]\n"
        "h = np.concatenate([h_fw, h_bw], axis=-1)"
    )
    fixed_in = "arrays"
    group = "Directions"
    place = 5
    needs = ("outputs", "two directions")
    example = "bidirectional"
    in_states = True
    threads = (
        Thread(
            "https://github.com/AuCson/PyTorch-Batch-Attention-Seq2seq/issues/2",
            "A decoder has room for one direction's state of a bidirectional encoder; which one should it get?",
        ),
    )

    def code(self, case: Case) -> str:
        return gathered(case, self.fix)

    def held_as(self, case: Case) -> str:
        return within_lengths(case, self.name)

    def check(self, case: Case) -> Iterable[Proposal]:
        top = [t for t in case.trace.tracks if t.layer == case.trace.layers - 1]
        halves = [t for t in top if t.final is not None]
        if len(top) != 2 or len(halves) != 1 or any(t.outputs is None for t in top):
            return
        facts = next((f for f in case.facts if f.track is halves[0]), None)
        if facts is not None and facts.mismatched.any():
            yield from self._of_the_other_half(case, facts, next(t for t in top if t is not halves[0]))
        if facts is None or not (facts.at_expected & ~facts.uninformative).any() or facts.mismatched.any():
            return
        raw = case.raw("h")
        stacked = raw is not None and raw.ndim == 3  # as a decoder of one direction takes it
        missing = "forward" if halves[0].direction == "backward" else "backward"
        yield Proposal(
            self.name,
            f"the outputs hold two directions of {facts.final.shape[1]} units each, final_state.h only one: it equals "
            f"the {halves[0].direction} half at its end; the {missing} half is missing",
            places(facts, np.ones(facts.mismatched.shape, dtype=np.bool_)),
            severity="note" if stacked else self.severity,
            kind="fact",
            evidence={"missing": missing},
        )

    def _of_the_other_half(self, case: Case, facts: TrackFacts, other: Track) -> Iterable[Proposal]:
        """Where the one half that there is ends the other direction."""
        assert other.outputs is not None
        steps = case.trace.expected_steps(other)
        end = gather(other.outputs, np.arange(steps.size), np.maximum(steps, 0))
        rows = facts.mismatched & (steps >= 0) & ~facts.final_blank
        rows = rows & same(end, facts.final).all(-1) if end.shape == facts.final.shape else np.zeros_like(rows)
        if rows.sum() > 1 or (rows.any() and rows[facts.mismatched].all()):
            yield from proposal(
                self,
                [Seen(facts, rows)],
                f"{{rows}}: the outputs hold two directions of {facts.final.shape[1]} units each, final_state.h only "
                f"one: it equals the {other.direction} half at its end; the {facts.track.direction} half is missing",
                evidence={"missing": facts.track.direction},
                strength=4,
            )

    def inject(self, case: Case) -> Case:
        if case.trace.directions != 2:
            raise CannotInject("needs two directions")

        def halved(track: Track) -> Track:
            if track.layer == case.trace.layers - 1 and track.direction == "forward":
                return replace(track, final=None, cell=None)
            return track

        return case.with_tracks(halved)


RULE = DirectionMissing()
