"""The state is near the expected step and equal to none: it comes from a second run, or another precision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.finding import Certainty, Severity
from rnninspect.core.tiles import release
from rnninspect.core.trace import Array, Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fix_code import as_called
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal
from rnninspect.measure.facts import TrackFacts

DRIFT = 0.02  # of the largest state: what bfloat16 (8 bits) loses over some hundred steps
GLANCE = 8  # units that tell most outputs from a state
FEW = 8  # rows that a pool is tried on first
APART = 4.0  # the second nearest step must be this many times farther than the nearest


class StateFromAnotherRun(Rule):
    name = "state-from-another-run"
    severity: Severity = "warning"
    summary = (
        "the state is close to the expected step, but equal to no step: it is from another run, device or precision"
    )
    why = (
        "Outputs and state come from two calls (another session.run, dropout switched off, another device), or one "
        "of them was cast to a lower precision. They agree only up to the difference between the two calls."
    )
    fix = "outputs, state = layer(inputs, lengths)  # both from one call, at one precision"
    group = "What the state holds"
    place = 6
    at_best: Certainty = "suspected"
    needs = ("outputs", "lengths")
    threads = (
        Thread(
            "https://github.com/keras-team/keras/issues/6216",
            "Two predictions of one trained model agree to about 1e-6 and are not equal.",
        ),
        Thread(
            "https://github.com/schmidt-ju/crat-pred/issues/8",
            "The initial state is drawn at random at each call, so that two calls never agree.",
        ),
        Thread(
            "https://github.com/tensorflow/tensorflow/issues/14663",
            "Two runs of one graph with dropout differ although the seed is the same.",
        ),
    )

    def fitted(self, case: Case, theirs: str) -> str:
        return as_called(case, theirs)

    def check(self, case: Case) -> Iterable[Proposal]:
        seen = [Seen(facts, _near_expected(facts)) for facts in case.facts]
        seen = [s for s in seen if s.rows.any()]
        worst = max((float(_expected_distance(s.facts)[s.rows].max()) for s in seen), default=0.0)
        yield from proposal(
            self,
            seen,
            f"{{rows}}: final_state.h is close to the expected step, within {worst:.2g}, but equals no step: "
            "outputs and state come from two runs, or one was cast",
            certainty="suspected",
            evidence={"tolerance_that_would_pass": worst},
        )

    def undo(self, case: Case) -> Iterable[Undone]:
        snapped = {id(facts.track): _nearest_outputs(case, facts) for facts in case.facts}
        moved = {track: states for track, states in snapped.items() if states is not None}
        if any(id(f.track) in moved and _is_beyond_rounding(case, f.final, moved[id(f.track)]) for f in case.facts):
            yield Undone(
                "each state taken for the output that it is nearest to",
                case.with_tracks(lambda t: replace(t, final=moved[id(t)]) if id(t) in moved else t),
            )

        pooled = {id(facts.track): _nearest_pools(facts) for facts in case.facts}
        if any(states is not None for states in pooled.values()):

            def taken(track: Track) -> Track:
                states = pooled.get(id(track))
                return track if states is None else replace(track, final=states)

            yield Undone("each state taken for the pool of its row that it is nearest to", case.with_tracks(taken))

    def inject(self, case: Case) -> Case:
        tracks = [t for t in case.trace.tracks if t.final is not None and t.final.dtype.kind == "f"]
        if not tracks or case.trace.mask.sum() < 2:
            raise CannotInject("needs states of a floating type")

        def drifted(track: Track) -> Track:
            if track.final is None:
                return track
            drift = 1 + DRIFT / 20 * np.cos(np.arange(track.final.size)).reshape(track.final.shape)
            return replace(track, final=(track.final * drift).astype(track.final.dtype))

        return case.with_tracks(drifted)


def _is_beyond_rounding(case: Case, states: Array, outputs: Array) -> bool:
    """Whether these `[B, H]` differ by more than the tolerance: what rounding moved is of no second run."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(states.astype(np.float64) - outputs.astype(np.float64))
        return bool((apart > case.tolerance.atol + case.tolerance.rtol * np.abs(outputs)).any())


