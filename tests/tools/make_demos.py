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
from rnninspect.report.lessons import Worked, before_and_after
from rnninspect.report.record import ReportRecord

DEMOS = Path(__file__).resolve().parents[2] / "sample_data" / "demos.json"


@functools.cache
def right(example: Example) -> ReportRecord:
    return inspect.inspect_case(runs.case(example), "demo")


def work(rule: Rule) -> Worked:
    """The rule's mistake planted in its example, now."""
    injected = inspect.inspect_case(rule.inject(runs.case(rule.example)), "demo")
    return before_and_after(rule, right(rule.example), injected)


def main() -> None:
    demos = {name: dataclasses.asdict(work(rule)) for name, rule in rules().items()}
    DEMOS.write_text(json.dumps(demos, indent=1, ensure_ascii=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
