"""Mends a dump by its own arrays: judge, carry out the fix of one finding, judge again, until nothing is wrong.

The arrays are written in place: the tracks of a case are views of them, so that what is mended in a track is mended in
the dump's own layout. What a fix leaves behind (c of a state gathered anew, the layers below) must be seen to be right,
and where two causes are possible that are mended in two ways, one must be chosen; else the whole is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from rnninspect.api import inspect
from rnninspect.api.carry_out import Change, carried_out, first_line, refusal
from rnninspect.api.direction_taken import Make, check_direction, reading_joined, reading_two
from rnninspect.api.fix_write import Arrays
from rnninspect.api.taken_anew import all_taken_anew
from rnninspect.core.finding import Finding
from rnninspect.core.trace import Array
from rnninspect.core.wording import argument
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import Rule, describe_rows
from rnninspect.diagnosis.rules import rules as every_rule
from rnninspect.diagnosis.verdict import untested, verdict
from rnninspect.errors import UserError
from rnninspect.measure.run_ends import contradicts_lengths, run_ends
from rnninspect.report.report import Report

LAST_BITS = 1e-6  # of the largest number
MOST = 8  # mistakes one behind the other


@dataclass(frozen=True, eq=False)
class Fixed:
    """A corrected dump: its arrays by name, what was changed (empty if all was right), and the report on it."""

    arrays: Mapping[str, Array]
    changes: tuple[Change, ...]
    report: Report


def mend(
    make: Make, arrays: Arrays, judge: Callable[[Case], Report], causes: Collection[str] = ()
) -> tuple[tuple[Change, ...], Report]:
    """Mend `arrays` in place, and say what was changed; the report is of the arrays as they are then.

    Args: `make`: the case that the arrays make, whose tracks are views of them. `judge`: its report. `causes`: rules
    that are to be believed wherever the arrays do not tell them from others.

    Raises: UserError where something is wrong that the arrays cannot mend, where they do not tell what is wrong, where
    nothing can be judged, and where a cause that was chosen is nowhere possible.
    """
    changes: list[Change] = []
    for _ in range(MOST):
        case = make(arrays)
        report = judge(case)
        if report.shape["directions"] > case.trace.directions:
            make = reading_two(make)
            case = make(arrays)
        elif report.shape["layers"] < case.trace.layers:
            make = reading_joined(make)
            case = make(arrays)
        case = inspect.prepared(case)
        wrong = [f for f in report.findings if _is_wrong(f, case)]
        if not wrong:
            report = _as_facts(report, case)
            _check_finished(case, report, [c for c in causes if c not in {change.rule for change in changes}])
            check_direction(case, changes)
            return tuple(changes), report
        if _took_last_bits(case, arrays):
            continue
        pair = [f for f in wrong if "together_with" in f.evidence]
        first, way = _of_a_pair(pair, case, make, arrays, judge) if pair else (None, 0)
        finding = first or next((f for f in wrong if _is_mendable(f, case, causes)), None)
        if finding is None:
            change = all_taken_anew(wrong, report.findings, case, make, arrays)
            if change is None:
                raise UserError(refusal(wrong[0], case))
            changes.append(change)
            continue
        seen = _ways(finding, case)[way]
        finding = _with_rows_of_its_pair(_decided(finding, seen, make, arrays, causes), report, seen)
        finding = _with_rows_of_its_notes(finding, report)
        _check_outputs(finding, report, seen)
        if changes and (finding.rule, tuple(finding.rows)) == (changes[-1].rule, changes[-1].rows):
            raise UserError(
                f"{finding.rule}: {first_line(finding)}: that was done, and it is still there; run the layer again"
            )
        changes.append(carried_out(every_rule()[finding.rule], finding, seen, arrays))
    raise UserError(f"{wrong[0].rule}: it is still there after {MOST} changes; run the layer again")


def _took_last_bits(case: Case, arrays: Arrays) -> bool:
    """Whether states were read with their last bits taken for those of the outputs, and now lie in the arrays so: what
    is to be mended is mended there."""
    taken = False
    for slot in case.dump.slots:
        array = arrays.get(slot.name)
        if slot.role == "h" and array is not None and array.shape == slot.array.shape:
            alike = np.array_equal(array, slot.array, equal_nan=array.dtype.kind in "fc")
            few = array.dtype == slot.array.dtype and not alike
            if few and _are_near(array, slot.array):
                array[...] = slot.array
                taken = True
    return taken


def _are_near(one: Array, other: Array) -> bool:
    limit = LAST_BITS * float(np.abs(one[np.isfinite(one)]).max(initial=0.0))
    return np.allclose(one, other, rtol=0, atol=limit, equal_nan=True)


def _of_a_pair(
    pair: list[Finding], case: Case, make: Make, arrays: Arrays, judge: Callable[[Case], Report]
) -> tuple[Finding | None, int]:
    """Of two mistakes found together the one to mend first, and which of `_ways` shows its fix: after it the fewest
    are left. None where no such fix leaves a known mistake alone."""
    tried: list[tuple[int, Finding, int]] = []
    for finding in pair:
        for way in range(len(_ways(finding, case))):
            left = _left_after(finding, way, make, arrays, judge)
            tried += [(left, finding, way)] if left is not None else []
    return min(tried, key=lambda t: t[0])[1:] if tried else (None, 0)


def _left_after(finding: Finding, way: int, make: Make, arrays: Arrays, judge: Callable[[Case], Report]) -> int | None:
    """How many mistakes are left after this fix; None where it cannot be carried out, or leaves an unknown one."""
    copies = {name: array.copy() for name, array in arrays.items()}
    case = inspect.prepared(make(copies))
    rule, seen = every_rule()[finding.rule], _ways(finding, case)[way]
    if not rule.mends(seen):
        return None
    try:
        carried_out(rule, _with_rows_of_its_pair(finding, judge(case), seen), seen, copies)
        mended = make(copies)
    except UserError:
        return None
    left = [f for f in judge(mended).findings if _is_wrong(f, inspect.prepared(mended))]
    return None if any(f.rule not in every_rule() for f in left) else len(left)


def _ways(finding: Finding, case: Case) -> list[Case]:
    """The case, and how it is where what the finding was found together with is undone: its fix may show there alone.
    What the fix writes must be the dump's own then, and not made by undoing."""
    rule, other = every_rule().get(finding.rule), every_rule().get(finding.evidence.get("together_with", ""))
    ways = [case]
    if rule is None or other is None:
        return ways
    for undone in other.undo(case):
        code = rule.code(undone.case)
        written = ("outputs",) if re.search(r"\boutputs\w* =", code) else ("final", "cell")
        reads = ("outputs",) if "outputs" in code.partition("#")[0] else ()
        if all(
            getattr(a, name) is getattr(b, name)
            for a, b in zip(case.trace.tracks, undone.case.trace.tracks, strict=True)
            for name in (*written, *reads)
        ):
            ways.append(undone.case)
    return ways


