"""Public functions and classes say what they do, in which shapes arrays come and go, and what is raised."""

from __future__ import annotations

import pytest

from tests.support.docstrings import public_of
from tests.support.places import PACKAGE


def test_no_public_docstring_lacks_anything() -> None:
    """Every public function, method and class is asked."""
    asked = 0
    lacking = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).with_suffix("").as_posix()
        for public in public_of(place, path.read_text("utf-8")):
            asked += 1
            lacking[public.name] = public.lacks()
    assert asked > 1000
    assert {name: missing for name, missing in lacking.items() if missing} == {}


@pytest.mark.parametrize("picture", ["measure/scan", "measure/nearest"])
def test_pictures_stand_where_words_are_many(picture: str) -> None:
    """The two passes over the numbers are drawn: a few lines of signs in the module's docstring."""
    text = (PACKAGE / f"{picture}.py").read_text("utf-8").split('"""')[1]
    assert sum(line.startswith("    ") for line in text.splitlines()) >= 4


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("def f(): pass\n", ["a docstring"]),
        ('def f():\n    """no end"""\n', ["a sentence to begin with"]),
        ('def f(a: Array) -> int:\n    """Count."""\n', ["shapes"]),
        ('def f():\n    """Reads a file."""\n', ["an imperative"]),
        ('def f():\n    """Runs of a file."""\n', []),
        ('def f() -> Bools | None:\n    """Which rows."""\n', ["shapes"]),
        ('def f(a: Array) -> int:\n    """Count `[B, T]`."""\n', []),
        ('def f():\n    """Read."""\n    raise UserError("x")\n', ["what it raises"]),
        ('def f():\n    """Read; UserError where it cannot."""\n    raise UserError("x")\n', []),
        ('def f():\n    """Read."""\n    raise AssertionError\n', []),
        ('def f():\n    """Make one."""\n    def g():\n        raise UserError("x")\n    return g\n', []),
        ("class A:\n    def f(self): pass\n", ["a docstring", "a docstring"]),
        ("class A(B):\n    def f(self): pass\n", []),
        ('class A:\n    """One."""\n    @property\n    def rows(self): return 1\n', []),
        ("def _f(): pass\n", []),
        ("@click.command()\ndef command(): pass\n", []),
    ],
)
def test_what_is_missing_is_seen(text: str, missing: list[str]) -> None:
    """The guard itself can fail, and does not ask for what need not be there."""
    assert [word for public in public_of("a", text) for word in public.lacks()] == missing
