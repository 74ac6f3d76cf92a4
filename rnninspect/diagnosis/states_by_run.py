"""States that are wrong beside outputs that are not what the layer gave: a run of the weights tells what it was.

Outputs that were dropped, overwritten or exchanged for c agree with no step, and where one buffer holds every step they
agree with whatever the states are. The run's own steps are put in their place, and the states that are theirs, but for
by which two right runs may differ, taken for them; the other rules then see these states alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.cover import explained_by, mismatched_places
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.diagnosis.rule import Proposal, Rule
from rnninspect.diagnosis.two_causes import is_too_large
from rnninspect.diagnosis.weights_by_states import gives_states
from rnninspect.diagnosis.weights_rule import WeightsRule, everywhere
from rnninspect.measure.choose_reading import Tolerance

TELLING = 8  # numbers that states must end in to tell at least
GLANCE = 4  # units by which a state's steps are looked for first
MOST = 1 << 24  # steps that all states are set beside


def states_by_run(case: Case, rules: Mapping[str, Rule], named: frozenset[str]) -> list[Proposal]:
    """What explains every state that the weights do not end in, beneath the causes and symptoms `named`: a step, a row
    or a pool of the run that was taken for it, or another run: of other inputs, or from another initial state."""
    if case.weights is None or case.batch is None or case.other is not None or is_too_large(case):
        return []
    ends = [np.count_nonzero(track.final) for track in case.reference.tracks if track.final is not None]
    if sum(ends) < TELLING or gives_states(case, case.reference):
        return []
    if "lengths-ignored" in named and any(gives_states(case, run) for run in _runs(case)):
        return []  # the run read on over the padding, which is told
    others = [rule for rule in rules.values() if rule.name not in named and not isinstance(rule, WeightsRule)]
    return _of_its_steps(case, others) or _of_another_run(case, others)


def _of_its_steps(case: Case, rules: list[Rule]) -> list[Proposal]:
    """The strongest proposals of one rule that explain every state that is off beside the outputs of a run: one that
    ends where rows do, or that reads on."""
    for run in _runs(case):
        beside = _beside(case, run)
        left = frozenset() if beside is None else mismatched_places(beside)
        if beside is None or not left:
            continue
        whole = []
        for rule in rules:
            if rule.compares or "weights" in rule.needs or rule.missing(beside):
                continue
            proposals = [p for p in rule.check(beside) if p.kind == "state" and p.certainty == "proven"]
            if proposals and left <= explained_by(proposals):
                whole.append(proposals)
        if whole:
            best = max(whole, key=lambda proposals: max(p.strength for p in proposals))
            also = tuple(dict.fromkeys(p.rule for proposals in whole for p in proposals if p.rule != best[0].rule))
            return [_by_run(p, also[:2]) for p in best]
    return []


def _by_run(p: Proposal, also: tuple[str, ...]) -> Proposal:
    message = f"{{rows}}: beside a run of these weights, {p.message.removeprefix('{rows}: ')}"
    return replace(p, message=message, alternatives=also)


def _of_another_run(case: Case, rules: list[Rule]) -> list[Proposal]:
    """The rule whose mistake in inputs or initial states, undone, leaves a run that ends in every state."""
    for rule in rules:
        for undone in rule.undo(case):
            if _runs_otherwise(case, undone.case) and gives_states(undone.case, undone.case.reference):
                message = f"with {undone.how}, a run with these weights ends in every final state; without, in others"
                return [Proposal(rule.name, message, everywhere(case), rule.severity, kind="fact")]
    return []


def _runs_otherwise(case: Case, undone: Case) -> bool:
    """Whether the states are those of the case, and a run of it is another."""
    tracks = list(zip(case.trace.tracks, undone.trace.tracks, strict=True))
    if any(a.final is not b.final for a, b in tracks) or not np.array_equal(case.trace.mask, undone.trace.mask):
        return False
    return case.batch is not undone.batch or any(a.initial is not b.initial for a, b in tracks)


def _runs(case: Case) -> Iterator[Trace]:
    """The run that ends where rows do, and one that reads their padding too."""
    yield case.reference
    if case.batch is not None and not case.batch.mask.all():
        full = np.ones(case.batch.mask.shape, dtype=np.bool_)
        yield case.run(replace(case.batch, mask=full, lengths=None, mask_given=False))


def _beside(case: Case, run: Trace) -> Case | None:
    """The case with the outputs of a run, and its states as the steps that they are; None where they are too many."""
    if case.trace.batch_size * case.trace.mask.size > MOST:
        return None
    limit, bare = tolerance(case), case.with_weights(None)
    changed: dict[tuple[int, str], Track] = {}
    for track in case.trace.tracks:
        ran = run.track(track.layer, track.direction)
        outputs = None if ran is None else ran.outputs
        if track.outputs is None or track.final is None or outputs is None or outputs.shape != track.outputs.shape:
            continue
        changed[track.layer, track.direction] = replace(
            track, outputs=outputs, final=_as_steps(np.asarray(track.final), np.asarray(outputs), limit)
        )
    if not changed:
        return None
    beside = bare.with_tracks(lambda track: changed.get((track.layer, track.direction), track))
    return beside.with_tolerance(Tolerance(atol=max(limit, case.tolerance.atol), rtol=case.tolerance.rtol))


def _as_steps(final: Array, outputs: Array, limit: float) -> Array:
    """`[B, H]`: each state as the step of `outputs` `[B, T, H]` nearest to it, of any row, its own first, if within
    `limit`; else as it is."""
    taken = final.copy()
    steps = outputs.reshape(-1, outputs.shape[2]).astype(np.float64)
    for b, state in enumerate(final.astype(np.float64)):
        near = np.flatnonzero((np.abs(steps[:, :GLANCE] - state[:GLANCE]) <= limit).all(1))
        gaps = np.abs(steps[near] - state).max(1, initial=0.0)
        near, gaps = near[gaps <= limit], gaps[gaps <= limit]
        if near.size:
            in_row = near // outputs.shape[1] == b
            best = near[np.lexsort((gaps, ~in_row))[0]]
            taken[b] = outputs.reshape(-1, outputs.shape[2])[best].astype(final.dtype)
    return taken