def _with_rows_of_its_pair(finding: Finding, report: Report, case: Case) -> Finding:
    """The finding with the rows of the one that it was found together with, where its fix takes every state anew from
    the outputs: whose those were does not matter then."""
    rule, other = every_rule()[finding.rule], finding.evidence.get("together_with")
    if rule.moves != "h" or "outputs[" not in rule.code(rule.seen_as(case)).partition("#")[0]:
        return finding
    rows = {row for f in report.findings if f.rule == other for row in f.rows}
    return replace(finding, rows=sorted(rows.union(finding.rows)))


def _with_rows_of_its_notes(finding: Finding, report: Report) -> Finding:
    """The finding with the rows of notes of its rule, where every row is explained: what is pooled is so in both
    directions, though in one the padding shows and in the other it does not."""
    if any(f.rule not in every_rule() for f in report.findings):
        return finding
    rows = {row for f in report.findings if f.rule == finding.rule and f.severity == "note" for row in f.rows}
    return replace(finding, rows=sorted(rows.union(finding.rows))) if rows else finding


def _check_outputs(finding: Finding, report: Report, case: Case) -> None:
    """Raise UserError where the fix takes h from outputs that are not what the layer gave."""
    rules = every_rule()
    changed = [f.rule for f in report.findings if f.rule in rules and rules[f.rule].in_outputs]
    code = rules[finding.rule].code(rules[finding.rule].seen_as(case)).partition("#")[0]
    if changed and finding.rule not in changed and "outputs" in code:
        raise UserError(
            f"{finding.rule}: its fix takes h from the outputs, and these are not what the layer gave "
            f"({', '.join(changed)}): these arrays are not enough; run again: {first_line(finding)}"
        )


