"""Print-outs of a locale that writes 0,5: the same report as with points, and commas between numbers stay commas."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.formats.text import from_text

LENGTHS = [6, 2, 4, 3]


def printed(array: Any, form: str) -> str:
    """As `print(array)`, its repr, or its list."""
    with np.printoptions(precision=4, suppress=True):
        return {"print": str(array), "repr": repr(array), "list": str(array.tolist())}[form]


@pytest.mark.parametrize("form", ["print", "repr", "list"])
@pytest.mark.parametrize("units", [2, 5])
def test_a_decimal_comma_is_read_as_a_point(units: int, form: str) -> None:
    """The right state is clean and the last column is named, as of the same text with points, and it is said."""
    real = np.arange(6) < np.array(LENGTHS)[:, None]
    outputs = np.random.default_rng(units).uniform(-1, 1, (4, 6, units)).round(4) * real[..., None]
    right = outputs[np.arange(4), np.array(LENGTHS) - 1]
    for state, rules in ((right, []), (outputs[:, -1], ["last-column-as-final-state"])):
        text = f"lengths: {LENGTHS}\noutput:\n{printed(outputs, form)}\nh_n:\n{printed(state[None], form)}\n"
        reports = [rnninspect.inspect(text=t, direction="forward") for t in (text, re.sub(r"\.", ",", text))]
        assert [[f.rule for f in report.findings] for report in reports] == [rules, rules]
        assert ["decimal comma" in str(report.source["notes"]) for report in reports] == [False, True]


@pytest.mark.parametrize(
    "text",
    ["x = [[1,2],[3,4]]", "x = [[0.5,1.25], [2.5,3.75]]", "x = [0,12, 3,45, 6.5]", "x = [[1,2, 3,4], [5,6, 7,8]]"],
)
def test_commas_between_numbers_stay(text: str) -> None:
    """Whole numbers without blanks, numbers with points, and pairs of digits by themselves are no decimals."""
    commas = text.count(",") + 1
    assert from_text(text, "text").arrays["x"].size == commas
