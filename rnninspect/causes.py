"""Chooses the smallest set of causes that explains what is off.

1. Rules propose causes; each reconstructs the rows that it explains.
2. Of the causes of states that are off, the one that explains the most rows is taken, then the one that explains most
   of what is left, until nothing more is explained (greedy set cover). Causes that explain the same rows no better are
   named as its alternatives, at most two.
3. A symptom whose cause was taken is not listed again (`Rule.implies`, on the rows of the cause).
4. What nothing explains is reported as unexplained, with the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from rnninspect import comparison
from rnninspect.case import Case
from rnninspect.report import SEVERITIES, Finding, NotChecked
from rnninspect.rules.base import Place, Proposal, Rule, in_words, listed, places, rows_of

UNEXPLAINED = "unexplained-state"
UNEXPLAINED_DIFFERENCE = "unexplained-difference"


@dataclass(frozen=True)
class Judgement:
    """The findings, worst first, and the rules that could not be checked."""

    findings: list[Finding]
    not_checked: list[NotChecked]


def judge(case: Case, rules: Mapping[str, Rule]) -> Judgement:
    """Every rule's proposals, reduced to the smallest set of causes."""
    proposals: list[Proposal] = []
    skipped: list[NotChecked] = []
    for rule in rules.values():
        missing = [need for need in rule.needs if not case.has(need)]
        if missing:
            skipped.append(NotChecked(rule.name, f"needs {' and '.join(missing)}"))
        else:
            proposals.extend(rule.check(case))
    off = frozenset(place for facts in case.facts for place in places(facts, facts.off))
    causes = _cover(off, [p for p in proposals if p.kind == "state"])
    kept = causes + [p for p in proposals if p.kind != "state"]
    kept = _without_symptoms(kept, rules)
    left = off - frozenset().union(*(p.places for p in causes))
    findings = [_finding(p, left, case, rules[p.rule]) for p in kept]
    if left and not causes:
        findings.append(_unexplained(case, left))
    if any(d.largest > 0 for d in case.differences) and not any(rules[p.rule].compares for p in kept):
        findings.append(_unexplained_difference(case))
    findings.sort(key=lambda f: (SEVERITIES.index(f.severity), -f.explains, f.rule, f.layer or 0, f.direction or ""))
    return Judgement(_merged(findings), skipped)


def _cover(off: frozenset[Place], proposals: list[Proposal]) -> list[Proposal]:
    """Greedy set cover of the places that are off, strongest evidence first among equals."""
    chosen: list[Proposal] = []
    left = off
    while left:
        gains = [(len(p.places & left), p.strength, p) for p in proposals]
        best = max(gains, key=lambda g: (g[0], g[1]), default=None)
        if best is None or best[0] == 0:
            break
        gain, strength, proposal = best
        equals = [
            p.rule for g, s, p in gains if g == gain and s == strength and p.places & left == proposal.places & left
        ]
        others = tuple(dict.fromkeys(r for r in (*proposal.alternatives, *equals) if r != proposal.rule))
        chosen.append(replace(proposal, alternatives=others[:2]))
        left -= proposal.places
    return chosen


def _without_symptoms(proposals: list[Proposal], rules: Mapping[str, Rule]) -> list[Proposal]:
    """Leaves out what another proposal implies on all of its rows."""
    kept = []
    for p in proposals:
        causes = [q for q in proposals if p.rule in rules[q.rule].implies]
        rows = set(rows_of(p.places))
        explained = {row for q in causes for row in rows_of(q.places)}
        if not causes or not rows <= explained:
            kept.append(p)
    return kept


def _finding(p: Proposal, left: frozenset[Place], case: Case, rule: Rule) -> Finding:
    tracks = {(layer, direction) for layer, direction, _ in p.places}
    layer, direction = next(iter(tracks)) if len(tracks) == 1 else (None, None)
    rows = rows_of(p.places)
    unexplained = rows_of(left) if p.kind == "state" else []
    message = p.message + (f"; rows {listed(unexplained)} remain unexplained" if unexplained else "")
    return Finding(
        rule=p.rule,
        severity=p.severity,
        certainty=p.certainty,
        message=message,
        layer=layer,
        direction=direction,
        rows=rows,
        steps=list(p.steps),
        explains=len(p.places),
        unexplained=unexplained,
        alternatives=list(p.alternatives),
        evidence=p.evidence,
        fix=case.convention.fixes.get(rule.fix, ""),
    )


def _merged(findings: Iterable[Finding]) -> list[Finding]:
    """One finding a rule and message: tracks that say the same are one."""
    merged: dict[tuple[str, str], Finding] = {}
    for f in findings:
        key = (f.rule, f.message)
        if key in merged:
            first = merged[key]
            same_direction = first.direction == f.direction
            f = replace(
                first,
                layer=first.layer if first.layer == f.layer else None,
                direction=first.direction if same_direction else None,
                rows=sorted({*first.rows, *f.rows}),
                explains=first.explains + f.explains,
            )
        merged[key] = f
    return list(merged.values())


def _unexplained_difference(case: Case) -> Finding:
    """Two dumps that differ by more than rounding, and no rule says why: the first differing steps are what is left."""
    worst = max(case.differences, key=lambda d: d.largest)
    row, step, unit = worst.worst()
    return Finding(
        rule=UNEXPLAINED_DIFFERENCE,
        severity="error",
        certainty="suspected",
        message=(
            f"the two dumps differ by up to {worst.largest:.3g} over real steps, most at row {row}, step {step}, unit "
            f"{unit} of {worst.track.name}: {comparison.in_words(case.differences)}"
        ),
        rows=sorted({int(b) for d in case.differences for b in np.flatnonzero(d.first >= 0)}),
        evidence={"largest": worst.largest},
        fix="",
    )


def _unexplained(case: Case, left: frozenset[Place]) -> Finding:
    """The rows that no rule explains, with the nearest step of the worst of them."""
    worst = max(
        ((facts, row) for facts in case.facts for row in np.flatnonzero(facts.off)),
        key=lambda item: float(item[0].distance[item[1]]),
    )
    facts, row = worst
    rows = rows_of(left)
    return Finding(
        rule=UNEXPLAINED,
        severity="error",
        certainty="proven",
        message=(
            f"{in_words(rows, case.trace.batch_size)}: the final state is not the output of the last real step, and no "
            f"known mistake reconstructs it; row {row} ({facts.track.name}) comes nearest to step "
            f"{facts.nearest[row]}, {facts.distance[row]:.3g} away"
        ),
        rows=rows,
        unexplained=rows,
        evidence={"nearest_step": int(facts.nearest[row]), "row": int(row)},
        fix="",
    )
