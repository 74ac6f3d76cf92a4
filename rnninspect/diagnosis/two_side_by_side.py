"""Two directions side by side that were read as one: tried before a state is left unexplained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rnninspect.conventions.dumps.readings import readings
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import Judgement, judge
from rnninspect.diagnosis.rule import Rule
from rnninspect.diagnosis.unexplained import UNEXPLAINED
from rnninspect.errors import ShapeError

TOLD = "two directions side by side, though none was stated: read as one, no state equals a step"


def as_two(case: Case, judgement: Judgement, rules: Mapping[str, Rule]) -> Case | None:
    """The case read as two directions, where as one its states are unexplained and equal no step, and as two a known
    mistake reconstructs every one; None else."""
    if not any(f.rule == UNEXPLAINED for f in judgement.findings) or any(f.equal.any() for f in case.facts):
        return None
    if any((f.final == f.final[:, :1]).all() for f in case.facts):
        return None  # of units that are all alike the halves are the same by themselves
    two = side_by_side(case)
    return two if two is not None and _explains(judge(two, rules, in_numbers=False)) else None


def side_by_side(case: Case) -> Case | None:
    """The case with its one layer of one direction read as two, `[B, T, 2H]` and `[B, 2H]`; None where directions are
    told, or nothing can be read so."""
    config, trace = case.config, case.trace
    told = config.directions is not None or case.weights is not None or case.reading.state_rows is not None
    if told or len(trace.tracks) != 1 or trace.tracks[0].direction != "forward" or trace.tracks[0].initial is not None:
        return None
    both = replace(config, direction="bidirectional")
    evidence = case.reading.evidence
    try:
        fitting = readings(case.convention, case.dump.slots, both, evidence.framework_stated, evidence.decided)
    except ShapeError:
        return None
    width = trace.tracks[0].final
    for reading in fitting:
        halves = [t.final.shape[1] for t in reading.trace.tracks if t.final is not None]
        if reading.time_major == case.reading.time_major and width is not None and sum(halves) == width.shape[1]:
            evidence = replace(case.reading.evidence, because=(*case.reading.evidence.because, TOLD))
            return case.with_reading(replace(reading, evidence=evidence))
    return None


def _explains(judgement: Judgement) -> bool:
    """Whether known mistakes give every state."""
    errors = [f for f in judgement.findings if f.severity == "error"]
    whole = all(f.certainty == "proven" and f.rule != UNEXPLAINED for f in errors)
    return bool(errors) and whole and not any(f.unexplained for f in errors)
