"""Records what every rule's worked example looks like before and after: `python tests/make_demos.py`.

`explain` shows these records, since it must not import torch; `tests/test_explain.py` holds them to what `demo` says.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

from rnninspect import api, examples
from rnninspect.report import Report
from rnninspect.rules import rules
from rnninspect.rules.base import Example, Rule
from rnninspect.worked import Worked, before_and_after

DEMOS = Path(__file__).parent.parent / "sample_data" / "demos.json"


@functools.cache
def right(example: Example) -> Report:
    return api.inspect_case(examples.case(example), "demo")


def work(rule: Rule) -> Worked:
    """The rule's mistake planted in its example, now."""
    planted = api.inspect_case(rule.plant(examples.case(rule.example)), "demo")
    return before_and_after(rule, right(rule.example), planted)


def main() -> None:
    found = {name: dataclasses.asdict(work(rule)) for name, rule in rules().items()}
    DEMOS.write_text(json.dumps(found, indent=1, ensure_ascii=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
