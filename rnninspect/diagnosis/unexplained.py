"""What no rule explains, with the numbers: states, and outputs that differ from a second dump's or from a run's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect.core.finding import Finding
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees, compared, largest, lower_precision
from rnninspect.diagnosis.fix_code import lengths_as
from rnninspect.diagnosis.own_names import in_own_names
from rnninspect.diagnosis.rule import Place, describe_rows, listed, rows_of
from rnninspect.measure.difference import TrackDifference
from rnninspect.measure.run_ends import ends_of_outputs, states_end_elsewhere

UNEXPLAINED = "unexplained-state"
FEW_NUMBERS, CLOSE = 4, 1e-5  # numbers that are one multiple by no chance, and how closely they are it
UNEXPLAINED_DIFFERENCE = "unexplained-difference"


def unexplained_states(case: Case, left: frozenset[Place], in_numbers: bool = True) -> Finding:
    """The states `left` by every rule; `in_numbers`: which step each equals, or how near the worst of them comes to
    one, for which all steps are read."""
    from rnninspect.diagnosis.two_causes import is_too_large

    rows = rows_of(left)
    ended = ended_elsewhere(case, left)
    if ended is not None:
        return ended
    clauses, evidence = _where_they_are(case, left) if in_numbers else ([], {})
    factor = common_factor(case)
    if factor is not None:
        clauses.insert(0, f"in every row the last real output is {factor:.4g} times the final state")
    alone = " (two mistakes at once were not tried: the outputs are too large for that)" if is_too_large(case) else ""
    computed = in_numbers and not evidence["origins"] and _all_equal_no_step(case)
    may_be = (
        "; if it was computed from the layer's final state (by a dense layer, a sum, a norm), give the final "
        "state itself"
    )
    return Finding(
        rule=UNEXPLAINED,
        severity="error",
        certainty="suspected" if computed else "proven",
        message=(
            f"{describe_rows(rows, case.trace.batch_size)}: the final state is not the output of the last real step, "
            f"and no known mistake reconstructs it{alone}; {listed(clauses, 6)}{may_be if computed else ''}"
        ),
        rows=rows,
        unexplained=rows,
        evidence=evidence,
        fix="",
    )


def _all_equal_no_step(case: Case) -> bool:
    """Whether no state equals an output of its row, and no run of weights says what it should be: it may be a function
    of the right one."""
    return case.weights is None and not any((f.equal.any(1) & ~f.final_zero).any() for f in case.facts)


def common_factor(case: Case) -> float | None:
    """The one factor that the outputs at the expected steps are times the states, in every number; None without one."""
    pairs = [(f.at_end[rows], np.asarray(f.final[rows])) for f in case.facts if (rows := f.expected >= 0).any()]
    if not pairs:
        return None
    ends, states = (np.concatenate([np.ravel(pair[i]) for pair in pairs]).astype(np.float64) for i in (0, 1))
    if not np.isfinite(ends + states).all() or np.count_nonzero(states) < FEW_NUMBERS:
        return None
    factor = float(ends @ states / (states @ states))
    close = np.abs(ends - factor * states) <= CLOSE * np.abs(factor * states)
    return factor if factor and abs(factor - 1) > CLOSE and close.all() else None


def _where_they_are(case: Case, left: frozenset[Place]) -> tuple[list[str], dict[str, Any]]:
    """Which step each of these states equals, or how near the worst of them comes to one: in words, and as evidence."""
    rows = rows_of(left)
    origins = dict(_origins(case, left))
    clauses = [f"row {row} equals outputs[{b}, {t}]" for row, (b, t) in origins.items()]
    evidence: dict[str, Any] = {"origins": [[row, b, t] for row, (b, t) in list(origins.items())[:64]]}
    sought = np.array([row for row in rows if row not in origins], dtype=np.int64)
    unmatched = [(f, off[f.distance[off].argmax()]) for f in case.facts if (off := sought[f.mismatched[sought]]).size]
    if unmatched:
        facts, row = max(unmatched, key=lambda item: float(item[0].distance[item[1]]))
        near = int(facts.nearest[row])
        clauses.append(
            f"row {row} ({facts.track.name}) is nearest to step {near}, at a difference of {facts.distance[row]:.3g}"
        )
        evidence |= {"nearest_step": near, "row": int(row)}
    return clauses, evidence


def ended_elsewhere(case: Case, left: frozenset[Place]) -> Finding | None:
    """States that are right by all but the lengths: each is the step behind which its row's outputs are zero, where the
    lengths end it elsewhere. None where one is not, or the lengths are a mask's."""
    ends = None if case.trace.mask_given else ends_of_outputs(case.facts)
    rows = rows_of(left)
    if ends is None or (ends[rows] < 1).any():
        return None
    for facts in case.facts:
        off = [b for *track, b in left if track == [facts.track.layer, facts.track.direction]]
        if not states_end_elsewhere(facts)[off].all():
            return None
    row, lengths = rows[0], case.facts[0].ends
    behind = ", with zeros behind it" if ends[row] < case.trace.steps else ""
    return Finding(
        rule=UNEXPLAINED,
        severity="error",
        certainty="proven",
        message=(
            f"{describe_rows(rows, ends.size)}: outputs and final state end at one step, the lengths at another "
            f"(row {row}: both end at step {ends[row] - 1}{behind}; its length is {lengths[row]}): the run had other "
            "lengths than these"
        ),
        rows=rows,
        unexplained=rows,
        evidence={"lengths_used": ends[:64].tolist()},
        fix=in_own_names(case, lengths_as(ends, "where outputs and states end, row by row")),
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


def unexplained_difference(differences: list[TrackDifference], opening: str) -> Iterator[Finding]:
    """Report numbers that differ by more than rounding without a known cause, by the first steps that differ."""
    worst = max(differences, key=lambda d: d.largest, default=None)
    if worst is None or worst.largest == 0:
        return
    from rnninspect.diagnosis.evidence.first_differences import explain

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


def dumps_differ(case: Case) -> Iterator[Finding]:
    """A second dump that differs from the first without a known cause, and what would tell more."""
    for finding in unexplained_difference(case.differences, "the two dumps differ"):
        both = [name for name in ("inputs", "weights") if not case.has(name)]
        more = f"; two dumps do not show the cause: give {' and '.join(both)} of either run" if both else ""
        yield replace(finding, message=finding.message + more)


def unlike_its_weights(case: Case) -> Iterator[Finding]:
    """A dump that no run of its weights gives, though every state is where it ought to be."""
    from rnninspect.diagnosis.evidence.one_step import first_bad_steps
    from rnninspect.diagnosis.unseen_states import states_unlike_the_run

    if agrees(case):
        yield from states_unlike_the_run(case, UNEXPLAINED)
        lower = lower_precision(case)
        if lower is not None:
            yield _drift(case, lower)
        return
    bad = list(first_bad_steps(case))
    bad_steps = listed((f"step {step} of row {row} {direction}" for direction, row, step, _ in bad), 4)
    for finding in unexplained_difference(
        compared(case, case.reference),
        "a run with these weights gives other numbers, and no known conversion explains it (other weights, dropout, "
        "or an attribute that was not stated?): they differ",
    ):
        more = f"; the first steps that do not follow from the step before them in the dump: {bad_steps}" if bad else ""
        evidence = {"first_bad_steps": [[direction, row, step, count] for direction, row, step, count in bad[:64]]}
        yield replace(finding, message=finding.message + more, evidence=finding.evidence | evidence)


def _drift(case: Case, precision: str) -> Finding:
    """The dump is as far from the run as one in a lower precision is, and in its direction."""
    from rnninspect.diagnosis.fixes import fix_in
    from rnninspect.diagnosis.rules.precision_drift import RULE

    largest_gap = largest(case, case.reference)
    return Finding(
        rule=RULE.name,
        severity="note",
        certainty="suspected",
        message=(
            f"a run with these weights differs from the dump by up to {largest_gap:.2g} over real steps, as one in "
            f"{precision} does, and no further: it was computed with {_BY[precision]}"
        ),
        rows=sorted({int(b) for d in compared(case, case.reference) for b in np.flatnonzero(d.first >= 0)}),
        evidence={"largest": largest_gap, "precision": precision},
        fix=fix_in(RULE, case),
    )


_BY = {
    "TF32": "products in TF32, the default for float32 on a GPU",
    "float16": "float16 (autocast, a mixed policy, or a cast on the way)",
    "bfloat16": "bfloat16 (autocast, a mixed policy, a TPU's default, or a cast on the way)",
}
