"""The reports of every recorded run, made once a session from the dumps alone (no weights, so no torch)."""

from __future__ import annotations

from functools import cache

from recordings import GOLDEN

from rnninspect.api import inspect_case
from rnninspect.cases import read_case
from rnninspect.report import Report


@cache
def golden_reports() -> dict[str, Report]:
    """By the recording's name; the source is its file."""
    return {
        case.name: inspect_case(
            read_case(case.dump(), case.statement, case["layout"], stated={}),
            "compare",
            source={"path": f"golden/{case['data']}", "format": "npz"},
        )
        for case in GOLDEN
    }
