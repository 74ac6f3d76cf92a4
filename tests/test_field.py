"""What people had in hand, rebuilt from public threads: each case is answered as its author should have been.

Every case runs, in this process. Those that are still answered wrongly are listed with the reason, so that one that
becomes right has to leave the list.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.field_cases import Case, answer, cases, wrong
from tests.support.places import FIELD

# Cases that are still answered wrongly, and why.
STILL_WRONG: dict[str, str] = {}


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in cases(FIELD)])
def test_a_case_from_the_field_is_answered_rightly(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each case gets its causes, its verdict and its steps, and no other accusation; a listed one does not yet."""
    for name in {*case.get("files", ()), case.get("dump"), case.get("script")} - {None}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FIELD / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    fault = wrong(case, answer(case))
    if case["name"] in STILL_WRONG:
        assert fault is not None, f"{case['name']} is right by now: take it off the list"
    else:
        assert fault is None


def test_the_list_names_cases() -> None:
    """Whatever is listed as still wrong is a case that runs."""
    assert STILL_WRONG.keys() <= {case["name"] for case in cases(FIELD)}
