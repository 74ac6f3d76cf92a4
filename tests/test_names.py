"""Names say what a thing is; this guard keeps out those that only say how it was come by."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.places import PACKAGE, ROOT

# Each of these once stood for steps, options, rows, sentences and more: a reader had to look up which.
VAGUE = {"found", "said", "own", "words", "given", "known", "stated"}


def vague_names(source: str) -> set[str]:
    """The vague names that a module gives to a local, a parameter, an attribute, a function or a class."""
    tree = ast.parse(source)
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    names |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    names |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return VAGUE & (names | {n.name for n in ast.walk(tree) if isinstance(n, definitions)})


@pytest.mark.parametrize("folder", [PACKAGE, ROOT / "tests"], ids=["package", "tests"])
def test_no_name_says_only_how_a_thing_was_come_by(folder: Path) -> None:
    """Proves that neither the package nor its tests use a vague name."""
    files = sorted(folder.rglob("*.py"))
    assert len(files) > 50
    vague = {str(path.relative_to(ROOT)): vague_names(path.read_text("utf-8")) for path in files}
    assert {path: names for path, names in vague.items() if names} == {}


def test_a_vague_name_is_seen_wherever_it_is_given() -> None:
    """Proves that the reader above sees locals, loops, parameters, attributes and functions, and no mere mention."""
    source = "def said(own, *, x):\n    for found in x:\n        own.given = stated(found)\n    return known\n"
    assert vague_names(source) == {"said", "own", "found", "given"}
