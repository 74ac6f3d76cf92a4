"""What a cause hid beside the states: padding and steps, looked at once more where its mistake is undone.

Asked only where every state that is off is explained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from rnninspect.core.trace import Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.cover import mismatched_places
from rnninspect.diagnosis.rule import Place, Proposal, Rule, Undone
from rnninspect.diagnosis.two_causes import is_too_large
from rnninspect.diagnosis.weights_rule import WeightsRule


def facts_beneath(
    case: Case, causes: Sequence[Rule], rules: Mapping[str, Rule], named: frozenset[str]
) -> Iterator[Proposal]:
    """What other rules say of the outputs once the `causes` are undone, but for what is `named` already.

    Where they cannot be undone, being several or of states alone, the states are put right by the outputs: what the
    causes imply is then left out.
    """
    right, told = with_right_states(case, cells=False), set(named)
    ways = [] if is_too_large(case) else _without(case, right, causes)
    symptoms = frozenset(name for cause in causes for name in cause.implies)
    leaves = frozenset(name for cause in causes for name in cause.leaves)
    for undone, implied in ways:
        for rule in rules.values():
            if rule in causes or rule.name in told or not _reads_outputs(rule, undone.case):
                continue
            checked = () if undone.case is case or rule.name in implied else rule.check(undone.case)
            for p in chain(checked, rule.of_outputs(undone.case)):
                if p.kind == "state" or p.certainty != "proven":
                    continue
                if rule.in_states and undone.case is right and case.reading.time_swapped:
                    continue  # states that were put right along these axes are one row's along the others
                if "outputs" not in rule.needs and undone.case is right and any(c.moves == "state" for c in causes):
                    continue  # states that stand in one another's places: put right by the outputs, two are one
                if rule.name in symptoms and not _stands_anyway(rule, p, case, right, undone.case):
                    continue
                if rule.name in leaves and _is_in_what_changed(p, case, undone.case):
                    continue
                told.add(rule.name)
                names = " and ".join(cause.name for cause in causes)
                message = f"with {undone.how} ({names}), {p.message}"
                yield replace(p, message=message, evidence=p.evidence | {"beneath": causes[0].name})


def _without(case: Case, right: Case, causes: Sequence[Rule]) -> list[tuple[Undone, frozenset[str]]]:
    """The case without these causes, and the rules whose findings they still leave; none where a cause is in the
    outputs, and no way of undoing it puts every state right. Where undoing changed the lengths, with those that were
    stated too, under which the states are put right."""
    implied = frozenset(name for cause in causes for name in cause.implies)
    if not any(facts.mismatched.any() for facts in case.facts) and not case.reading.time_swapped:
        return [(Undone("the states as they are", case), implied)]
    put_right = Undone("the states as they ought to be", right), implied
    in_outputs = any(cause.in_outputs for cause in causes)
    for undone in causes[0].undo(case) if len(causes) == 1 else ():
        if not any(facts.mismatched.any() for facts in undone.case.facts):
            as_stated = np.array_equal(case.trace.mask, undone.case.trace.mask)
            return [(undone, frozenset[str]()), *([] if as_stated or in_outputs else [put_right])]
    return [] if in_outputs else [put_right]


def _stands_anyway(rule: Rule, p: Proposal, case: Case, right: Case, undone: Case) -> bool:
    """Whether what may be a symptom of a cause is an error, and no matter of the lengths that undoing it changed: its
    rule says it with those that were stated too, as these are once the axes are those that were stated. `right`: the
    case with its states as they ought to be."""
    as_stated = case.reading.time_swapped and not undone.reading.time_swapped
    if p.severity == "note" or as_stated or np.array_equal(case.trace.mask, undone.trace.mask):
        return p.severity != "note"
    return any(p.kind != "state" and p.severity != "note" for p in rule.check(right))


def _is_in_what_changed(p: Proposal, case: Case, undone: Case) -> bool:
    """Whether a proposal is of a track whose outputs undoing changed."""
    changed = [a for a, b in zip(case.trace.tracks, undone.trace.tracks, strict=True) if a.outputs is not b.outputs]
    return any((track.layer, track.direction) == (layer, way) for track in changed for layer, way, _ in p.places)


def differences_beneath(case: Case, kept: Sequence[Rule], rules: Mapping[str, Rule]) -> list[Proposal]:
    """What two dumps differ by once one of the rules `kept` is undone, or by their states, where it is one of the
    outputs; empty where that explains no difference."""
    for cause in kept:
        for undone in chain(cause.undo(case), _states_for_outputs(case) if _tells_no_h(cause) else ()):
            for rule in rules.values():
                if rule.compares and "weights" not in rule.needs and not rule.missing(undone.case):
                    proposals = [p for p in rule.check(undone.case) if p.certainty == "proven"]
                    if proposals:
                        return [_beneath(p, undone, cause) for p in proposals]
    return []


def _tells_no_h(cause: Rule) -> bool:
    """Whether the outputs of such a dump are not the layer's own, or hold c: its states alone are compared."""
    return cause.in_outputs or cause.name == "outputs-are-cell-state"


