"""Where it is not decided whose the arrays are: no severity and no fix leans on one framework alone."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect
from rnninspect import conventions
from rnninspect.diagnosis.rules import rules

LENGTHS = np.array([5, 3, 4, 2])


def outputs(padding: str) -> np.ndarray:
    """`[B, T, H]` of a right run whose masked steps are zero, repeated or computed."""
    output = np.random.default_rng(7).standard_normal((4, 5, 3)).astype(np.float32)
    for row, length in enumerate(LENGTHS):
        if padding != "computed":
            output[row, length:] = output[row, length - 1] if padding == "repeat" else 0
    return output


def report(padding: str, convention: str = "auto") -> rnninspect.Report:
    output = outputs(padding)
    return rnninspect.inspect(output, output[np.arange(4), LENGTHS - 1], lengths=LENGTHS, convention=convention)


def undecided(last: bool) -> rnninspect.Report:
    """The last column was taken for the state, in arrays that may be two frameworks'; or the right step was."""
    output = outputs("zero")
    state = output[:, -1] if last else output[np.arange(4), LENGTHS - 1]
    return rnninspect.inspect(output, state, lengths=LENGTHS)


@pytest.mark.parametrize("padding", ["repeat", "computed"])
def test_a_habit_of_some_framework_is_no_error_where_none_is_known(padding: str) -> None:
    """What one framework leaves in masked steps is a note at most, until the framework is known not to."""
    guessed, named = report(padding), report(padding, "tf1")
    assert guessed.verdict == "clean"
    assert all(finding.severity == "note" for finding in guessed.findings)
    assert [finding.severity for finding in named.findings] == ["error"]


def test_the_fix_is_everybodys_with_the_likeliest_frameworks_beside_it() -> None:
    """An undecided framework's code stands as a labelled comment below numpy's, and a stated one's stands alone."""
    guessed, twin = undecided(last=True), undecided(last=False)
    assert twin.ok
    (finding,) = guessed.findings
    rule = rules()[finding.rule]
    likeliest, *rest = (belief["name"] for belief in guessed.reading["conventions"])
    assert rest
    first, _, beside = finding.fix.partition("\n# if these are ")
    assert first == rule.fix
    assert beside == f"{likeliest}'s: {conventions.get(likeliest).fixes[rule.name]}"


def test_a_stated_frameworks_fix_stands_alone() -> None:
    """Where the framework is known its own code is the fix, without a label."""
    output = outputs("zero")
    named = rnninspect.inspect(output, output[:, -1], lengths=LENGTHS, convention="torch", cell="lstm")
    (finding,) = named.findings
    assert finding.fix == conventions.get("torch").fixes[finding.rule]
