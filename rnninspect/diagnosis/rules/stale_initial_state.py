"""Step 0 follows from an initial state that is not in the dump."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import fixed
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, proposal
from rnninspect.measure.facts import TrackFacts

PUT_BACK = (
    "h_0, c_0 = h[back], c[back]  # back = np.argsort(order), where the rows had been put in that order; run again"
)
RUN_FROM_ITS_OWN = "# run again from h_0 [layers x directions, batch, units], each layer's own states in its place"
PUT_IN_ORDER = "outputs, (h, c) = layer(inputs, (h_0, c_0))  # in the order that the layer takes: TensorFlow (c, h)"
GO_ON = "outputs, state = layer(inputs, state)  # the state that the chunk before ended in, h and c: run again"


class StaleInitialState(Rule):
    name = "stale-initial-state"
    summary = (
        "the first step was computed from a non-zero state that is not in the dump: a state was carried over from an "
        "earlier call"
    )
    why = (
        "A stateful layer was not reset, or the state of the previous batch was passed on, so the rows start from "
        "the end of other sequences. The later steps follow correctly from the first."
    )
    fix = "outputs, state = layer(inputs, np.zeros((B, H)))  # each batch from zeros; or save the state that was passed"
    group = "What the state holds"
    place = 7
    needs = ("outputs", "inputs", "weights")
    compares = True
    threads = (
        Thread(
            "https://github.com/keras-team/keras/issues/10231",
            "Is a stateful layer's state reset between two predictions, or after training?",
        ),
        Thread(
            "https://github.com/mlpack/mlpack/issues/2747",
            "The first prediction differs from all later ones on the same inputs.",
        ),
        Thread(
            "https://github.com/allenai/bilm-tf/issues/220",
            "Is the state reset for each sentence? The author says that it is never reset in training.",
        ),
    )

    def missing(self, case: Case) -> list[str]:
        """If the previous chunk is given and the dump holds the initial state, these two are enough."""
        return [] if case.chunk is not None and case.chunk.named_initial is not None else super().missing(case)

    def check(self, case: Case) -> Iterable[Proposal]:
        from rnninspect.diagnosis.evidence.chunks import chain_breaks
        from rnninspect.diagnosis.evidence.teacher_forcing import follows_from_step_one

        if case.chunk is not None:
            for broken in chain_breaks(case):
                fix = PUT_BACK if broken.other_rows else GO_ON
                yield from proposal(self, [broken.seen], f"{{rows}}: {broken.sentence}", kind="fact", fix=fix)
            return
        if any(t.initial is not None for t in case.trace.tracks):
            yield from self._of_stated(case)
            return
        if fixed(case) is not None:
            return
        by_origin: dict[str, list[Seen]] = {}
        for facts, rows in follows_from_step_one(case):
            for origin, some in _origins(case, facts, rows):
                by_origin.setdefault(origin, []).append(Seen(facts, some))
        for origin, seen in by_origin.items():
            yield from proposal(
                self,
                seen,
                "{rows}: step 0 is not what the weights give from a zero state, but the later steps follow from it: "
                f"the row started from {origin}",
                kind="fact",
            )

    def _of_stated(self, case: Case) -> Iterable[Proposal]:
        """Where the initial states are those of the dump, in another order."""
        from rnninspect.diagnosis.evidence.stated_starts import EXCHANGED, began_otherwise

        otherwise = "" if fixed(case) is not None else began_otherwise(case)
        if otherwise:
            yield from proposal(
                self,
                [Seen(facts, np.asarray(facts.mask.any(1))) for facts in case.facts],
                f"{{rows}}: the outputs are not what the weights give from the row's own initial state; {otherwise}",
                kind="fact",
                fix=PUT_IN_ORDER if otherwise == EXCHANGED else PUT_BACK if "row's" in otherwise else RUN_FROM_ITS_OWN,
            )

    def inject(self, case: Case) -> Case:
        from rnninspect.diagnosis.evidence.teacher_forcing import fewest_steps

        if case.weights is None or case.batch is None or any(t.initial is not None for t in case.trace.tracks):
            raise CannotInject("needs inputs, weights and no initial state")
        if case.trace.layers > 1:
            raise CannotInject("needs one layer: of a stack the outputs do not tell where each layer began")
        if case.trace.real_counts.max(initial=0) < fewest_steps(case.weights):
            raise CannotInject("needs a row whose later steps can show what they follow from")
        rng = np.random.default_rng(3)

        def started(track: Track) -> Track:
            if track.final is None:
                return track
            cell = None if track.cell is None else rng.normal(0, 0.5, track.cell.shape).astype(track.cell.dtype)
            first = rng.uniform(-0.8, 0.8, track.final.shape).astype(track.final.dtype)
            return replace(track, initial=first, initial_cell=cell)

        ran = case.with_tracks(started).run(case.batch)
        tracks = tuple(replace(t, initial=None, initial_cell=None) for t in ran.tracks)
        return case.with_trace(replace(case.trace, tracks=tracks))


def _origins(case: Case, facts: TrackFacts, rows: Bools) -> Iterator[tuple[str, Bools]]:
    """Which state of the dump each of these rows started from, in words, and the rows that did."""
    from rnninspect.diagnosis.evidence.starts import follows, states_in_dump

    left = rows.copy()
    for origin, states in states_in_dump(case):
        some = np.flatnonzero(left)
        followers = some[follows(case, facts, some, some, states)] if some.size else some
        if followers.size > 1 or (followers.size == 1 and followers.size == rows.sum()):
            started = np.isin(np.arange(rows.size), followers)
            left &= ~started
            yield origin, started
    if left.any():
        yield "another state, which is not in the dump", left


RULE = StaleInitialState()
