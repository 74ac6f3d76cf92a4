"""Print-outs as people paste them, through the command: each is read, judged, and answered rightly."""

from __future__ import annotations

import pytest

from tests.support.field_cases import Case, answer, cases, wrong
from tests.support.places import PRINTED


@pytest.mark.parametrize("case", cases(PRINTED), ids=lambda case: case["name"])
def test_a_print_out_is_answered_rightly(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each print-out gets the verdict, the causes and the steps that its author should have been given."""
    monkeypatch.chdir(PRINTED)
    assert wrong(case, answer(case)) is None
