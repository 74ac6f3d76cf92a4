"""The mutation command's parts: what a mutant changes, how it comes into a process, and which tests are asked."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.support.coverage_map import CoverageMap
from tests.support.mutant_loop import rounds
from tests.support.mutants import Mutant, mutants_of, mutated, swap_in

TEXT = '''"""A module."""
import functools

LIMIT = 3


@functools.cache
def small(x: int, most: int = 2) -> bool:
    """Whether it is; 7 here is no number."""
    if x < 0:
        raise ValueError(f"{x} is below {0}")
    return not (x > most and any(x - k for k in range(9) if k % 2))


class A:
    @property
    def both(self):
        return lambda a: [a * 2 for _ in (True,)]
'''


def test_each_mutant_is_one_change_of_what_runs() -> None:
    """Operators, numbers, conditions and calls; not annotations, docstrings, decorators or messages."""
    mutants = mutants_of("a.py", TEXT)
    changes = {(m.line, m.before, m.after) for m in mutants}
    assert {
        (4, "3", "4"), (8, "2", "3"), (10, "x < 0", "x <= 0"), (10, "0", "1"), (12, "x > most", "x >= most"),
        (12, "any", "all"), (12, "x - k", "x + k"), (12, "9", "10"), (12, "k % 2", "k * 2"), (18, "a * 2", "a + 2"),
        (18, "True", "False"),
    } <= changes  # fmt: skip
    assert not any("7" in before or "below" in before for _, before, _ in changes)
    assert all(ast.unparse(mutated(TEXT, m)) != ast.unparse(ast.parse(TEXT)) for m in mutants)
    assert len({ast.unparse(mutated(TEXT, m)) for m in mutants}) == len(mutants)


def imported(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("mutated_module", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_functions_get_their_new_code(tmp_path: Path) -> None:
    """Whoever holds a function has the changed one, cached results are gone, and inner functions are changed too."""
    path = tmp_path / "mutated_module.py"
    path.write_text(TEXT, "utf-8")
    module = imported(path)
    held, both = module.small, module.A().both
    assert held(2)
    assert both(3) == [6]

    def mutant(before: str) -> Mutant:
        return next(m for m in mutants_of("mutated_module.py", TEXT) if m.before == before)

    assert swap_in(str(path), mutated(TEXT, mutant("x > most")))
    assert not held(2)
    assert swap_in(str(path), mutated(TEXT, mutant("a * 2")))
    assert module.A().both(3) == [5]
    assert held(2)  # the one before is taken out again


@pytest.mark.parametrize("line", [4, 8])
def test_what_runs_on_import_is_no_matter_of_functions(line: int, tmp_path: Path) -> None:
    """A constant of the module or a default cannot be put in so, and it is said."""
    path = tmp_path / "mutated_module.py"
    path.write_text(TEXT, "utf-8")
    module = imported(path)
    mutant = next(m for m in mutants_of("mutated_module.py", TEXT) if m.line == line)
    assert not swap_in(str(path), mutated(TEXT, mutant))
    assert module.small(2)


def test_the_mirrored_room_is_asked_first_and_each_test_in_turn() -> None:
    """A case of each function, the quickest first, as far as the seconds go; the rest in the second round."""
    seconds = {f"tests/measure/test_a.py::a[{k}]": 2.0 + k for k in range(3)}
    seconds |= {"tests/measure/test_b.py::b": 3.0, "tests/api/test_c.py::c": 0.01, "tests/api/test_c.py::slow": 99.0}
    coverage = CoverageMap(seconds, {"rnninspect/measure/scan.py": {7: list(seconds)}})
    first, second = rounds(Mutant("rnninspect/measure/scan.py", 0, 7, "", ""), coverage, 60)
    assert first[:3] == ["tests/measure/test_a.py::a[0]", "tests/measure/test_b.py::b", "tests/measure/test_a.py::a[1]"]
    assert first[3:] == ["tests/api/test_c.py::c"]
    assert second == ["tests/measure/test_a.py::a[2]"]
    assert list(rounds(Mutant("rnninspect/measure/facts.py", 0, 7, "", ""), coverage, 60)) == [[], []]


def test_tests_named_after_the_file_come_before_quicker_ones() -> None:
    """They are the likeliest to notice, though slow, so that the seconds of the first round go to them, once each."""
    seconds = {"tests/measure/test_a.py::a": 0.1, "tests/measure/test_scan.py::b": 9.0, "tests/measure/test_c.py::c": 2}
    coverage = CoverageMap(seconds, {"rnninspect/measure/scan.py": {7: list(seconds)}})
    first, second = rounds(Mutant("rnninspect/measure/scan.py", 0, 7, "", ""), coverage, 60)
    assert first == ["tests/measure/test_scan.py::b", "tests/measure/test_a.py::a"]
    assert second == ["tests/measure/test_c.py::c"]