def _nearest_outputs(case: Case, facts: TrackFacts) -> Array | None:
    """`[B, H]`: the states, those that equal no step of their own as the output of any row that they are near; None
    where there are none, or one of them is not clearly nearest to one output."""
    off = facts.mismatched & ~facts.equal.any(1) & ~facts.final_zero
    if not off.any() or not np.isfinite(facts.final[off]).all():
        return None
    states, allowed = facts.final.copy(), DRIFT * float(np.abs(facts.final[off].astype(np.float64)).max())
    places = [f.outputs for f in case.facts if f.outputs.shape[2:] == facts.final.shape[1:]]
    for row in np.flatnonzero(off):
        near = _near(places, facts.final[row], APART * allowed)
        if near is None:
            return None
        outputs, distances = near
        best = int(distances.argmin())
        others = (outputs != outputs[best]).any(1)  # a masked step may repeat it
        second = float(distances[others].min(initial=np.inf))
        if distances[best] > allowed or second < APART * distances[best]:
            return None
        states[row] = outputs[best]
    return states


def _nearest_pools(facts: TrackFacts) -> Array | None:
    """`[B, H]`: the states, those that are off as the pool of their row's steps that all of them are near; None where
    they are near no one pool, or one of them is near the step that it ought to equal."""
    off = np.flatnonzero(facts.mismatched & ~facts.final_zero)
    if off.size < 2 or not np.isfinite(facts.final[off]).all() or facts.equal[off].any():
        return None
    allowed = DRIFT * float(np.abs(facts.final[off].astype(np.float64)).max())
    if (_expected_distance(facts)[off] <= APART * allowed).all():
        return None
    from rnninspect.diagnosis.evidence.pooling import is_pool, pool_values, pools_of

    for pool in pools_of(facts):
        if is_pool(facts, pool, off[:FEW], allowed, GLANCE).all() and is_pool(facts, pool, off, allowed).all():
            states = facts.final.copy()
            states[off] = pool_values(facts, pool, off)
            return states
    return None


def _near(places: list[Array], state: Array, limit: float) -> tuple[Array, Array] | None:
    """The outputs `[N, H]` of which no unit is farther than `limit` from the state's, and their distances `[N]`; a few
    units are looked at first, which leaves hardly any."""
    picked_near = []
    for outputs in places:
        glance = np.abs(outputs[..., :GLANCE] - state[:GLANCE]).max(-1) <= limit
        picked_near.append(outputs[glance])
        release(outputs)
    picked = np.concatenate(picked_near).astype(np.float64)
    distances = np.abs(picked - state.astype(np.float64)).max(-1)
    kept = distances <= limit
    return (picked[kept], distances[kept]) if kept.any() else None


def _expected_distance(facts: TrackFacts) -> Array:
    """`[B]`: the largest absolute difference between the state and the expected step."""
    outputs = facts.at_end.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(outputs - facts.final.astype(np.float64)).max(-1))


def _near_expected(facts: TrackFacts) -> Bools:
    """`[B]`: rows that are off, equal no step, and lie near the expected one and clearly nearer than to any other."""
    unmatched = facts.mismatched & ~facts.equal.any(1)
    if not unmatched.any():
        return unmatched
    distance = _expected_distance(facts)
    finite = np.abs(facts.final[np.isfinite(facts.final).all(-1)].astype(np.float64))
    scale = finite.max(initial=0.0)
    rows: Bools = unmatched & (distance <= DRIFT * scale)
    if not rows.any():  # the outputs need not be searched for the nearest steps
        return rows
    rows &= facts.nearest == facts.expected
    second = facts.distance + np.where(np.isnan(facts.margin), np.inf, facts.margin)  # of all steps, padded ones too
    clear = rows & (second >= APART * distance)
    for b in np.flatnonzero(rows & ~clear):
        clear[b] = _distance_to_others(facts, int(b)) >= APART * distance[b]
    return np.asarray(rows if clear.sum() * 2 >= rows.sum() else clear)


def _distance_to_others(facts: TrackFacts, row: int) -> float:
    """From the row's state to the nearest of its other real steps; infinity where there is none."""
    others = facts.mask[row].copy()
    others[facts.expected[row]] = False
    gaps = np.abs(facts.outputs[row, others].astype(np.float64) - facts.final[row].astype(np.float64)).max(-1)
    release(facts.outputs)
    return float(gaps.min(initial=np.inf))


RULE = StateFromAnotherRun()
