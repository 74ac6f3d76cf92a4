"""Could anything have failed? Findings are errors and warnings; without them a report is clean only where it could."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rnninspect.core.finding import Finding, Verdict
from rnninspect.diagnosis.case import Case
from rnninspect.measure.facts import TrackFacts

RUN = "inputs and weights, to run the layer again"


@dataclass(frozen=True)
class Untested:
    """What nothing that was given could test, in words, and what would decide it."""

    what: str
    would_decide: str


def verdict(case: Case, findings: Iterable[Finding]) -> Verdict:
    """`findings` where one is an error or a warning; else `clean` where something could have failed."""
    if any(f.severity != "note" for f in findings):
        return "findings"
    assumed = "direction" in case.trace.source  # taken because it fits, so that it cannot fail
    return "clean" if _runs(case) or (any(map(_could_fail, case.facts)) and not assumed) else "unjudged"


def untested(case: Case) -> Untested | None:
    """What could not fail, whatever it held; None where weights or lengths put every state to a test."""
    if _runs(case):
        return None
    if "direction" in case.trace.source:
        needed = "the direction that the layer reads in" if case.facts else "each direction's own outputs"
        return Untested(f"the direction: {case.trace.source['direction']}", f"{needed}, or {RUN}")
    if not case.facts:
        return Untested(
            "no final state has outputs of its own to be compared with", f"each layer's own outputs, or {RUN}"
        )
    blind = [f for f in case.facts if not f.expected_known]
    steps = case.trace.steps
    if blind and not case.trace.knows_padding:
        where = "every final state" if len(blind) == len(case.facts) else "the forward half of the final state"
        return Untested(
            f"the lengths are not known: {where} equals a step of its own row, and nothing says whether it is the last "
            "real one",
            f"lengths (full, where no row is shorter than {steps} steps), a mask, or {RUN}",
        )
    if not any(map(_could_fail, case.facts)):
        return Untested(
            "no row can tell its steps apart: it has no real step, its steps are all equal, or its state is all zero",
            f"rows whose steps differ, or {RUN}",
        )
    return None


def _runs(case: Case) -> bool:
    """Whether a run of the weights, or a second dump, could have contradicted the numbers."""
    compared = any(t.outputs is not None or t.final is not None for t in case.trace.tracks)
    return (compared and case.has("inputs") and case.has("weights")) or any(d.real.any() for d in case.differences)


def _could_fail(facts: TrackFacts) -> bool:
    return facts.expected_known and bool((~facts.uninformative).any())
