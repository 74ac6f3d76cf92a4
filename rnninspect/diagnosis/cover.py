"""The fewest causes that explain every state that is off: greedy set cover over what the rules propose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import Place, Proposal, Rule, places, rows_of


def mismatched_places(case: Case) -> frozenset[Place]:
    """The rows, by layer and direction, whose final state is not the output that it ought to equal."""
    return frozenset(place for facts in case.facts for place in places(facts, facts.mismatched))


def explained_by(causes: Iterable[Proposal]) -> frozenset[Place]:
    """The places that at least one of these causes explains."""
    return frozenset().union(*(p.places for p in causes))


def united(proposals: list[Proposal]) -> list[Proposal]:
    """Merge proposals that state the same mistake for several tracks."""
    united: dict[tuple[str, str, str], Proposal] = {}
    for p in proposals:
        key = (p.rule, p.message, p.severity)
        if key in united:
            before = united[key]
            p = replace(p, places=before.places | p.places, spoils=before.spoils | p.spoils, copies=_joined(before, p))
        united[key] = p
    return list(united.values())


def _joined(one: Proposal, other: Proposal) -> tuple[frozenset[Place], ...]:
    """The groups of two proposals that copy one another, of those alone whose every group is off."""
    whole = [p.copies for p in (one, other) if p.copies and all(p.copies)]
    if len(whole) < 2 or len(whole[0]) != len(whole[1]):
        return whole[0] if len(whole) == 1 else ()
    return tuple(a | b for a, b in zip(*whole, strict=True))


def cover(case: Case, proposals: list[Proposal]) -> list[Proposal]:
    """Greedy set cover of the mismatched places, strongest evidence first among equals.

    States of all zeros equal any zeroed step, and those of another fill any filled one, so they count only where
    nothing else tells two causes apart, and every cause that explains them is an alternative, though it explains
    others besides.
    """
    proposals = _with_originals_apart(proposals)
    blank = frozenset(place for facts in case.facts for place in places(facts, facts.final_blank))
    chosen: list[Proposal] = []
    left = mismatched_places(case)
    while left:
        useful = [p for p in proposals if p.places & left]
        if not useful:
            break
        gains = [((len(p.places & left - blank) - _originals(p), p.strength, len(p.places & left)), p) for p in useful]
        gain, proposal = max(gains, key=lambda g: g[0])
        here = proposal.places & left
        equal = [p for g, p in gains if p.places & left == here and (g == gain or proposal.rule in p.alternative_of)]
        alike = [p.rule for p in (equal if gain[0] else useful) if here <= p.places]
        others = tuple(dict.fromkeys(r for r in (*proposal.alternatives, *alike) if r != proposal.rule))
        chosen.append(replace(proposal, alternatives=others[:2]))
        left -= proposal.places
    return chosen


def cause_of_both(causes: list[Proposal], beneath: list[Proposal], proposals: list[Proposal]) -> list[Proposal]:
    """The proposal of a rule that was found `beneath` the causes and gives all of their rows itself: that one mistake
    is enough, where the others would need it besides. Empty where no rule is."""
    explained = explained_by(causes)
    again = {p.rule for p in beneath} - {p.rule for p in causes}
    whole = [p for p in proposals if p.kind == "state" and p.rule in again and explained <= p.places]
    return [max(whole, key=lambda p: p.strength)] if causes and whole else []


def _with_originals_apart(proposals: list[Proposal]) -> list[Proposal]:
    """The proposals, those of copies without the group that another cause explains where every group of them is off,
    and without their alternatives on that group."""
    originals = [(p, _original(p, proposals)) for p in proposals]
    apart: dict[str, frozenset[Place]] = {}
    for p, group in originals:
        for name in p.alternatives if group else ():
            apart[name] = apart.get(name, frozenset()) | group
    kept = [(p, group) for p, group in originals if not p.places <= apart.get(p.rule, frozenset())]
    return [replace(p, places=p.places - group, copies=()) if group else p for p, group in kept]


def _originals(p: Proposal) -> int:
    """How many of the places are originals that are off by another cause, which nothing explains so far."""
    return min(map(len, p.copies)) if p.copies else 0


def _original(copied: Proposal, proposals: list[Proposal]) -> frozenset[Place]:
    """The group of copies that another cause explains; empty where one group is right, or no other cause does."""
    others = [p for p in proposals if not (p.copies and all(p.copies)) and p.rule not in copied.alternatives]
    if len(copied.copies) > 1 and all(copied.copies):
        for group in copied.copies:
            if any(group <= p.places and not copied.places <= p.places for p in others):
                return group
    return frozenset()


def without_symptoms(proposals: list[Proposal], rules: Mapping[str, Rule], spared: list[Proposal]) -> list[Proposal]:
    """Leave out what another proposal implies on all of its rows, except the `spared` ones, what explains states of
    other tracks than that one does, and mistakes where that one is a note: it names none, and may not hide one."""
    kept = []
    for p in proposals:
        causes = [q for q in proposals if p.rule in rules[q.rule].implies]
        causes = [q for q in causes if q.severity != "note" or p.severity == "note"]
        if p.kind == "state":
            causes = [q for q in causes if q.kind != "state" or _tracks_of(p) & _tracks_of(q)]
        rows = set(rows_of(p.places))
        explained = {row for q in causes for row in rows_of(q.places)}
        if not causes or not rows <= explained or p in spared:
            kept.append(p)
    return kept


def _tracks_of(p: Proposal) -> frozenset[tuple[int, str]]:
    return frozenset((layer, direction) for layer, direction, _ in p.places)
