"""No framework's fix is left out of the tests that run it."""

from __future__ import annotations

import ast
import inspect
from types import ModuleType

import pytest

from rnninspect.conventions import conventions
from tests.diagnosis import test_fixes, test_fixes_of_cells, test_fixes_run, test_fixes_run_alone, test_fixes_stood_in
from tests.support.stand_ins.frameworks import FRAMEWORKS


def named_in(module: ModuleType, prefix: str) -> set[str]:
    """The texts in the tests of a module whose names begin so: the rules that they run."""
    tests = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.FunctionDef)]
    texts = [n for t in tests if t.name.startswith(prefix) for n in ast.walk(t) if isinstance(n, ast.Constant)]
    return {n.value for n in texts if isinstance(n.value, str)}


def run_in(framework: str) -> set[str]:
    """The rules whose fix in this framework some test runs."""
    of_cells = [*test_fixes_of_cells.FORMULAS.items(), *test_fixes_of_cells.LAYERS.items()]
    rules = {rule for rule, frameworks in of_cells if framework in frameworks}
    if framework in FRAMEWORKS:
        stood_in = test_fixes_stood_in
        return rules | stood_in.STATE | stood_in.OUTPUTS | stood_in.INPUTS | stood_in.RUN | stood_in.OWN_TESTS
    rules |= test_fixes_run_alone.RUN_ALONE[framework] | named_in(test_fixes_run, f"test_{framework}_")
    of_torch = named_in(test_fixes, "test_torchs_") | set(test_fixes.STATE_RULES)
    return rules | (of_torch if framework == "torch" else set())


@pytest.mark.parametrize("framework", list(conventions()))
def test_every_fix_is_run(framework: str) -> None:
    """For every rule that a framework has code against, a test runs that code."""
    assert set(conventions()[framework].fixes) - run_in(framework) == set()


@pytest.mark.parametrize("framework", [name for name in conventions() if name not in FRAMEWORKS])
def test_each_is_listed_where_it_is_run(framework: str) -> None:
    """The list of those that are run alone holds no rule without code."""
    assert test_fixes_run_alone.RUN_ALONE[framework] <= set(conventions()[framework].fixes)
