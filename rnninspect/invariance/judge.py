"""The outcomes of the probes -> the Report: findings with their places, what was not checked, and what was probed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rnninspect._version import __version__
from rnninspect.core.finding import Finding, NotChecked, Verdict
from rnninspect.core.wording import worded
from rnninspect.diagnosis.rule import describe_rows
from rnninspect.invariance.place import Place, place_of
from rnninspect.invariance.probe import Outcome, evidence, rows_of
from rnninspect.invariance.probes import get
from rnninspect.invariance.trial import Trial
from rnninspect.report.record import ProbeReport
from rnninspect.report.report import Report

SYMPTOM = {"more": "noise", "alone": "permute"}  # what differs by the same cause is not found twice


def located(trial: Trial, outcome: Outcome) -> Place | None:
    """Where what a probe found arises; None where that cannot be seen."""
    return None if outcome.probe == "reach" else place_of(outcome.trial or trial, outcome)


def judged(
    trial: Trial,
    outcomes: Sequence[Outcome],
    places: Mapping[str, Place | None],
    notes: list[str],
    source: dict[str, Any],
    untested: str,
) -> Report:
    """The report of all probes.

    `places`: where what they found arises, by probe. `untested`: what none of them could tell, or there was no time
    for, where `clean` would say too much.
    """
    findings: list[Finding] = []
    for outcome in outcomes:
        if outcome.held is not False:
            continue
        place = places.get(outcome.probe)
        earlier = [places[name] for name in [*places][: [*places].index(outcome.probe)]] if place else []
        cause = "more" if outcome.of_width else SYMPTOM.get(outcome.probe, "")
        if cause in places and any(_same(one, place) for one in (places[cause], *earlier)):
            continue
        findings.append(_finding(trial, outcome, place))
    group, passes = trial.batch.groups[0], trial.model.passes
    return Report(
        tool={"name": "rnninspect", "version": __version__},
        command="check",
        source={**(source or {"name": trial.model.live.name}), **({} if "example" in source else {"runs": passes})},
        convention=trial.model.live.framework,
        reading={"used": _reading(trial), "stated": True, "also_fit": []},
        shape={"batch": trial.batch.batch_size, "steps": group.steps},
        lengths=[int(n) for n in group.lengths],
        tolerance={},
        tracks=[],
        findings=findings,
        not_checked=[NotChecked(f"{get(o.probe).name} ({o.probe})", o.reason) for o in outcomes if o.held is None],
        verdict=_verdict(findings, outcomes, untested),
        notes=[*notes, *(o.remark for o in outcomes if o.remark)],
        untested=untested if any(o.held is not None or o.late for o in outcomes) else "no probe could be made",
        probes=[_probe_report(outcome) for outcome in outcomes],
    )


def _same(first: Place | None, second: Place | None) -> bool:
    return first is None or second is None or not second.seen or set(second.names) <= set(first.names)


def _verdict(findings: Sequence[Finding], outcomes: Sequence[Outcome], untested: str) -> Verdict:
    if any(finding.severity != "note" for finding in findings):
        return "findings"
    return "clean" if any(outcome.held for outcome in outcomes) and not untested else "unjudged"


def _finding(trial: Trial, outcome: Outcome, place: Place | None) -> Finding:
    probe, rows = get(outcome.probe), rows_of(outcome)
    message = worded(probe.message(outcome)).replace("{rows}", describe_rows(rows, trial.batch.batch_size))
    kept = evidence(outcome)
    fix = outcome.fix or probe.fix
    if place is not None:
        message += f". Where: {place.sentence}"
        kept |= place.evidence
        fix = place.fix or fix
    if outcome.probe == "reach":
        kept["step"] = outcome.what
    return Finding(
        rule=probe.name,
        severity=outcome.severity or probe.severity,
        certainty="proven",
        message=message,
        rows=rows,
        explains=len(rows),
        evidence=kept,
        fix=fix,
    )


def _reading(trial: Trial) -> str:
    """What each input was taken as."""
    return ", ".join(_as_read(one) for one in trial.batch.inputs)


def _as_read(one: Any) -> str:
    letters = list(map(str, one.array.shape))
    if one.row is not None and one.row < len(letters):
        letters[one.row] = "B"
    if one.time is not None:
        letters[one.time] = "T"
    if one.pairs is not None:
        letters[one.pairs.seen] = "T"
    others = [axis for axis, letter in enumerate(letters) if letter.isdecimal()]
    if len(others) == 1 and len(letters) > 1 and one.row is not None:
        letters[others[0]] = "F"
    shape = f"[{', '.join(letters)}]" if len(letters) == 1 or set(letters) - set("BTF") else " ".join(letters)
    kind = "" if one.kind == "data" else f" ({one.kind})" if one.kind != "other" else ""
    return f"{one.path} {shape}{kind}".strip()


def _probe_report(outcome: Outcome) -> ProbeReport:
    finite = outcome.largest if outcome.largest != float("inf") else None
    held = outcome.held
    return ProbeReport(
        probe=outcome.probe,
        holds=get(outcome.probe).holds,
        standing="not made" if held is None else "held" if held else "differs",
        largest=None if held is None or outcome.probe == "reach" else finite,
        allowed=None if held is None or outcome.probe == "reach" else outcome.allowed,
        reason=outcome.reason,
    )
