"""Could anything have failed? Findings are errors and warnings; without them a report is clean only where it could."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rnninspect.core.finding import Finding, Verdict
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.cell_beside_state import cannot_be_of
from rnninspect.diagnosis.evidence.padded_inputs import begins_in_zeros, ends_of_inputs
from rnninspect.diagnosis.rule import describe_rows
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
    return "clean" if untested(case) is None else "unjudged"


def untested(case: Case) -> Untested | None:
    """What could not fail, whatever it held; None where weights or lengths put every state to a test."""
    if (padded := _padding_that_inputs_show(case)) is not None:
        return padded
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
    if blind and not case.trace.knows_padding:
        where = "every final state" if len(blind) == len(case.facts) else "the forward half of the final state"
        return Untested(
            f"the lengths are not known: {where} equals a step of its own row, and nothing says whether it is the last "
            "real one",
            f"{_lengths_or_mask(case)}, or {RUN}",
        )
    if not any(map(_could_fail, case.facts)):
        return Untested(
            "no row can tell its steps apart: it has no real step, its steps are all equal, or its state is all zero",
            f"rows whose steps differ, or {RUN}",
        )
    return _cells_of_other_states(case)


def _padding_that_inputs_show(case: Case) -> Untested | None:
    """The inputs end, or begin, in what looks like padding, and nobody said which steps are real: a run that read it
    and one of full rows give the same numbers."""
    if case.trace.knows_padding or case.batch is None or case.trace.steps == 1:
        return None
    inputs = case.batch.inputs[:, : case.trace.steps]
    ends = ends_of_inputs(inputs)
    if ends is not None:
        rows = np.flatnonzero(ends < case.trace.steps).tolist()
        where = "ends" if len(rows) == 1 else "end"
        how = f"{describe_rows(rows, case.trace.batch_size)} {where} in one vector over and over, as padding does"
    elif begins_in_zeros(inputs):
        how = "some rows begin in zeros, as padding on the left does"
    else:
        return None
    return Untested(
        f"the lengths are not known, and the inputs of {how}: nothing says whether those steps are real",
        _lengths_or_mask(case),
    )


def _lengths_or_mask(case: Case) -> str:
    return f"lengths (full, where no row is shorter than {case.trace.steps} steps), a mask"


def _cells_of_other_states(case: Case) -> Untested | None:
    """c that no h of an LSTM can have behind it: of another row, step or run, or of a cell that is no plain LSTM."""
    for track in case.trace.tracks:
        off = cannot_be_of(case, track)
        if off is not None and off.any():
            rows = describe_rows(np.flatnonzero(off).tolist(), case.trace.batch_size)
            return Untested(
                f"{rows} of {track.name}: c cannot be the cell state behind this h, which has other signs or is larger "
                "than tanh(c), unless the cell is no plain LSTM",
                RUN,
            )
    return None


def _runs(case: Case) -> bool:
    """Whether a run of the weights, or a second dump, could have contradicted the numbers."""
    compared = any(t.outputs is not None or t.final is not None for t in case.trace.tracks)
    return (compared and case.has("inputs") and case.has("weights")) or any(d.real.any() for d in case.differences)


def _could_fail(facts: TrackFacts) -> bool:
    return facts.expected_known and bool((~facts.uninformative).any())
