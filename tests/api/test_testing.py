"""For test suites: the assertion, the fixture, and that the plugin costs nothing where it is not used."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest

from rnninspect.errors import ShapeError, UnknownNameError
from rnninspect.report.report import FindingsError
from rnninspect.testing import assert_final_state

pytest_plugins = ["pytester"]

LENGTHS = [4, 1, 3]
OUTPUTS = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
OUTPUTS[1, 1:] = OUTPUTS[2, 3:] = 0
FINAL = OUTPUTS[[0, 1, 2], [3, 0, 2]]

TESTS = """
import numpy as np

OUTPUTS = np.random.default_rng(0).normal(size=(3, 4, 2))
OUTPUTS[1, 1:] = OUTPUTS[2, 3:] = 0

def test_right(assert_final_state):
    assert_final_state(OUTPUTS, OUTPUTS[[0, 1, 2], [3, 0, 2]], [4, 1, 3])

def test_wrong(assert_final_state):
    assert_final_state(OUTPUTS, OUTPUTS[:, -1], [4, 1, 3], convention="torch")
"""


def test_right_states_pass() -> None:
    """The state of each row's last real step passes, the lengths by position or by name, or as a mask."""
    assert_final_state(OUTPUTS, FINAL, LENGTHS)
    assert_final_state(OUTPUTS, FINAL, lengths=LENGTHS, convention="keras")
    assert_final_state(OUTPUTS, FINAL, mask=np.arange(4) < np.array(LENGTHS)[:, None])
    assert_final_state((OUTPUTS, FINAL), lengths=LENGTHS)


@pytest.mark.parametrize(
    ("final", "rule"),
    [
        (OUTPUTS[:, -1], "last-column-as-final-state"),
        (OUTPUTS[[0, 1, 2], [2, 0, 1]], "off-by-one-length"),
        (FINAL[[1, 2, 0]], "rows-permuted"),
        (FINAL * 0.5 + 3, "unexplained-state"),
    ],
)
def test_wrong_states_fail_with_the_mistake_and_its_fix(final: np.ndarray, rule: str) -> None:
    """Each mistake fails as an AssertionError that names it."""
    with pytest.raises(AssertionError, match=rule) as caught:
        assert_final_state(OUTPUTS, final, LENGTHS, convention="torch")
    assert isinstance(caught.value, FindingsError)
    assert ("fix:" in str(caught.value)) == (rule != "unexplained-state")


def test_what_counts_as_failing() -> None:
    """Tolerances, ignored rules and the severity decide; what cannot be judged or read never passes."""
    near = FINAL + np.float32(1e-6)
    with pytest.raises(FindingsError):
        assert_final_state(OUTPUTS, near, LENGTHS, fail_on="warning")
    assert_final_state(OUTPUTS, near, LENGTHS, atol=1e-5)
    repeated = OUTPUTS.copy()
    repeated[1, 1:], repeated[2, 3:] = repeated[1, 0], repeated[2, 2]
    assert_final_state(repeated, FINAL, LENGTHS, convention="keras")
    with pytest.raises(FindingsError, match="padding-repeats-last-output"):
        assert_final_state(repeated, FINAL, LENGTHS, convention="keras", fail_on="note")
    with pytest.raises(FindingsError, match="could not judge"):
        assert_final_state(np.zeros((2, 3, 1)), np.zeros((2, 1)), [3, 2])
    with pytest.raises(ShapeError, match="2 values, but the batch has 3 rows"):
        assert_final_state(OUTPUTS, FINAL, [1, 2])
    with pytest.raises(UnknownNameError, match="unknown severity 'fatal'"):
        assert_final_state(OUTPUTS, FINAL, LENGTHS, fail_on="fatal")


def test_the_fixture_is_registered() -> None:
    """The installed package offers the plugin under its own name, which `-p no:rnninspect` takes away."""
    plugins = {point.name: point.value for point in entry_points(group="pytest11")}
    assert plugins["rnninspect"] == "rnninspect.pytest_plugin"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with one test that is right and one that is wrong."""
    pytester.makepyfile(test_model=TESTS)
    return pytester


def test_the_failure_text_is_the_finding(suite: pytest.Pytester) -> None:
    """The failure shows the line of the test, the rows that are off, the rule and the fix, and no line of the tool."""
    result = suite.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       assert_final_state(OUTPUTS, OUTPUTS*",
            "E*FindingsError*",
            "E*row 1*expected step 0*",
            "E*last-column-as-final-state*",
            "E*final = h_n*-1*",
            "E*# not output*",
            "FAILED test_model.py::test_wrong - rnninspect.FindingsError: 1 error (last*",
        ]
    )
    result.stdout.no_fnmatch_line("*raise_for_findings*")
    result.stdout.no_fnmatch_line("*reports.py*in*")


def test_without_the_plugin_there_is_no_fixture(suite: pytest.Pytester) -> None:
    """`-p no:rnninspect` leaves it out: the guard against a fixture that comes from elsewhere."""
    result = suite.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:rnninspect")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*fixture 'assert_final_state' not found*"])


INERT = """
import sys

def test_nothing():
    assert not {"numpy", "torch", "rich", "click"} & set(sys.modules), sorted(sys.modules)
    assert "rnninspect.pytest_plugin" in sys.modules
"""


def test_unused_it_imports_nothing(tmp_path: Path) -> None:
    """A suite that does not use the fixture starts without numpy, torch, rich or click: only the plugin itself."""
    (tmp_path / "test_inert.py").write_text(INERT)
    plugins = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "rnninspect.pytest_plugin", "."]
    done = subprocess.run(command, cwd=tmp_path, env=plugins, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_function_needs_no_pytest() -> None:
    """unittest users have the function without pytest."""
    code = (
        "import sys, rnninspect\n"
        "rnninspect.testing.assert_final_state([[[0.1], [0.2]]], [[0.2]], [2])\n"
        "print('pytest' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_project_may_state_that_no_row_is_shorter(pytester: pytest.Pytester) -> None:
    """`rnninspect_lengths = full` lets tests without lengths pass; lengths that a test states win over it."""
    pytester.makepyfile(
        """
import numpy as np

OUTPUTS = np.random.default_rng(0).normal(size=(3, 4, 2))

def test_full(assert_final_state):
    assert_final_state(OUTPUTS, OUTPUTS[:, -1])

def test_stated(assert_final_state):
    assert_final_state(OUTPUTS, OUTPUTS[[0, 1, 2], [3, 0, 2]], [4, 1, 3], ignore=["padding-computed"])
"""
    )
    pytester.runpytest_subprocess("-q").assert_outcomes(passed=1, failed=1)
    pytester.makeini("[pytest]\nrnninspect_lengths = full\n")
    pytester.runpytest_subprocess("-q").assert_outcomes(passed=2)
    pytester.makeini("[pytest]\nrnninspect_lengths = 3\n")
    pytester.runpytest_subprocess("-q").stderr.fnmatch_lines(["*a project may state only 'full'*"])