def _states_for_outputs(case: Case) -> Iterator[Undone]:
    """Two dumps of which nothing is compared but the states h."""
    if case.other is not None and all(t.final is not None for t in (*case.trace.tracks, *case.other.tracks)):
        trace, other = (_of_states(trace) for trace in (case.trace, case.other))
        yield Undone("the states alone compared", replace(case.with_trace(trace), batch=None, other=other))


def _of_states(trace: Trace) -> Trace:
    """A trace of one step, whose outputs are the states."""
    tracks = tuple(replace(t, outputs=None if t.final is None else t.final[:, None]) for t in trace.tracks)
    one_step = np.ones((trace.batch_size, 1), dtype=np.bool_)
    return replace(trace, tracks=tracks, mask=one_step, lengths=None, mask_given=False)


def _beneath(p: Proposal, undone: Undone, cause: Rule) -> Proposal:
    message = f"with {undone.how} ({cause.name}), {p.message}"
    return replace(p, message=message, evidence=p.evidence | {"beneath": cause.name})


def states_beneath(case: Case, causes: Sequence[Rule], rules: Mapping[str, Rule]) -> Iterator[Proposal]:
    """What explains every state that is off once one of the causes is undone, where none is off before: outputs or
    lengths that are wrong themselves may agree with states that are wrong too."""
    if is_too_large(case) or any(facts.mismatched.any() for facts in case.facts):
        return
    for cause in causes:
        ways = [(undone, mismatched_places(undone.case)) for undone in cause.undo(case)]
        for undone, left in ways if all(left for _, left in ways) else ():  # none that leaves every state right
            others = [rule for rule in rules.values() if rule is not cause and not isinstance(rule, WeightsRule)]
            asked = [rule for rule in others if not rule.missing(undone.case)]
            whole = [p for rule in asked for p in rule.check(undone.case) if _explains(p, left)]
            if whole:
                best = max(whole, key=lambda p: p.strength)
                also = dict.fromkeys(p.rule for p in whole if p.rule != best.rule)
                yield replace(_beneath(best, undone, cause), alternatives=tuple(also)[:2])
                return


def _explains(p: Proposal, left: frozenset[Place]) -> bool:
    return p.kind == "state" and p.certainty == "proven" and left <= p.places


def with_right_states(case: Case, cells: bool = True) -> Case:
    """The case with every state that its outputs tell at the step that it ought to equal; itself where none is off.

    cells: whether c is left as it is: no output tells it.
    """
    right = {
        (f.track.layer, f.track.direction): np.where((f.expected >= 0)[:, None], f.at_end, f.final)
        for f in case.facts
        if f.mismatched.any()
    }
    if not right:
        return case

    def put_right(track: Track) -> Track:
        final = right.get((track.layer, track.direction), track.final)
        return replace(track, final=final, cell=track.cell if cells else None)

    return case.with_tracks(put_right)


def _reads_outputs(rule: Rule, case: Case) -> bool:
    """Whether a rule speaks of the outputs by themselves: what runs and second dumps tell, they told already."""
    if isinstance(rule, WeightsRule) or rule.compares or "weights" in rule.needs:
        return False
    return not rule.missing(case)
