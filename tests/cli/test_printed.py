"""Print-outs as people paste them, through the command: each is read, judged, and answered rightly."""

from __future__ import annotations

import pytest

from tests.support.field_cases import Case, answer, cases, wrong
from tests.support.places import PRINTED

# Print-outs whose labels no role answers to yet (`hidden states`, `o`, `s.h`, `state.h`).
WAITING = {"html-pre", "lengths-in-the-text", "question-page", "question-page-twice"}
WAITING |= {"tf1-indent-lost", "tf1-print-labels", "tf1-repl"}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case["name"], marks=[pytest.mark.xfail] if case["name"] in WAITING else [])
        for case in cases(PRINTED)
    ],
)
def test_a_print_out_is_answered_rightly(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each print-out gets the verdict, the causes and the steps that its author should have been given."""
    monkeypatch.chdir(PRINTED)
    assert wrong(case, answer(case)) is None