def _check_finished(case: Case, report: Report, unused: list[str]) -> None:
    """Raise UserError unless the arrays could have failed, and nothing in them speaks against the lengths."""
    if report.verdict == "unjudged":
        raise UserError(f"whether it is right cannot be judged: {report.untested}. Give {report.would_decide}")
    if unused:
        raise UserError(f"{argument('cause', unused[0])}: it is not a possible cause of what is wrong in these arrays")
    for facts in case.facts:
        ends = run_ends(facts)
        rows = contradicts_lengths(facts) & ~facts.zero[:, -1]
        if rows.sum() > 1 and rows[ends > 0].all():
            row = int(np.flatnonzero(rows)[0])
            raise UserError(
                f"the lengths: the outputs of {describe_rows(np.flatnonzero(rows).tolist(), rows.size)} stop changing "
                f"at other steps than these say (row {row} at step {ends[row] - 1}, its length is {facts.ends[row]}): "
                "the run had other lengths; state those, or run again"
            )


def _as_facts(report: Report, case: Case) -> Report:
    """The report with what no change can mend as a note: a row without a real step is no mistake of the dump."""
    findings = [replace(f, severity="note") if f.severity == "warning" else f for f in report.findings]
    told = report.verdict if report.verdict == "unjudged" else verdict(findings, untested(case))
    return replace(report, findings=findings, verdict=told)


def _causes_of(finding: Finding) -> list[str]:
    """The rules that may be its cause, itself first."""
    return [name for name in (finding.rule, *finding.alternatives) if name in every_rule()]


def _is_mendable(finding: Finding, case: Case, causes: Collection[str] = ()) -> bool:
    """Whether its rule mends the case's own arrays, or that of the alternative that was chosen."""
    chosen = [name for name in _causes_of(finding) if name in causes] or [finding.rule]
    rule = every_rule().get(chosen[0])
    return rule is not None and rule.mends(case)


def _is_wrong(finding: Finding, case: Case) -> bool:
    """Errors, and warnings that can be mended or that only a new run mends; the others are facts of the data."""
    if finding.severity != "warning":
        return finding.severity == "error"
    return _is_mendable(finding, case) or every_rule()[finding.rule].fixed_in == "run"


def _decided(finding: Finding, case: Case, make: Make, arrays: Arrays, causes: Collection[str]) -> Finding:
    """The finding with the one cause that is to be mended; UserError where another would be mended in another way."""
    possible = _causes_of(finding)
    chosen = next((name for name in possible if name in causes), None)
    if chosen is not None:
        others = [name for name in possible if name != chosen]
        return replace(finding, rule=chosen, alternatives=[], message=_as_chosen(finding, chosen, others))
    rule = every_rule()[finding.rule]
    where = f" ({describe_rows(finding.rows, case.trace.batch_size)})" if finding.rows else ""
    if undecided := rule.undecided(case):
        raise UserError(
            f"{rule.name}{where}: {undecided}; or {argument('cause', rule.name)} where {rule.chosen_where(case)}"
        )
    if len(possible) == 1:
        return finding
    outcomes = [_outcome(every_rule()[name], finding, make, arrays) for name in possible]
    likeliest = outcomes[0]
    if likeliest is None or all(other is not None and _are_equal(likeliest, other) for other in outcomes[1:]):
        return finding
    decides = finding.evidence.get("would_decide", "inputs and weights, to run the layer again")
    choices = " or ".join(argument("cause", name) for name in possible)
    raise UserError(f"{' or '.join(possible)}{where}, which have different fixes: give {decides}; or choose: {choices}")


def _as_chosen(finding: Finding, chosen: str, others: list[str]) -> str:
    if not others:
        return finding.message
    rows = describe_rows(finding.rows, max(finding.rows, default=0) + 1).partition(" (")[0]
    return f"{rows}: {every_rule()[chosen].summary} (chosen; these arrays also allow {' or '.join(others)})"


def _outcome(rule: Rule, finding: Finding, make: Make, arrays: Arrays) -> Arrays | None:
    """The arrays as this rule would mend them; None where it cannot."""
    copies = {name: array.copy() for name, array in arrays.items()}
    case = inspect.prepared(make(copies))
    if not rule.mends(case):
        return None
    try:
        carried_out(rule, finding, case, copies)
    except UserError:
        return None
    return copies


def _are_equal(one: Arrays, other: Arrays) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(array, other[name], equal_nan=array.dtype.kind in "fc") for name, array in one.items()
    )
