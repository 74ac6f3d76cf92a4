"""The README and its pages: commands and snippets do what they say, to the letter; tables are those of `list`."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnninspect.cli import call, catalogue
from tests.support.places import PACKAGE, ROOT

PAGES = PACKAGE / "pages"
README = (ROOT / "README.md").read_text("utf-8")
TOLD = {"README": README, "guide": (PAGES / "guide.md").read_text("utf-8")}  # what has commands and snippets


def blocks(text: str) -> list[tuple[str, str]]:
    """Every fenced block with its language."""
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def sessions(text: str) -> list[tuple[str, str]]:
    """Every `$ command` of a console block with the output that the README shows for it."""
    blocks = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        blocks.append((command, output))
    return blocks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a user has it: the samples beside them, and nothing of the repository."""
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    return tmp_path


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "NO_COLOR", "COLUMNS")}
    environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}
    environment |= {"LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", list(TOLD))
def test_blocks_in_order(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command prints what the page shows and each snippet gives what it says, in order, in one folder."""
    monkeypatch.chdir(folder)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    names: dict[str, object] = {}
    counts = {"console": 0, "python": 0}
    for language, text in blocks(TOLD[name]):
        if language == "python":
            snippet = doctest.DocTestParser().get_doctest(text, names, name, f"{name}.md", 0)
            assert runner.run(snippet, clear_globs=False).failed == 0
            names = snippet.globs
            counts["python"] += len(snippet.examples)
        elif language == "console":
            for command, shown in sessions(text):
                check_session(command, shown, folder)
                counts["console"] += 1
    assert counts["console"] >= 3
    assert counts["python"] >= 5


def check_session(command: str, shown: str, folder: Path) -> None:
    """One command; without jq on the machine, as far as the pipe into it."""
    plain, piped, _ = command.partition("| jq")
    if piped and shutil.which("jq") is None:
        command, shown = plain, ""
    done = shell(command, folder)
    assert done.returncode in (0, 1), f"{command}\n{done.stderr}"
    assert "Traceback" not in done.stderr, command
    if shown:
        assert done.stdout.rstrip() == shown.rstrip(), f"{command}: run python -m tests.tools.make_readme"


def test_a_wrong_session_is_seen(folder: Path) -> None:
    """The guard can fail: output that the command does not print is found."""
    with pytest.raises(AssertionError):
        check_session("rnninspect list", "nothing of the kind", folder)


def test_install_steps_are_those_of_ci() -> None:
    """CI runs the README's second command and nothing else."""
    steps = [
        line
        for language, text in blocks(README)
        if language == "sh"
        for line in text.splitlines()
        if "pip install" in line
    ]
    assert len(steps) == 2
    last = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()[-1]
    assert last.replace("install -q", "install") == steps[1]


# Lists that have no page: where the samples lie differs from machine to machine.
COMMAND_ALONE = {"samples"}


@pytest.mark.parametrize("kind", [kind for kind in catalogue.LISTS if kind not in COMMAND_ALONE])
def test_pages_are_those_of_list(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each list of what there is, one made tomorrow too, has its page with the table that `rnninspect list` prints."""
    assert call(["list", kind, "--format", "markdown"]) == 0
    table = capsys.readouterr().out.strip()
    assert table.count("\n") > (0 if kind == "recorders" else 1)
    assert (PAGES / f"{kind}.md").read_text("utf-8") == catalogue.page(kind), "run python -m tests.tools.make_pages"
    assert catalogue.page(kind).endswith(f"\n\n{table}\n")


def test_the_measured_speed_is_listed_too(capsys: pytest.CaptureFixture[str]) -> None:
    """`list speed` prints the page that was written by hand."""
    assert call(["list", "speed", "--format", "markdown"]) == 0
    assert capsys.readouterr().out == (PAGES / "speed.md").read_text("utf-8")


def test_the_readme_is_short() -> None:
    """At most 250 lines, for someone with the problem: what is long stands on the pages."""
    assert len(README.splitlines()) <= 250


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(PAGES.glob("*.md"))], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file or to a heading of the page itself finds it."""
    text = page.read_text("utf-8")
    anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", text, re.M)}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif "://" not in target:
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_every_page_is_linked() -> None:
    """From the README each page can be reached, its list of tables and the guide among them."""
    reached = set(re.findall(r"rnninspect/pages/([\w.]+)", README))
    reached |= set(re.findall(r"\]\(([\w.]+)\)", TOLD["guide"]))
    assert {path.name for path in PAGES.iterdir()} <= reached


def test_named_files_exist() -> None:
    """Every sample that the README and the guide name is there."""
    for name in set(re.findall(r"sample_data/[\w.]+\w", "\n".join(TOLD.values()))):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("name", ["README.md", "rnninspect/pages/guide.md", "sample_data/demos.json"])
def test_steps_are_quoted_as_python_has_them(name: str) -> None:
    """No place reads `outputs[1, 1-2]` or `outputs[1, 1, 2]`, which Python takes for another step or for a unit."""
    places = re.findall(r"outputs\[\d[^\]]*\]", (ROOT / name).read_text("utf-8"))
    assert places or name.endswith("guide.md")
    assert [place for place in places if not re.fullmatch(r"outputs\[\d+, (\d+(:\d+)?|\[\d+(, \d+)+)\]", place)] == []
