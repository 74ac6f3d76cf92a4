"""The reports of every recorded run, made once a session from the dumps alone (no weights, so no torch)."""

from __future__ import annotations

from functools import cache

from rnninspect.api.inspect import inspect_case
from rnninspect.diagnosis.build_case import read_case
from rnninspect.report.record import ReportRecord
from tests.support.recordings import GOLDEN


@cache
def golden_reports() -> dict[str, ReportRecord]:
    """By the recording's name; the source is its file."""
    return {
        case.name: inspect_case(
            read_case(case.dump(), case.config, case["layout"], named_roles={}),
            "compare",
            source={"path": f"golden/{case['data']}", "format": "npz"},
        )
        for case in GOLDEN
    }
