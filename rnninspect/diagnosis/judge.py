"""Chooses the smallest set of causes that explains what is off.

1. Rules propose causes; each reconstructs the rows that it explains.
2. Of the causes of states that are off, the one that explains the most rows is taken, then the one that explains most
   of what is left, until nothing more is explained (greedy set cover). Causes that explain the same rows no better are
   named as its alternatives, at most two. Where that leaves a state, two causes are sought that give every state
   together (`two_causes`). Where a run of the weights gives other numbers and nothing says why, their mistake is sought
   beneath the others (`weights_beneath`).
3. A symptom whose cause was taken is not listed again (`Rule.implies`, on the rows of the cause).
4. What nothing explains is reported as unexplained, with the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from typing import Any

import numpy as np

from rnninspect.core.finding import FAILED, SEVERITIES, Finding, NotChecked
from rnninspect.core.frozen import frozen
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.first_differences import explain
from rnninspect.diagnosis.evidence.one_step import first_bad_steps
from rnninspect.diagnosis.evidence.weight_search import compared, disagreement, lower_precision
from rnninspect.diagnosis.facts_beneath import facts_beneath
from rnninspect.diagnosis.fixes import fix_in, lacking
from rnninspect.diagnosis.rule import Place, Proposal, Rule, describe_rows, listed, places, rows_of
from rnninspect.diagnosis.two_causes import is_too_large, two_causes
from rnninspect.diagnosis.unseen_states import states_unlike_the_run
from rnninspect.diagnosis.weights_beneath import weights_beneath
from rnninspect.errors import UserError
from rnninspect.measure.difference import TrackDifference

UNEXPLAINED = "unexplained-state"
UNEXPLAINED_DIFFERENCE = "unexplained-difference"


@frozen
class Judgement:
    """The findings, worst first, and the rules that could not be checked.

    `spoiled`: rows whose state is where it ought to be and yet wrong, with the rule whose cause spoils them.
    """

    findings: list[Finding]
    not_checked: list[NotChecked]
    spoiled: Mapping[Place, str] = field(default_factory=dict)


def judge(case: Case, rules: Mapping[str, Rule], seek_two: bool = True) -> Judgement:
    """Every rule's proposals, reduced to the smallest set of causes; `seek_two`: of two at once too, if need be."""
    proposals: list[Proposal] = []
    skipped: list[NotChecked] = []
    for rule in rules.values():
        missing = rule.missing(case)
        if missing:
            skipped.append(NotChecked(rule.name, lacking(missing, case)))
            continue
        with _survived(rule.name, skipped):
            proposals.extend(list(rule.check(case)))
    proposals = _united(proposals)
    mismatched = frozenset(place for facts in case.facts for place in places(facts, facts.mismatched))
    zero = frozenset(place for facts in case.facts for place in places(facts, facts.final_zero))
    causes = _cover(mismatched, zero, [p for p in proposals if p.kind == "state"])
    together = None
    failed = {s.rule for s in skipped if s.failed}
    sound = {name: rule for name, rule in rules.items() if name not in failed}
    if seek_two and _are_too_few(causes, mismatched):
        with _survived(UNEXPLAINED, skipped):
            together = two_causes(case, sound)
    if together is not None:
        causes = together.both
    kept = causes + [p for p in proposals if p.kind != "state"]
    kept = _without_symptoms(kept, rules, causes if together is not None else [])
    left = mismatched - frozenset().union(*(p.places for p in causes))
    if seek_two and not left and len(causes) == 1:
        with _survived(causes[0].rule, skipped):
            named = frozenset(p.rule for p in proposals)
            kept = kept + list(facts_beneath(case, rules[causes[0].rule], sound, named))
    if seek_two and not left and _may_lack_weights(case, [rules[p.rule] for p in kept]):
        with _survived(UNEXPLAINED_DIFFERENCE, skipped):
            beneath = weights_beneath(case, sound, frozenset(p.rule for p in kept))
            kept = _without_symptoms([*kept, *beneath], rules, [*beneath, *(together.both if together else [])])
    findings = [_finding(p, left, case, rules[p.rule]) for p in kept]
    if left and not any(p.severity == "error" for p in causes):
        findings.append(_unexplained(case, left))
    if not any(rules[p.rule].compares for p in kept):
        findings.extend(_unexplained_difference(case.differences, "the two dumps differ"))
        if (
            not causes
            and not any(f.severity == "error" for f in findings)
            and case.has("inputs")
            and case.has("weights")
        ):
            findings.extend(_unlike_its_weights(case))
    findings.sort(key=lambda f: (SEVERITIES.index(f.severity), -f.explains, f.rule, f.layer or 0, f.direction or ""))
    return Judgement(findings, skipped, {place: p.rule for p in kept for place in p.spoils})


