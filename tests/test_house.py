"""The house keeps its own rules: lint, format, types, one-way imports, and no torch where none is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rnninspect"

# Rooms in the order in which one may import another: never upward. A new file must find its place here.
ROOMS = [
    "errors",
    "_version",
    "samples",
    "trace",
    "blocks",
    "arrays",
    "printed",
    "batch",
    "weights",
    "report",
    "formats",
    "mapped",
    "conventions",
    "activations",
    "products",
    "cells",
    "reading",
    "fused",
    "loop",
    "engine",
    "initialise",
    "matching",
    "scan",
    "nearest",
    "padding",
    "facts",
    "comparison",
    "case",
    "arithmetic",
    "rules",
    "causes",
    "rows",
    "excerpts",
    "compose",
    "schema",
    "report_io",
    "renderers",
    "loading",
    "cases",
    "layerfile",
    "previous",
    "handed",
    "reports",
    "convert",
    "api",
    "files",
    "catalogue",
    "examples",
    "worked",
    "fleet",
    "split",
    "results",
    "recording",
    "testing",
    "pytest_plugin",
    "cli",
    "__init__",
    "__main__",
]


@pytest.mark.parametrize(
    "arguments",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",)],
    ids=["lint", "format", "types"],
)
def test_tools_are_content(arguments: tuple[str, ...]) -> None:
    """ruff's lint and format and mypy --strict find nothing."""
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def imports_of(source: str) -> Iterator[str]:
    """The rooms that a file's text imports from, at its top or inside a function; type-checking imports count too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "rnninspect" and len(parts) > 1:
                yield parts[1] if parts[1] in ROOMS else "__init__"


def upward(sources: dict[str, list[str]]) -> list[str]:
    """`a -> b` for every import that goes up; `sources` holds the texts of each room."""
    rank = {room: i for i, room in enumerate(ROOMS)}
    return sorted(
        f"{room} -> {target}"
        for room, texts in sources.items()
        for text in texts
        for target in set(imports_of(text))
        if rank[target] > rank[room]
    )


def rooms_on_disk() -> dict[str, list[str]]:
    rooms: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        rooms.setdefault(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), []).append(path.read_text("utf-8"))
    return rooms


def test_every_file_has_its_room() -> None:
    """A new file or folder must be given a place in the order of rooms."""
    assert set(rooms_on_disk()) <= set(ROOMS)


def test_imports_never_go_up() -> None:
    """No room imports one that stands above it."""
    assert upward(rooms_on_disk()) == []


def test_an_upward_import_is_seen() -> None:
    """The guard itself can fail: an import of the command line from the types is found, inside a function too."""
    assert upward({"trace": ["def f():\n    from rnninspect.cli import call\n"]}) == ["trace -> cli"]
    assert upward({"matching": ["import rnninspect.api\n"]}) == ["matching -> api"]


def test_formats_and_renderers_know_no_neighbours() -> None:
    """Formats know no framework and renderers no arrays: neither imports what would tell them."""
    rooms = rooms_on_disk()
    assert {t for text in rooms["formats"] for t in imports_of(text)} <= {"errors", "formats", "trace"}
    assert {t for text in rooms["renderers"] for t in imports_of(text)} <= {"errors", "report", "renderers", "_version"}
    assert not [text for text in rooms["renderers"] if "import numpy" in text or "import torch" in text]


def test_no_file_is_two() -> None:
    """A file that passes 300 lines is asking to be two."""
    long = {
        str(p.relative_to(ROOT)): n
        for p in PACKAGE.rglob("*.py")
        if (n := len(p.read_text("utf-8").splitlines())) > 300
    }
    assert long == {}


def test_top_level_holds_what_the_card_names() -> None:
    """The top level holds five entries and dotfiles, nothing else."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    if not listed:
        pytest.skip("not a git checkout")
    tops = {line.split("/")[0] for line in listed.splitlines()}
    assert {t for t in tops if not t.startswith(".")} <= {
        "pyproject.toml",
        "rnninspect",
        "tests",
        "sample_data",
        "README.md",
    }


PROBE = """
import sys
from rnninspect.cli import call
code = call({arguments!r})
sys.stdout.flush()
print("torch imported:", "torch" in sys.modules, "exit", code, file=sys.stderr)
"""


def probe(*arguments: str) -> str:
    """The last line on stderr of a fresh interpreter that runs these arguments."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=list(arguments))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("compare", "sample_data/published.npz"),
        ("compare", "sample_data/published.npz", "--format", "json"),
        ("explain", "lengths-ignored"),
        ("explain",),
        ("list", "rules"),
        ("list", "conventions"),
        ("list", "formats"),
        ("schema",),
    ],
    ids=" ".join,
)
def test_torch_stays_away(arguments: tuple[str, ...]) -> None:
    """Only run, convert, demo and --weights import torch."""
    assert probe(*arguments) == "torch imported: False exit 0"


def test_run_does_import_torch() -> None:
    """The probe can tell: `run` imports torch."""
    assert probe("run", "sample_data/batch.npy", "-q", "--lengths", "3,1,2") == "torch imported: True exit 0"


def test_importing_the_package_is_light() -> None:
    """`import rnninspect` brings neither torch nor numpy."""
    code = "import sys, rnninspect; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
