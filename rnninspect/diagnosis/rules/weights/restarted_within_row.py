"""A step inside a row follows from zeros, or from the initial state, not from the step before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rnninspect.core.trace import Bools, Ints, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.agreement import without_start
from rnninspect.diagnosis.evidence.half_carried import HalfCarried, Passed, half_carried
from rnninspect.diagnosis.evidence.weight_search import agrees, fixed
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, proposal
from rnninspect.measure.facts import TrackFacts

if TYPE_CHECKING:
    from rnninspect.diagnosis.evidence.restarts import Begin

ENDED = "the state in which a row ended"
# How a loop passes h and c on, in words.
HOW: dict[Passed, str] = {
    "no c": "the h of the step before it, and from the c that the row began with: c is never carried over",
    "no h": "the c of the step before it, and from the h that the row began with: h is never carried over",
    "exchanged": "the c of the step before it for its h, and from the h for its c: they are exchanged",
    "h twice": "the h of the step before it for both its h and its c: c is never carried over",
    "c twice": "the c of the step before it for both its h and its c: h is never carried over",
}


class RestartedWithinRow(Rule):
    name = "restarted-within-row"
    summary = "a step inside a row was computed from zeros or from the initial state, not from the step before it"
    why = (
        "A loop that never passes the state on starts every step anew: the layer remembers nothing, and the shapes "
        "do not show it. If only some steps restart, an episode may begin there on purpose; whoever runs the whole "
        "row in one call gets other numbers."
    )
    fix = "h = step(inputs[:, t], h)  # each step continues from the h of the step before, not from zeros"
    group = "What the state holds"
    place = 11
    needs = ("outputs", "inputs", "weights")
    example = "rows"
    compares = True
    threads = (
        Thread(
            "https://github.com/pytorch/rl/issues/1406",
            "An LSTM's state is reset at every step in one kind of environment, and carried on in another.",
        ),
        Thread(
            "https://github.com/tracel-ai/burn/issues/2701",
            "A port's recurrent layer gives other numbers because its loop never carries the state on.",
        ),
        Thread(
            "https://github.com/ikostrikov/pytorch-a2c-ppo-acktr-gail/issues/206",
            "Are states reset where an episode begins inside a rollout? They are, but the code is hard to find.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        from rnninspect.diagnosis.evidence.restarts import can_run_steps, restarts

        if case.reading.time_swapped:
            return  # what is a row here may be a step there, and begins anew in every row
        if agrees(case) or fixed(case) is not None or not can_run_steps(case):
            return
        if (half := half_carried(case)) is not None:
            yield from self._of_half(case, half)
            return
        for facts in case.facts:
            if facts.track.order != "time":
                continue
            for start, begin in _starts(case, facts):
                restarted = restarts(case, facts, begin)
                if restarted is not None:
                    yield from self._say(facts, start, *restarted)
                    break

    def _of_half(self, case: Case, half: HalfCarried) -> Iterator[Proposal]:
        """h and c are not passed on as they are: one is never, or they are exchanged."""
        yield from proposal(
            self,
            [Seen(facts, facts.real_counts > 1) for facts in case.facts],
            f"{{rows}}: every step follows from {HOW[half.passed]}; a run that carries both on differs by up to "
            f"{half.before:.2g}, one that passes them so by {half.after:.2g}",
            kind="fact",
            fix="h, c = step(inputs[:, t], (h, c))  # each step goes on from the h and the c of the step before",
            evidence={"passed": half.passed, "before": half.before, "after": half.after},
        )

    def _say(self, facts: TrackFacts, start: str, anew: Bools, rows: Bools) -> Iterator[Proposal]:
        """Which steps start anew: all of them, or some while the others carry on."""
        from rnninspect.diagnosis.evidence.starts import first_read

        later = facts.mask & (np.arange(facts.steps) != first_read(facts)[:, None]) & rows[:, None]
        every = np.array_equal(anew, later)
        places = [f"outputs[{b}, {t}]" for b, t in np.argwhere(anew)[:5].tolist()]
        more = f" and {np.count_nonzero(anew) - 4} more" if len(places) > 4 else ""
        how = "the state was reset there, as where an episode begins"
        if start.startswith(ENDED):
            how = "a state was carried there that belongs at a row's end"
        if every:
            sentence = f"every step follows from {start}, none from the step before it: the state is never carried over"
        else:
            sentence = (
                f"{', '.join(places[:4])}{more} follow from {start}, not from the step before, and the other steps "
                f"carry on: {how}"
            )
        yield from proposal(
            self,
            [Seen(facts, rows)],
            f"{{rows}}: {sentence}",
            severity="error" if every else "warning" if start.startswith(ENDED) else "note",
            kind="fact",
            steps=tuple(np.flatnonzero(anew.any(0)).tolist()[:64]),
            evidence={"restarts": np.argwhere(anew).tolist()[:64], "start": start},
        )

    def inject(self, case: Case) -> Case:
        from rnninspect.diagnosis.evidence.restarts import can_run_steps, steps_alone

        if case.weights is None or case.batch is None or not can_run_steps(case):
            raise CannotInject("needs inputs and weights, and one layer or one direction")
        if case.trace.real_counts.max(initial=0) < 2 or any(t.order != "time" for t in case.trace.tracks):
            raise CannotInject("needs a row of two steps, in the order of time")
        alone = steps_alone(case, lambda track, _: without_start(track))
        real, some = case.trace.mask, np.asarray(case.trace.mask.any(1))[:, None]

        def anew(track: Track) -> Track:
            if track.outputs is None or track.final is None:
                return track
            made, cells = alone[track.layer, track.direction]
            rows, last = np.arange(len(real)), np.maximum(case.trace.expected_steps(track), 0)
            outputs = np.where(real[..., None], made, track.outputs)
            final = np.where(some, outputs[rows, last], track.final)
            cell = track.cell
            if cell is not None and cells is not None:
                cell = np.where(some, cells[rows, last], cell)
            return replace(track, outputs=outputs, final=final, cell=cell)

        return case.with_tracks(anew)


def _starts(case: Case, facts: TrackFacts) -> Iterator[tuple[str, Begin]]:
    """The states from which a step may start anew, in words."""
    from rnninspect.diagnosis.evidence.restarts import restarted_from
    from rnninspect.diagnosis.evidence.starts import begun_elsewhere, describe_starts, final_states

    yield "zeros", lambda track, _: without_start(track)
    if any(t.initial is not None and t.initial.any() for t in case.trace.tracks):
        yield "the initial state", lambda track, _: track
    states = final_states(case)
    whose = None if states is None else restarted_from(case, facts, states)
    if states is None or whose is None or (whose < 0).all():
        return
    starts, rows = begun_elsewhere(states, whose), np.flatnonzero(whose >= 0)

    def begin(track: Track, picked: Ints) -> Track:
        h, c = starts[track.layer, track.direction]
        return replace(track, initial=h[picked], initial_cell=None if c is None else c[picked])

    yield f"{ENDED} ({describe_starts(rows, whose[rows])})", begin


RULE = RestartedWithinRow()