@contextmanager
def _survived(name: str, skipped: list[NotChecked]) -> Iterator[None]:
    """A fault of one rule loses nothing that the others found: it is put among the rules that were skipped."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as bug:
        skipped.append(_failed(name, bug))


def _failed(name: str, bug: Exception) -> NotChecked:
    """A rule's own fault; its traceback goes to the log."""
    import logging

    logging.getLogger("rnninspect").debug("rule %s failed", name, exc_info=bug)
    shown = (str(bug).splitlines() or [""])[0][:200]
    return NotChecked(name, f"{FAILED}{type(bug).__name__}{': ' if shown else ''}{shown} (please report this)")


def _united(proposals: list[Proposal]) -> list[Proposal]:
    """Merge proposals that state the same mistake for several tracks."""
    united: dict[tuple[str, str, str], Proposal] = {}
    for p in proposals:
        key = (p.rule, p.message, p.severity)
        if key in united:
            p = replace(p, places=united[key].places | p.places, spoils=united[key].spoils | p.spoils)
        united[key] = p
    return list(united.values())


def _cover(mismatched: frozenset[Place], zero: frozenset[Place], proposals: list[Proposal]) -> list[Proposal]:
    """Greedy set cover of the places that are off, strongest evidence first among equals.

    States of all zeros (`zero`) equal any zeroed step, so they count only where nothing else tells two causes apart.
    """
    chosen: list[Proposal] = []
    left = mismatched
    while left:
        useful = [p for p in proposals if p.places & left]
        if not useful:
            break
        gains = [((len(p.places & left - zero), p.strength, len(p.places & left)), p) for p in useful]
        gain, proposal = max(gains, key=lambda g: g[0])
        alike = [p.rule for g, p in gains if p.places & left == proposal.places & left and (g == gain or not gain[0])]
        others = tuple(dict.fromkeys(r for r in (*proposal.alternatives, *alike) if r != proposal.rule))
        chosen.append(replace(proposal, alternatives=others[:2]))
        left -= proposal.places
    return chosen


def _are_too_few(causes: list[Proposal], mismatched: frozenset[Place]) -> bool:
    """Whether these causes leave a state unexplained, or are only suspected."""
    return any(p.certainty == "suspected" for p in causes) or bool(
        mismatched - frozenset().union(*(p.places for p in causes))
    )


def _may_lack_weights(case: Case, named: list[Rule]) -> bool:
    """Whether there are weights, and no rule that was named says what a run of them differs by."""
    return case.has("inputs") and case.has("weights") and not any(r.compares or "weights" in r.needs for r in named)


def _without_symptoms(proposals: list[Proposal], rules: Mapping[str, Rule], together: list[Proposal]) -> list[Proposal]:
    """Leaves out what another proposal implies on all of its rows, but for two causes that hold together."""
    kept = []
    for p in proposals:
        causes = [q for q in proposals if p.rule in rules[q.rule].implies]
        rows = set(rows_of(p.places))
        explained = {row for q in causes for row in rows_of(q.places)}
        if not causes or not rows <= explained or p in together:
            kept.append(p)
    return kept


def _finding(p: Proposal, left: frozenset[Place], case: Case, rule: Rule) -> Finding:
    tracks = sorted({(layer, direction) for layer, direction, _ in p.places}, key=lambda t: (t[0], t[1] != "forward"))
    rows = rows_of(p.places)
    which_rows = describe_rows(rows, case.trace.batch_size)
    if len(case.facts) > 1 and tracks:
        which_rows += f" of {' and '.join(f'layer {layer} {direction}' for layer, direction in tracks)}"
    layer = tracks[0][0] if len({layer for layer, _ in tracks}) == 1 else None
    unexplained = rows_of(left) if p.kind == "state" else []
    rest = f"; rows {listed(unexplained)} remain unexplained" if unexplained else ""
    return Finding(
        rule=p.rule,
        severity=p.severity,
        certainty=p.certainty,
        message=p.message.replace("{rows}", which_rows) + rest,
        layer=layer,
        direction=tracks[0][1] if len({direction for _, direction in tracks}) == 1 else None,
        rows=rows,
        steps=list(p.steps),
        explains=len(p.places),
        unexplained=unexplained,
        alternatives=list(p.alternatives),
        evidence=p.evidence,
        fix=p.fix or fix_in(rule, case, layer),
        why=rule.why,
    )


