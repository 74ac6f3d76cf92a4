"""Reports of many calls, by the layer that was called: how its calls stand, and which rules fired in which of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from rnninspect.core.finding import SEVERITIES, Finding, Verdict
from rnninspect.core.frozen import frozen
from rnninspect.report.record import ReportRecord


@frozen
class CallFinding(Finding):
    """A finding, and the call that it was found in: the layer's `name` in the model, and the call's number."""

    name: str = ""
    call: int = 0


@frozen
class RuleInCalls:
    """A rule that fired, the worst severity with which it did, and the numbers of the calls."""

    rule: str
    severity: str
    calls: list[int]


@frozen
class LayerOfCalls:
    """All calls of one layer. `verdicts`: how many have which; `rules`: the worst first, notes too; `unjudged`: why
    calls could not be judged, with their numbers.
    """

    name: str
    layer: str
    calls: list[int]
    verdicts: dict[str, int]
    rules: list[RuleInCalls]
    unjudged: dict[str, list[int]]

    @property
    def verdict(self) -> Verdict:
        return verdict_of(self.verdicts)


def verdict_of(verdicts: dict[str, int]) -> Verdict:
    """`findings` where some call has one; `clean` where every one is, and there are any."""
    if verdicts.get("findings"):
        return "findings"
    return "clean" if verdicts.get("clean") and not verdicts.get("unjudged") else "unjudged"


def by_layer(reports: Sequence[ReportRecord]) -> list[LayerOfCalls]:
    """The layers in the order in which they were first called."""
    grouped: dict[str, list[ReportRecord]] = {}
    for report in reports:
        grouped.setdefault(place(report)[0], []).append(report)
    return [_layer(name, calls) for name, calls in grouped.items()]


def place(report: ReportRecord) -> tuple[str, int]:
    """The layer's name in its model, and the call's number; what a file calls itself, where it is no call."""
    source = report.source
    return str(source.get("name", source.get("path", ""))), int(source.get("call", 0))


def placed(report: ReportRecord) -> list[Finding]:
    """The findings of a report, with the call that they are of."""
    name, call = place(report)
    return [
        CallFinding(**{f.name: getattr(finding, f.name) for f in fields(finding)}, name=name, call=call)
        for finding in report.findings
    ]


def first_faults(reports: Sequence[ReportRecord]) -> list[ReportRecord]:
    """For every layer and every error or warning of it the first report that has it; the worst, then the first, first.

    Of reports without any, those that could not be judged, the first of every layer.
    """
    worst: dict[tuple[str, str], tuple[int, int]] = {}
    for i, report in enumerate(reports):
        for finding in report.findings:
            if finding.severity != "note":
                worst.setdefault((place(report)[0], finding.rule), (SEVERITIES.index(finding.severity), i))
    chosen = list(dict.fromkeys(i for _, i in sorted(worst.values())))
    if not chosen:
        opened = {place(r)[0]: i for i, r in reversed(list(enumerate(reports))) if r.verdict == "unjudged"}
        chosen = sorted(opened.values())
    return [reports[i] for i in chosen]


def to_dict(reports: Sequence[ReportRecord]) -> dict[str, Any]:
    """All reports as one JSON object: how they stand by layer, then every one whole."""
    layers = by_layer(reports)
    counts = Counter(str(report.verdict) for report in reports)
    return {
        "schema": reports[0].schema if reports else 1,
        "kind": "reports",
        "verdict": verdict_of(dict(counts)),
        "counts": {verdict: counts[verdict] for verdict in ("findings", "clean", "unjudged")},
        "layers": [
            {**vars(layer), "verdict": layer.verdict, "rules": [vars(rule) for rule in layer.rules]} for layer in layers
        ],
        "reports": [report.to_dict() for report in reports],
    }


def _layer(name: str, reports: Sequence[ReportRecord]) -> LayerOfCalls:
    calls: dict[str, dict[int, None]] = {}
    severities: dict[str, str] = {}
    unjudged: dict[str, list[int]] = {}
    for report in reports:
        number = place(report)[1]
        for finding in report.findings:
            calls.setdefault(finding.rule, {})[number] = None
            worst = severities.get(finding.rule, finding.severity)
            severities[finding.rule] = min(worst, finding.severity, key=SEVERITIES.index)
        if report.verdict == "unjudged":
            why = report.untested.replace(f"{name} call {number}", "the call").replace(repr(name), "name")
            unjudged.setdefault(why, []).append(number)
    rules = [RuleInCalls(rule, severities[rule], list(numbers)) for rule, numbers in calls.items()]
    rules.sort(key=lambda rule: (SEVERITIES.index(rule.severity), -len(rule.calls)))
    verdicts = Counter(str(report.verdict) for report in reports)
    layer = str(reports[0].source.get("layer", ""))
    return LayerOfCalls(name, layer, [place(r)[1] for r in reports], dict(verdicts), rules, unjudged)
