"""A row goes on from the state in which another row ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.finding import Severity
from rnninspect.core.trace import Array, Bools, Ints, Track
from rnninspect.diagnosis.case import Case, States
from rnninspect.diagnosis.evidence.agreement import agreeing
from rnninspect.diagnosis.evidence.weight_search import agrees, fixed, tolerance
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, proposal
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import gather
from rnninspect.measure.saturated import saturated_units

MOST_STEPS = 1 << 16  # rows x steps up to which rows are followed one after another


class RowsChunked(Rule):
    name = "rows-chunked"
    severity: Severity = "warning"
    summary = "a row starts in the state in which another row ended: one long sequence was cut into rows"
    why = (
        "The rows of a batch are independent sequences. If a long sequence is cut into rows, or a batch is split "
        "along the wrong axis while the state is carried on, one row continues another; shuffling the rows or "
        "running them separately then gives other numbers."
    )
    fix = (
        "outputs, state = layer(inputs, np.zeros((B, H)))  # every row from zeros; or join the pieces into one long row"
    )
    group = "Rows, axes, layers"
    place = 9
    needs = ("outputs", "inputs", "weights")
    implies = ("stale-initial-state",)
    example = "rows"
    compares = True
    threads = (
        Thread(
            "https://github.com/Lightning-AI/pytorch-lightning/pull/8145",
            "Along which axis is a batch split into chunks, if the state is passed from one to the next?",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        from rnninspect.diagnosis.evidence.starts import describe_starts, final_states, origins, starts_off

        if case.chunk is not None or any(t.initial is not None for t in case.trace.tracks):
            return
        if agrees(case) or fixed(case) is not None:
            return
        states = final_states(case)
        if states is None:
            return
        for facts in case.facts:
            rows = np.flatnonzero(starts_off(facts, case.reference, tolerance(case)))
            whose = np.full(case.trace.batch_size, -1, dtype=np.int64)
            if rows.size:
                whose[rows] = origins(case, facts, rows, states)
            carried = _given(case, facts, whose)
            if any(np.isnan(c).any() for _, c in states.values() if c is not None):
                _follow_on(case, facts, states, rows, whose, carried)
            if facts.track.direction == "backward":  # which may have read padding before its first real step
                ends = states[facts.track.layer, facts.track.direction][0]
                carried &= _tell(ends, whose) & _tells_its_start(facts)
                # nor does a row end in a step of its padding, which a few blanks give any row
                carried &= ~(facts.mismatched & facts.equal.any(1))[np.maximum(whose, 0)]
            later = np.flatnonzero(carried)
            yield from proposal(
                self,
                [Seen(facts, carried)],
                f"{{rows}}: the first step follows from the state in which another row ended "
                f"({describe_starts(later, whose[later])}), not from zeros: {_how(later, whose[later])}",
                kind="fact",
                evidence={"started_from": whose.tolist()[:64]},
            )

    def inject(self, case: Case) -> Case:
        if case.weights is None or case.batch is None or any(t.initial is not None for t in case.trace.tracks):
            raise CannotInject("needs inputs, weights and no initial state")
        rows = np.flatnonzero(case.trace.mask.any(1))
        if case.trace.directions > 1 or rows.size < 2 or any(t.final is None for t in case.trace.tracks):
            raise CannotInject("needs one direction, two rows and every layer's state")
        first, second = int(rows[0]), int(rows[1])

        def begun(track: Track) -> Track:
            assert track.final is not None
            h = np.zeros_like(track.final)
            h[second] = track.final[first]
            c = None if track.cell is None else np.zeros_like(track.cell)
            if c is not None and track.cell is not None:
                c[second] = track.cell[first]
            return replace(track, initial=h, initial_cell=c)

        ran = case.with_tracks(begun).run(case.batch)
        tracks = tuple(replace(t, initial=None, initial_cell=None) for t in ran.tracks)
        return case.with_trace(replace(case.trace, tracks=tracks))


def _given(case: Case, facts: TrackFacts, whose: Ints) -> Bools:
    """`[B]`: rows that a run from those other rows' states gives to the end."""
    from rnninspect.diagnosis.evidence.starts import begun_elsewhere, final_states, started

    states = final_states(case)
    if states is None or case.batch is None or (whose < 0).all():
        return np.zeros(whose.shape, dtype=np.bool_)
    ran = started(case, begun_elsewhere(states, whose)).run(case.batch)
    return np.asarray((whose >= 0) & agreeing(case, ran)[facts.track.layer, facts.track.direction])


def _follow_on(case: Case, facts: TrackFacts, states: States, off: Ints, whose: Ints, carried: Bools) -> None:
    """Add to `whose` and `carried` `[B]` the rows, among those that start `off`, that go on from one whose c is not in
    the dump: the run that gives that row tells it. Row by row, each as far from its origin as the first ones are."""
    from rnninspect.diagnosis.evidence.agreement import given_by_all, only_rows
    from rnninspect.diagnosis.evidence.starts import begun_elsewhere, follows, started

    first = np.flatnonzero(carried)
    apart = set((first - whose[first]).tolist())
    if len(apart) != 1 or case.trace.mask.size > MOST_STEPS:
        return
    step, ended = apart.pop(), {key: (h, None if c is None else c.copy()) for key, (h, c) in states.items()}
    for row in first.tolist():
        while True:
            origin = np.full(carried.size, -1, dtype=np.int64)
            origin[row] = whose[row]
            starts = begun_elsewhere(ended, origin)
            alone = only_rows(started(case, starts), np.array([row]))
            assert alone.batch is not None
            ran = alone.run(alone.batch)
            if not given_by_all(alone, ran).all():
                break
            carried[row] = True
            for track in ran.tracks:
                _, cells = ended[track.layer, track.direction]
                if cells is not None and track.cell is not None:
                    cells[row] = track.cell[0]
            after = row + step
            if after not in off or carried[after]:
                break
            if not follows(case, facts, np.array([after]), np.array([row]), ended)[0]:
                break
            whose[after], row = row, after


def _tell(ends: Array, whose: Ints) -> Bools:
    """`[B]`: rows that began in a state `ends[whose[b]]` that others hardly end in too: one of saturated units alone is
    one of few, from which a row that read padding first seems to go on."""
    return np.asarray((whose >= 0) & ~saturated_units(ends[np.maximum(whose, 0)]).all(-1))


def _tells_its_start(facts: TrackFacts) -> Bools:
    """`[B]`: rows whose first step would be another from another state, as that of saturated units alone would not."""
    from rnninspect.diagnosis.evidence.starts import first_read

    first = gather(facts.outputs, np.arange(facts.ends.size), first_read(facts))
    return np.asarray(~saturated_units(first).all(-1))


def _how(rows: Ints, whose: Ints) -> str:
    """What the rows' starts have in common."""
    apart = set((rows - whose).tolist())
    if apart == {1}:
        return "one sequence was cut into rows"
    if len(apart) == 1:
        return f"the rows are pieces of longer sequences, {abs(apart.pop())} rows apart"
    return "state was carried to another row"


RULE = RowsChunked()
