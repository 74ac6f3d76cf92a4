"""NDJSON: one line a row and track, one a finding, and a summary, so that the lines of many dumps can be mixed."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from rnninspect.core.finding import SEVERITIES
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers.view import View

NAME = "ndjson"
SUMMARY = "one JSON object per line: every row, every finding, then a summary; for many dumps and for grep"


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def render(report: ReportRecord, view: View) -> str:
    """Compact strict JSON, a line per object; the view changes nothing."""
    return "".join(_line(item) for item in _items(report))


def _items(report: ReportRecord) -> Iterator[dict[str, Any]]:
    for track in report.tracks:
        place = {"source": report.source, "layer": track.layer, "direction": track.direction}
        for row in track.rows:
            yield {"kind": "row", **place, **vars(row)}
    for finding in report.findings:
        yield {"kind": "finding", "source": report.source, **dataclasses.asdict(finding)}
    yield _summary(report)


def _summary(report: ReportRecord) -> dict[str, Any]:
    """All but the tracks and the findings, which have lines of their own, and how many there are of each."""
    whole = dataclasses.replace(report, tracks=[], findings=[]).to_dict()
    del whole["tracks"], whole["findings"]
    statuses = Counter(str(row.status) for track in report.tracks for row in track.rows)
    severities = Counter(str(finding.severity) for finding in report.findings)
    counts = {
        "rows": {("not-compared" if status == "None" else status): n for status, n in sorted(statuses.items())},
        "findings": {severity: severities[severity] for severity in SEVERITIES},
    }
    return {"kind": "summary", "source": whole.pop("source"), **whole, "counts": counts}


def _line(item: dict[str, Any]) -> str:
    return _encode(item) + "\n"
