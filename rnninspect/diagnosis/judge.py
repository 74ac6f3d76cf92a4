"""Chooses the smallest set of causes that explains what is off.

1. Rules propose causes; each reconstructs the rows that it explains.
2. Of the causes of states that are off, the one that explains the most rows is taken, then the one that explains most
   of what is left, until nothing more is explained (`cover`). Causes that explain the same rows no better are named as
   its alternatives, at most two. Where that leaves a state, two causes are sought that give every state together
   (`two_causes`).
3. Where every state is explained, what the causes hid is looked for beneath them: padding and steps (`facts_beneath`),
   and the mistake of the weights where a run of them gives other numbers and nothing says why (`weights_beneath`, and
   `starts_beneath` where rows began in a state that nobody stated).
4. A symptom whose cause was taken is not listed again (`Rule.implies`, on the rows of the cause).
5. What nothing explains is reported as unexplained, with the numbers (`unexplained`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import partial

from rnninspect.core.finding import SEVERITIES, Finding, NotChecked
from rnninspect.core.frozen import frozen
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.cover import cause_of_both, cover, explained_by, mismatched_places, united, without_symptoms
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.faults import skipping_faults
from rnninspect.diagnosis.fixes import fix_in, lacking
from rnninspect.diagnosis.own_names import in_own_names
from rnninspect.diagnosis.rule import Place, Proposal, Rule, describe_rows, describe_tracks, listed, rows_of
from rnninspect.diagnosis.rules import Rules
from rnninspect.diagnosis.unexplained import (
    UNEXPLAINED,
    UNEXPLAINED_DIFFERENCE,
    ended_elsewhere,
    unexplained_states,
    unlike_its_weights,
)


@frozen
class Judgement:
    """The findings, worst first, and the rules that could not be checked.

    `spoiled`: rows whose state is where it ought to be and yet wrong, with the rule whose cause spoils them. `noted`:
    rows whose state is none of their steps by what a note says, and no mistake, with the rule that says so.
    """

    findings: list[Finding]
    not_checked: list[NotChecked]
    spoiled: Mapping[Place, str] = field(default_factory=dict)
    noted: Mapping[Place, str] = field(default_factory=dict)


def judge(case: Case, rules: Mapping[str, Rule], seek_two: bool = True, in_numbers: bool = True) -> Judgement:
    """Every rule's proposals, reduced to the smallest set of causes; `seek_two`: of two at once too, if need be;
    `in_numbers`: what nothing explains is told in numbers, and not named alone."""
    skipped: list[NotChecked] = []
    proposals = united(list(_proposals(case, rules, skipped)))
    failed = {s.rule for s in skipped if s.failed}
    sound = {name: rule for name, rule in rules.items() if name not in failed} if failed else rules
    causes = cover(case, [p for p in proposals if p.kind == "state"])
    pair = _two_causes(case, causes, sound, skipped) if seek_two else []
    causes = pair or ([] if _ended_elsewhere(case, causes) else causes)
    pair = pair if len({p.rule for p in pair}) > 1 else []  # of one, a cause that a run told, more may lie beneath
    left = mismatched_places(case) - explained_by(causes)
    in_pair = {p.rule for p in pair}  # what such a rule says besides is no third mistake
    besides = [p for p in proposals if p.kind != "state" and p.rule not in in_pair]
    kept = without_symptoms(causes + besides, rules, spared=pair)
    if seek_two and not left:
        above, kept = kept, _with_hidden(case, kept, causes, pair, sound, skipped)
        if not pair and (one := cause_of_both(causes, [p for p in kept if p not in above], proposals)):
            kept = _with_hidden(case, without_symptoms(one + besides, rules, spared=[]), one, pair, sound, skipped)
    findings = [_finding(p, left, case, rules[p.rule]) for p in kept]
    if left and not any(p.severity == "error" for p in causes):
        findings.append(unexplained_states(case, left, in_numbers))
    comparing = [p for p in kept if rules[p.rule].compares]  # a mistake may lie beneath the rounding that a note tells
    if seek_two and case.other is not None and all(rules[p.rule].severity == "note" for p in comparing):
        hidden = [] if comparing else _differences_beneath(case, [rules[p.rule] for p in kept], sound, skipped)
        hidden = hidden or _of_the_other_dump(case, sound, skipped)
        findings += [_finding(p, left, case, rules[p.rule]) for p in hidden]
    comparing_rules = any(rules[f.rule].compares for f in findings if f.rule in rules)
    if case.other is not None:
        from rnninspect.diagnosis.other_by_itself import differences_of

        alone = partial(_findings_of_alone, rules=rules)
        findings += differences_of(case, [rules[p.rule] for p in kept], findings, rules, alone)
    if not comparing_rules and _has_weights(case):
        findings.extend(_unlike_its_weights(case, kept, rules) if not left else [])
    findings.sort(key=lambda f: (SEVERITIES.index(f.severity), -f.explains, f.rule, f.layer or 0, f.direction or ""))
    spoiled = {place: p.rule for p in kept for place in p.spoils}
    mistaken = explained_by(p for p in kept if p.kind == "state" and p.severity != "note")
    notes = [p for p in kept if p.kind == "state" and p.severity == "note"]
    noted = {place: p.rule for p in notes for place in p.places - mistaken}
    return Judgement(findings, skipped, spoiled, noted)


def _proposals(case: Case, rules: Mapping[str, Rule], skipped: list[NotChecked]) -> Iterator[Proposal]:
    """What each rule proposes; rules that lack something, or fail, are put among the `skipped`."""
    for name in rules:
        missing = rules.missing(name, case) if isinstance(rules, Rules) else rules[name].missing(case)
        if missing:
            skipped.append(NotChecked(name, lacking(missing, case)))
            continue
        with skipping_faults(name, skipped):
            yield from list(rules[name].check(case))


def _two_causes(
    case: Case, causes: list[Proposal], rules: Mapping[str, Rule], skipped: list[NotChecked]
) -> list[Proposal]:
    """Two causes that explain every state together, where `causes` leave one unexplained or are only suspected."""
    suspected = [p for p in causes if p.certainty == "suspected"]
    doubted = suspected if len(causes) == 1 else [p for p in suspected if rules[p.rule].at_best != "suspected"]
    left = mismatched_places(case) - explained_by(causes)
    copied = any(p.copies and all(p.copies) for p in causes)
    if not left and not doubted and not copied:
        return []
    from rnninspect.diagnosis.outputs_by_run import outputs_by_run
    from rnninspect.diagnosis.states_lost import cause_beside_lost
    from rnninspect.diagnosis.two_causes import two_causes

    with skipping_faults(UNEXPLAINED, skipped):
        together = two_causes(case, rules) if left or doubted else None
        if together is not None and (
            left
            or len(causes) > 1
            or together.second.certainty == "proven"
            or together.first.rule == causes[0].rule  # the second explains what is left once the one cause is undone
        ):
            return together.both
        beside = cause_beside_lost(case, causes, rules) if left or copied else []
        return beside or (outputs_by_run(case, rules) if left else [])
    return []


def _ended_elsewhere(case: Case, causes: list[Proposal]) -> bool:
    """Whether causes leave states unexplained, and all that are off are where the outputs end: one run of other lengths
    gave them, and not a cause for some and nothing for the rest."""
    off = mismatched_places(case)
    return bool(off - explained_by(causes)) and ended_elsewhere(case, off) is not None


def _with_hidden(
    case: Case,
    kept: list[Proposal],
    causes: list[Proposal],
    pair: list[Proposal],
    rules: Mapping[str, Rule],
    skipped: list[NotChecked],
) -> list[Proposal]:
    """What was `kept`, and the mistakes of padding, steps and weights that the causes hid."""
    swapped = [p for p in kept if case.reading.time_swapped and p.kind == "fact" and p.severity == "error"]
    hiding = swapped or causes or [p for p in kept if p.kind == "fact" and p.severity == "error"]
    above = kept
    if hiding and not pair:
        kept = _with_facts_beneath(case, hiding, kept, rules, skipped)
    hidden = [p for p in kept if p not in above]  # which stand, though a cause implies them
    if not _may_lack_weights(case, [rules[p.rule] for p in kept]):
        return kept
    beneath = _weights_beneath(case, kept, rules, skipped)
    beneath += _states_beneath(case, beneath, rules, skipped)
    implied = {name for p in beneath for name in rules[p.rule].implies}  # one of the pair may be a symptom of these
    spared = beneath + [p for p in (*pair, *hidden) if p.rule not in implied]
    return without_symptoms(kept + beneath, rules, spared=spared)


def _with_facts_beneath(
    case: Case, causes: list[Proposal], kept: list[Proposal], rules: Mapping[str, Rule], skipped: list[NotChecked]
) -> list[Proposal]:
    """What was `kept`, and what the causes hid beside the states, without the symptoms of that."""
    from rnninspect.diagnosis.facts_beneath import facts_beneath, states_beneath

    beneath: list[Proposal] = []
    with skipping_faults(causes[0].rule, skipped):
        hiding = [rules[name] for name in dict.fromkeys(n for p in causes for n in _names(case, p))]
        beside = [p for p in kept if p not in causes]
        told = {name for p in kept for name in (p.rule, *p.alternatives)}
        unmade = [p for p in causes if p.rule not in _names(case, p)] if case.reading.time_swapped else beside
        told = told.union(*(rules[p.rule].implies for p in unmade))
        beneath = [*facts_beneath(case, hiding, rules, frozenset(told))]
        hiding += [rules[p.rule] for p in beneath]
        beneath += states_beneath(case, hiding, rules)
    implied = {name for p in beneath for name in rules[p.rule].implies}
    return [p for p in (*kept, *beneath) if p in causes or p.rule not in implied]


def _names(case: Case, p: Proposal) -> tuple[str, ...]:
    """The rule of a cause; of a reading of other axes the alternative, which can be undone, if there is one."""
    return p.alternatives[:1] if case.reading.time_swapped and p.alternatives else (p.rule,)


def _states_beneath(
    case: Case, beneath: list[Proposal], rules: Mapping[str, Rule], skipped: list[NotChecked]
) -> list[Proposal]:
    """The states that are wrong though the outputs, wrong by what a run of the weights told, agree with them."""
    from rnninspect.diagnosis.facts_beneath import states_beneath

    with skipping_faults(UNEXPLAINED, skipped):
        return list(states_beneath(case, [rules[p.rule] for p in beneath], rules))
    return []


def _differences_beneath(
    case: Case, kept: list[Rule], rules: Mapping[str, Rule], skipped: list[NotChecked]
) -> list[Proposal]:
    """What two dumps differ by beneath a cause."""
    from rnninspect.diagnosis.facts_beneath import differences_beneath

    with skipping_faults(UNEXPLAINED_DIFFERENCE, skipped):
        return differences_beneath(case, kept, rules)
    return []


def _findings_of_alone(case: Case, rules: Mapping[str, Rule]) -> list[Finding]:
    return judge(case, rules, seek_two=False).findings


def _of_the_other_dump(case: Case, rules: Mapping[str, Rule], skipped: list[NotChecked]) -> list[Proposal]:
    """The mistake of the weights that a second dump was run with."""
    from rnninspect.diagnosis.other_by_weights import causes_of_finer, causes_of_other

    with skipping_faults(UNEXPLAINED_DIFFERENCE, skipped):
        return causes_of_finer(case, rules) or causes_of_other(case, rules)
    return []


def _unlike_its_weights(case: Case, kept: list[Proposal], rules: Mapping[str, Rule]) -> list[Finding]:
    """What a run of the weights gives otherwise, where no cause that was `kept` may be why: all are in states alone,
    and the dump was read by its usual axes."""
    causes = [p for p in kept if p.kind == "state" or p.severity == "error"]
    in_padding = all(p.kind == "padding" for p in causes)  # which says nothing of a c, if the real steps are the run's
    if not causes or (in_padding and agrees(case)):
        return list(unlike_its_weights(case))
    if case.reading.time_swapped or not all(rules[p.rule].in_states for p in causes) or agrees(case):
        return []
    # Undone, since a cause may be in the outputs as well: in the order of their rows, say.
    undone = (way.case for p in causes for way in rules[p.rule].undo(case))
    return [] if any(agrees(one) for one in undone) else list(unlike_its_weights(case))


def _has_weights(case: Case) -> bool:
    """Whether the weights can be run on the inputs."""
    return case.has("inputs") and case.has("weights")


def _may_lack_weights(case: Case, named: list[Rule]) -> bool:
    """Whether there are weights, and no rule that was named says what a run of them differs by."""
    return _has_weights(case) and not any(r.compares or "weights" in r.needs for r in named)


def _weights_beneath(
    case: Case, kept: list[Proposal], rules: Mapping[str, Rule], skipped: list[NotChecked]
) -> list[Proposal]:
    """The mistake of the weights that the causes `kept` hid."""
    from rnninspect.diagnosis.starts_beneath import starts_beneath
    from rnninspect.diagnosis.states_by_run import states_by_run
    from rnninspect.diagnosis.steps_by_states import steps_by_states
    from rnninspect.diagnosis.weights_beneath import weights_beneath
    from rnninspect.diagnosis.weights_by_states import leaves_states_alone, weights_by_states

    with skipping_faults(UNEXPLAINED_DIFFERENCE, skipped):
        told = frozenset(p.rule for p in kept)
        beneath = weights_beneath(case, rules, told)
        if beneath or beneath is None:
            return beneath or []
        alone = leaves_states_alone([rules[name] for name in told])
        symptoms = {name for p in kept if p.kind == "state" for name in rules[p.rule].implies}
        by_states = weights_by_states(case) or states_by_run(case, rules, told | symptoms) if alone else []
        by_states = by_states or (steps_by_states(case, rules, told) if alone else [])
        return by_states or starts_beneath(case, rules, told)
    return []


def _finding(p: Proposal, left: frozenset[Place], case: Case, rule: Rule) -> Finding:
    tracks = sorted({(layer, direction) for layer, direction, _ in p.places}, key=lambda t: (t[0], t[1] != "forward"))
    rows = rows_of(p.places)
    which_rows = describe_rows(rows, case.trace.batch_size)
    if len(case.facts) > 1 and tracks:
        which_rows += f" of {describe_tracks(tracks)}"
    layer = tracks[0][0] if len({layer for layer, _ in tracks}) == 1 else None
    unexplained = rows_of(left) if p.kind == "state" else []
    rest = f"; row{'s' if len(unexplained) > 1 else ''} {listed(unexplained)} still unexplained" if unexplained else ""
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
        fix=in_own_names(case, p.fix) or fix_in(rule, case, layer),
        why=rule.why,
    )
