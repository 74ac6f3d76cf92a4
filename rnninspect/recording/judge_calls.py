"""A recorded call -> its report. One that cannot be judged is a report that says so: the others stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rnninspect._version import __version__
from rnninspect.api.inspect import Names, inspect_case
from rnninspect.core.finding import Finding
from rnninspect.core.wording import argument, worded
from rnninspect.errors import UnknownNameError, UserError
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.recording.base import Judged, RecordedCall
from rnninspect.recording.handover import Handover
from rnninspect.report.excerpts import EXCERPT
from rnninspect.report.report import Report

_PERHAPS = "what is left open above may be this mistake, and may be right"
MOVED = "rows-chunked"  # the rule whose mistake it may be where a state was carried to other rows


@dataclass(frozen=True, eq=False)
class Asked:
    """How calls are to be judged, as `Recording.inspect` was asked."""

    tolerance: Tolerance = field(default_factory=Tolerance)
    final_state: Any = None
    lengths: Any = None
    select: Names = ()
    ignore: Names = ()
    excerpt: int | None = EXCERPT
    convention: str = "torch"


def report_of(
    call: RecordedCall, asked: Asked, began: Handover, notes: Sequence[str] = ()
) -> tuple[Report, UserError | None]:
    """The report of one call, and the error for which it could not be judged, if there is one. `began`: in what state
    of the call before."""
    notes = [*([began.note] if began.note else []), *notes]
    source = {"name": call.where.name, "call": call.where.number, "layer": call.where.layer}
    try:
        judged = call.judged(asked.tolerance, asked.final_state, asked.lengths)
        layer = replace(judged.case.layer, weights_as_run=True)
        case = replace(judged.case, layer=layer)
        report = inspect_case(
            case, "record", source=source, select=asked.select, ignore=asked.ignore, excerpt=asked.excerpt
        )
    except UnknownNameError:
        raise  # a rule's name: it is wrong for every call
    except UserError as error:
        return unjudged(source, str(error), notes, asked.convention), error
    if began.moved:
        opened = "; ".join(filter(None, [judged.open, began.moved]))
        judged = replace(judged, open=opened, hint=judged.hint or MOVED)
    report = _as_open(report, judged) if judged.open else report
    report = _without_lengths(report, judged)
    return replace(report, notes=[*report.notes, *judged.notes, *notes]), None


def report_of_unseen(name: str, why: str, convention: str) -> Report:
    """The report of a layer that was called and could not be recorded."""
    return unjudged({"name": name, "call": 0, "layer": ""}, f"not recorded: {why}", (), convention)


def unjudged(source: dict[str, Any], why: str, notes: Sequence[str], convention: str) -> Report:
    """A report without rows that says why nothing could be judged."""
    return Report(
        tool={"name": "rnninspect", "version": __version__},
        command="record",
        source=source,
        convention=convention,
        reading={"used": "", "stated": True, "also_fit": [], "because": [], "conventions": []},
        shape={"batch": 0, "steps": 0, "units": 0, "layers": 0, "directions": 0},
        lengths=None,
        tolerance={"rtol": 0.0, "atol": 0.0},
        tracks=[],
        findings=[],
        not_checked=[],
        verdict="unjudged",
        notes=list(notes),
        untested=why,
    )


def _without_lengths(report: Report, judged: Judged) -> Report:
    """The report of a call whose rows may hold padding that nobody spoke of: what would be `clean` is unjudged."""
    trace = judged.case.trace
    if report.verdict != "clean" or trace.knows_padding or trace.batch_size < 2 or trace.steps < 2:
        return report
    return replace(
        report,
        verdict="unjudged",
        untested=f"no lengths are known: the layer reads all {trace.steps} steps of every row as real, and whether "
        "rows hold padding cannot be seen",
        would_decide=f"lengths (full, where no row is shorter than {trace.steps} steps), or a mask",
    )


def of_one_loop(reports: Sequence[Report], calls: int) -> list[Report]:
    """The reports of one layer, of which so many calls were kept: calls of a single step, or of single rows that are
    equally wide, are parts of a loop, and what would be `clean` of such a part says nothing of the whole."""
    widths = {report.shape["steps"] for report in reports}
    alike = len(reports) > 1 and len(widths) == 1
    return [_of_a_loop(report, calls, alike) for report in reports]


def _of_a_loop(report: Report, calls: int, alike: bool) -> Report:
    rows, steps = report.shape["batch"], report.shape["steps"]
    if report.verdict != "clean" or calls < 2:
        return report
    if steps == 1:
        ended = worded(argument("final_state_of", report.source["name"]))
        return replace(
            report,
            verdict="unjudged",
            untested=f"one of {calls} calls of a single step: what a loop carries on, and where rows end, is not in it",
            would_decide=f"the state that the loop ends in: {ended}",
        )
    if rows == 1 and alike and report.lengths is None:
        return replace(
            report,
            verdict="unjudged",
            untested=f"one of {calls} calls of a single row, each of {steps} steps: whether rows were padded to one "
            "width before that cannot be seen",
            would_decide="lengths (full, where none is shorter)",
        )
    return report


def _as_open(report: Report, judged: Judged) -> Report:
    """The report of a call that is not known whole: what would be `clean` is unjudged, and says why."""
    findings = list(report.findings)
    if judged.hint and not findings:
        findings.append(Finding(judged.hint, "note", "suspected", _PERHAPS, evidence={}))
    verdict = "unjudged" if report.verdict == "clean" else report.verdict
    untested = "; ".join(filter(None, [judged.open, report.untested if report.verdict == "unjudged" else ""]))
    return replace(report, findings=findings, verdict=verdict, untested=untested)
