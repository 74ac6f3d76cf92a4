"""SARIF 2.1.0 (OASIS): the findings as results, for code scanning and for editors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from rnninspect.core.finding import Finding
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import _places, _text, _verdicts, _words
from rnninspect.report.renderers.view import View

NAME = "sarif"
SUMMARY = "SARIF 2.1.0, for code scanning services and editors"

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_HOME = {"text": "`rnninspect explain` says why this happens and how to fix it in each framework."}


def render(report: ReportRecord, view: View) -> str:
    """One run, indented by two; the view changes nothing."""
    rules = list(dict.fromkeys(finding.rule for finding in report.findings))
    driver = {
        "name": "rnninspect",
        "version": str(report.tool.get("version", "")),
        "rules": [{"id": _text.clean(rule), "help": _HOME} for rule in rules],
    }
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "invocations": [_invocation(report)],
        "results": [_result(report, finding, rules.index(finding.rule)) for finding in report.findings],
        "columnKind": "unicodeCodePoints",
        "properties": {"verdict": report.verdict, "convention": report.convention, "shape": report.shape},
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def _invocation(report: ReportRecord) -> dict[str, Any]:
    """Whether anything could be judged, and the rules that lacked their evidence."""
    notes = [
        {
            "level": "note",
            "message": {"text": f"not checked: {_text.clean(skipped.rule)}: {_text.clean(skipped.reason)}"},
            "associatedRule": {"id": _text.clean(skipped.rule)},
        }
        for skipped in report.not_checked
    ]
    notes += [
        {"level": "warning" if report.verdict == "unjudged" else "note", "message": {"text": _open_question(key, text)}}
        for key, text in _verdicts.open_questions(report)
    ]
    return {"executionSuccessful": report.verdict != "unjudged", "toolExecutionNotifications": notes}


def _open_question(key: str, text: str) -> str:
    return _text.clean(f"{key}: {text}" if key else text)


def _result(report: ReportRecord, finding: Finding, index: int) -> dict[str, Any]:
    place = _words.track_name(finding.layer, finding.direction)
    location: dict[str, Any] = {}
    path = _places.source_path(report)
    if path is not None:
        location["physicalLocation"] = {"artifactLocation": {"uri": _uri(path)}}
    if place:
        location["logicalLocations"] = [{"name": place, "kind": "object"}]
    fields = dataclasses.asdict(finding)
    key = f"{finding.rule}|{finding.layer}|{finding.direction}|{path}"
    return {
        "ruleId": _text.clean(finding.rule),
        "ruleIndex": index,
        "level": finding.severity,
        "message": {"text": _without_links(_places.describe(finding))},
        "locations": [location] if location else [],
        "partialFingerprints": {"rnninspect/v1": hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()},
        "properties": {k: v for k, v in fields.items() if k not in ("rule", "severity", "message")},
    }


def _without_links(text: str) -> str:
    r"""Text in which `[a](b)` is no link (SARIF 3.11.6).

    >>> _without_links("h[1](x)")
    'h[1\\](x)'
    """
    return text.replace("](", "\\](")


def _uri(path: str) -> str:
    """A relative reference, or a file URI of a whole path.

    >>> _uri("runs/a b.npz"), _uri("/data/x:y.npz")
    ('runs/a%20b.npz', 'file:///data/x%3Ay.npz')
    """
    whole = PurePath(path).is_absolute()
    return ("file://" if whole else "") + quote(PurePath(path).as_posix(), errors="replace")
