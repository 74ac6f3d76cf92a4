"""A mistake of its own: the final state is the row's last output with its sign turned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, proposal


class MadeUp(Rule):
    name = "made-up"
    summary = "the final state is the row's last output with its sign turned"
    why = "Nobody does it: it is made up to show that a rule is one file, which holds all there is."
    fix = "h = -h"
    fixed_in = "arrays"
    group = "What the state holds"
    threads = (Thread("https://github.com/madeup/madeup/issues/1", "A made-up thread about a made-up mistake."),)
    threads = (Thread("https://github.com/madeup/madeup/issues/1", "A made-up thread about a made-up mistake."),)

    def check(self, case: Case) -> Iterable[Proposal]:
        seen = []
        for facts in case.facts:
            rows = np.arange(len(facts.final))
            expected = facts.outputs[rows, np.maximum(facts.expected, 0)]
            seen.append(Seen(facts, facts.mismatched & (facts.final == -expected).all(1)))
        yield from proposal(self, seen, "{rows}: the sign is turned")

    def inject(self, case: Case) -> Case:
        if any(track.final is None for track in case.trace.tracks):
            raise CannotInject("needs every final state")
        tracks = tuple(replace(track, final=-track.final) for track in case.trace.tracks)
        return case.with_trace(replace(case.trace, tracks=tracks))


RULE = MadeUp()