def _unlike_its_weights(case: Case) -> Iterator[Finding]:
    """A dump that no run of its weights gives, though every state is where it ought to be."""
    if disagreement(case) == 0:
        yield from states_unlike_the_run(case, UNEXPLAINED)
        return
    lower = lower_precision(case)
    if lower is not None:
        yield _drift(case, lower)
        return
    bad = list(first_bad_steps(case))
    bad_steps = listed((f"step {step} of row {row} {direction}" for direction, row, step, _ in bad), 4)
    for finding in _unexplained_difference(
        compared(case, case.reference),
        "a run with these weights gives other numbers, and no known conversion explains it (other weights, dropout, "
        "or an attribute that was not stated?): they differ",
    ):
        more = f"; the first that do not follow from the dump's own step before: {bad_steps}" if bad else ""
        evidence = {"first_bad_steps": [[direction, row, step, count] for direction, row, step, count in bad[:64]]}
        yield replace(finding, message=finding.message + more, evidence=finding.evidence | evidence)


def _drift(case: Case, precision: str) -> Finding:
    """The dump is as far from the run as one in a lower precision is: autocast, or a cast on the way."""
    largest = disagreement(case)
    return Finding(
        rule="precision-drift",
        severity="note",
        certainty="suspected",
        message=(
            f"a run with these weights differs from the dump by up to {largest:.2g} over real steps, no more than "
            f"one in {precision} would (autocast, or a cast on the way)"
        ),
        rows=sorted({int(b) for d in compared(case, case.reference) for b in np.flatnonzero(d.first >= 0)}),
        evidence={"largest": largest, "precision": precision},
    )


def _unexplained_difference(differences: list[TrackDifference], opening: str) -> Iterator[Finding]:
    """Report numbers that differ by more than rounding without a known cause, by the first steps that differ."""
    worst = max(differences, key=lambda d: d.largest, default=None)
    if worst is None or worst.largest == 0:
        return
    row, step, unit = worst.worst()
    yield Finding(
        rule=UNEXPLAINED_DIFFERENCE,
        severity="error",
        certainty="suspected",
        message=(
            f"{opening} by up to {worst.largest:.3g} over real steps, most at row {row}, step {step}, unit {unit} of "
            f"{worst.track.name}: {explain(differences)}"
        ),
        rows=sorted({int(b) for d in differences for b in np.flatnonzero(d.first >= 0)}),
        evidence={"largest": worst.largest},
        fix="",
    )


def _unexplained(case: Case, left: frozenset[Place]) -> Finding:
    """The rows that no rule explains: where each comes from, or how near the worst of them comes to a step."""
    rows = rows_of(left)
    origins = dict(_origins(case, left))
    clauses = [f"row {row} equals outputs[{b}, {t}]" for row, (b, t) in origins.items()]
    evidence: dict[str, Any] = {"origins": [[row, b, t] for row, (b, t) in list(origins.items())[:64]]}
    sought = np.array([row for row in rows if row not in origins], dtype=np.int64)
    unmatched = [(f, off[f.distance[off].argmax()]) for f in case.facts if (off := sought[f.mismatched[sought]]).size]
    if unmatched:
        facts, row = max(unmatched, key=lambda item: float(item[0].distance[item[1]]))
        near = int(facts.nearest[row])
        clauses.append(f"row {row} ({facts.track.name}) comes nearest to step {near}, {facts.distance[row]:.3g} away")
        evidence |= {"nearest_step": near, "row": int(row)}
    alone = " (two mistakes at once were not tried: the outputs are too large for that)" if is_too_large(case) else ""
    return Finding(
        rule=UNEXPLAINED,
        severity="error",
        certainty="proven",
        message=(
            f"{describe_rows(rows, case.trace.batch_size)}: the final state is not the output of the last real step, "
            f"and no known mistake reconstructs it{alone}; {listed(clauses, 6)}"
        ),
        rows=rows,
        unexplained=rows,
        evidence=evidence,
        fix="",
    )


def _origins(case: Case, left: frozenset[Place]) -> Iterator[tuple[int, tuple[int, int]]]:
    """For each of these rows whose state equals some output of its track: the first (row, step), its own row first."""
    for facts in case.facts:
        rows = np.zeros(facts.ends.size, dtype=np.bool_)
        rows[
            [b for layer, direction, b in left if (layer, direction) == (facts.track.layer, facts.track.direction)]
        ] = True
        for row, hits in case.elsewhere(facts, rows & ~facts.final_zero).items():
            if hits:
                yield row, min(hits, key=lambda place: (place[0] != row, place))
