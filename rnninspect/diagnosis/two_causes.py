"""Two mistakes at once: one is undone, and the other rules are checked on the remaining difference.

This is asked only where no one cause explains what is off. Two are named where the second one then explains every row
that is off, and rows that can tell: a pair that leaves a row is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fixes import fix_in
from rnninspect.diagnosis.rule import Place, Proposal, Rule, Undone, places
from rnninspect.measure.matching import same

MOST = 1 << 23  # numbers of outputs that the search reads again and again at most: a second or two
TELLING = 8  # numbers that must agree at least: two rows of four units, say


@frozen
class TwoCauses:
    """The mistake that was undone, and the one that explains the remaining difference."""

    first: Proposal
    second: Proposal

    @property
    def both(self) -> list[Proposal]:
        return [self.first, self.second]


def two_causes(case: Case, rules: Mapping[str, Rule]) -> TwoCauses | None:
    """The two mistakes that together give every state of the case; None where no two do.

    Of several such pairs the one whose second cause has the strongest evidence, the others' rules its alternatives.
    """
    if is_too_large(case):
        return None
    bare, states = _states_alone(case), [rule for rule in rules.values() if not rule.compares]
    pairs = [pair for rule in states if _may_be_undone(bare, rule) for pair in _pairs_with(bare, rule, rules)]
    pairs += [pair for rule in _of_two_dumps(case, rules) for pair in _pairs_with(case.with_weights(None), rule, rules)]
    if not pairs:
        return None
    best = max(pairs, key=lambda pair: (pair.second.certainty == "proven", pair.second.strength))
    named = {p.rule for p in best.both}
    first = dict.fromkeys(pair.first.rule for pair in pairs if pair.second.rule == best.second.rule)
    seconds = [pair.second.rule for pair in pairs if pair.first.rule == best.first.rule]
    second = dict.fromkeys((*best.second.alternatives, *seconds))
    return TwoCauses(
        replace(best.first, alternatives=tuple(name for name in first if name not in named)[:2]),
        replace(best.second, alternatives=tuple(name for name in second if name not in named)[:2]),
    )


def _of_two_dumps(case: Case, rules: Mapping[str, Rule]) -> list[Rule]:
    """The rules that explain what two dumps differ by, and do without weights."""
    return [rule for rule in rules.values() if rule.compares and "weights" not in rule.needs and not rule.missing(case)]


def _may_be_undone(case: Case, rule: Rule) -> bool:
    """Whether all that a rule needs is there, but for lengths: states may tell of a mistake without them."""
    return all(need == "lengths" for need in rule.missing(case))


def is_too_large(case: Case) -> bool:
    """Whether the outputs are too large to be read once for every mistake that may be undone."""
    return sum(facts.outputs.size for facts in case.facts) > MOST


def _states_alone(case: Case) -> Case:
    """The case without weights and other dumps: what rules say of its states by its outputs alone."""
    bare = replace(case.with_weights(None), other=None, other_batch=None, chunk=None)
    return bare.with_reading(case.reading, case.facts)


def _pairs_with(case: Case, rule: Rule, rules: Mapping[str, Rule]) -> Iterator[TwoCauses]:
    """The pairs of which this rule's mistake is the one that is undone."""
    mismatched = _mismatched(case)
    for undone in rule.undo(case):
        if _is_unchanged(case, undone.case):
            continue
        others = [other for other in rules.values() if other is not rule and not other.missing(undone.case)]
        others = [other for other in others if not other.reads_c or not _is_unchanged(case, undone.case, "cell")]
        for second in _whole_causes(undone, mismatched, others):
            beneath = _second(rule, undone, second, rules[second.rule])
            yield TwoCauses(_first(rule, undone, second, mismatched), beneath)


def _whole_causes(undone: Undone, mismatched: frozenset[Place], rules: list[Rule]) -> Iterator[Proposal]:
    """The rules that alone explain every state that is off once the first mistake is undone; `mismatched`: before."""
    left = _mismatched(undone.case)
    if not _can_tell(undone.case, mismatched):
        return
    for rule in rules if left else ():
        proposals = [
            p for p in rule.check(undone.case) if p.kind == "state" and p.certainty in ("proven", rule.at_best)
        ]
        explained = frozenset().union(*(p.places for p in proposals))
        if proposals and left <= explained and not any(p.copies and all(p.copies) for p in proposals):
            yield replace(max(proposals, key=lambda p: len(p.places)), places=explained)
    if left or undone.case.trace.knows_padding:
        return
    for rule in rules:  # of states that fit a reading of other axes, which no row shows to be off
        for p in rule.check(undone.case):
            if p.kind == "fact" and p.certainty == "proven" and p.severity == "error" and mismatched <= p.places:
                yield p


def _mismatched(case: Case) -> frozenset[Place]:
    return frozenset(place for facts in case.facts for place in places(facts, facts.mismatched))


def _can_tell(case: Case, mismatched: frozenset[Place]) -> bool:
    """Whether the states that were off, or are, hold numbers enough that are not zero, in rows whose steps differ.

    A state that undoing the first put right tells as much as one that the second explains.
    """
    telling = 0
    for facts in case.facts:
        track = facts.track
        off = [(track.layer, track.direction, b) in mismatched for b in range(facts.mismatched.size)]
        rows = (facts.mismatched | np.array(off, dtype=np.bool_)) & ~facts.uniform & ~facts.final_blank
        telling += int(np.count_nonzero(facts.final[rows]))
    return telling >= TELLING


def _is_unchanged(case: Case, undone: Case, state: Literal["final", "cell"] = "final") -> bool:
    """Whether undoing changed no such state, no output and no length: what is then explained is so without it."""
    if not np.array_equal(case.trace.mask, undone.trace.mask):
        return False
    for old, new in zip(case.trace.tracks, undone.trace.tracks, strict=True):
        for a, b in ((getattr(old, state), getattr(new, state)), (old.outputs, new.outputs)):
            if a is not b and (a is None or b is None or a.shape != b.shape or not same(a, b).all()):
                return False
    return True


def _first(rule: Rule, undone: Undone, second: Proposal, mismatched: frozenset[Place]) -> Proposal:
    message = (
        "{rows}: no single mistake gives this final_state.h; two together do, and this is one of them: with "
        f"{undone.how}, what remains is {second.rule}"
    )
    evidence = {"together_with": second.rule}
    return Proposal(rule.name, message, mismatched, rule.severity, second.certainty, evidence=evidence, fix=undone.fix)


def _second(rule: Rule, undone: Undone, second: Proposal, of_second: Rule) -> Proposal:
    message = f"{{rows}}: with {undone.how} ({rule.name}), {second.message.removeprefix('{rows}: ')}"
    evidence = second.evidence | {"together_with": rule.name}
    placed = fix_in(of_second, undone.case) if of_second.in_hand(undone.case) else ""
    return replace(second, message=message, evidence=evidence, fix=second.fix or placed)
