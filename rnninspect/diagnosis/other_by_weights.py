"""What a second dump differs by, where a run of the weights gives the first one: the mistake is the other's, or both
have it and only the second is exact enough to show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rnninspect.core.trace import Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees, tolerance
from rnninspect.diagnosis.rule import Proposal, Rule
from rnninspect.diagnosis.weights_rule import WeightsRule
from rnninspect.measure.difference import differences

DRIFT = "precision-drift"
OPENING = "a run with these weights differs from the dump"


def causes_of_other(case: Case, rules: Mapping[str, Rule]) -> list[Proposal]:
    """The mistakes of weights by which the second dump was run with others than the first, which follows from these."""
    if case.other is None or not (case.has("inputs") and case.has("weights")) or not agrees(case):
        return []
    if not any(d.largest > 0 for d in differences(case.trace, case.other)):
        return []
    second = _second(case)
    proposals = [p for rule in rules.values() if second and isinstance(rule, WeightsRule) for p in rule.check(second)]
    return [
        replace(p, message=f"these weights give the first dump and not the second: {_of_second(p.message)}")
        for p in proposals
    ]


def causes_of_finer(case: Case, rules: Mapping[str, Rule]) -> list[Proposal]:
    """The mistakes of weights that only the second dump is exact enough to show, of which the first is a rounding."""
    if DRIFT not in rules or rules[DRIFT].missing(case) or not (case.has("inputs") and case.has("weights")):
        return []
    for undone in rules[DRIFT].undo(case) if agrees(case) else ():
        if tolerance(undone.case) >= tolerance(case) or agrees(undone.case):
            continue
        proposals = [p for r in rules.values() if isinstance(r, WeightsRule) for p in r.check(undone.case)]
        return [replace(p, message=f"with {undone.how} ({DRIFT}), {p.message}") for p in proposals]
    return []


def _of_second(message: str) -> str:
    return message.replace(OPENING, "a run with them differs from the second dump")


def _second(case: Case) -> Case | None:
    """The second dump in the first one's place; None where its outputs are not all there, or lie otherwise."""
    assert case.other is not None
    tracks: list[Track] = []
    for track in case.trace.tracks:
        other = case.other.track(track.layer, track.direction)
        if other is None or other.order != track.order or (other.outputs is None) != (track.outputs is None):
            return None
        if track.outputs is not None and other.outputs is not None and track.outputs.shape != other.outputs.shape:
            return None
        tracks.append(replace(track, outputs=other.outputs, final=other.final, cell=other.cell))
    alone = replace(case, other=None, other_batch=None, chunk=None)
    return alone.with_trace(replace(case.trace, tracks=tuple(tracks)))
