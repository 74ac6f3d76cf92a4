"""Records what every rule's worked example looks like before and after: `python -m tests.tools.make_demos`.

`explain` shows these records, since it must not import torch; `tests/cli/test_explain.py` holds them to `demo`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

from rnninspect.api import inspect
from rnninspect.diagnosis.examples import runs
from rnninspect.diagnosis.rule import Example, Rule
from rnninspect.diagnosis.rules import rules
from rnninspect.invariance.lessons import example_report, worked
from rnninspect.invariance.probe import Probe
from rnninspect.invariance.probes import findings
from rnninspect.report.lessons import Worked, before_and_after
from rnninspect.report.record import ReportRecord

DEMOS = Path(__file__).resolve().parents[2] / "sample_data" / "demos.json"


@functools.cache
def right(example: Example) -> ReportRecord:
    return inspect.inspect_case(runs.case(example), "demo")


def work(rule: Rule) -> Worked:
    """The rule's mistake planted in its example, now."""
    if isinstance(rule, Probe):
        return worked(rule, example_report(None), example_report(rule))
    injected = inspect.inspect_case(rule.inject(runs.case(rule.example)), "demo")
    return before_and_after(rule, right(rule.example), injected)


def main() -> None:
    demos = {rule.name: dataclasses.asdict(work(rule)) for rule in (*rules().values(), *findings().values())}
    DEMOS.write_text(json.dumps(demos, indent=1, ensure_ascii=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
