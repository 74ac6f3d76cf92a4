"""The README's commands and snippets do what it says, to the letter; its install steps are those that CI runs."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def sessions() -> list[tuple[str, str]]:
    """Every `$ command` of the console blocks with the output that the README shows for it."""
    found = []
    for language, text in BLOCKS:
        if language == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                while command.endswith("\\"):
                    more, _, output = output.partition("\n")
                    command = command[:-1] + more.strip()
                found.append((command, output))
    return found


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


def test_the_readme_shows_sessions() -> None:
    """The parser finds the sessions: a README without any would pass the next test by saying nothing."""
    assert len(sessions()) >= 5
    assert any(output for _, output in sessions())


def test_console_sessions(folder: Path) -> None:
    """Each command prints what the README shows, in order, in one folder."""
    for command, shown in sessions():
        if "jq " in command and not _has_jq():
            continue
        done = shell(command, folder)
        assert done.returncode in (0, 1), f"{command}\n{done.stderr}"
        assert "Traceback" not in done.stderr, command
        if shown.strip():
            assert done.stdout.rstrip() == shown.rstrip(), command


def _has_jq() -> bool:
    return subprocess.run(["bash", "-c", "command -v jq"], capture_output=True, check=False).returncode == 0


def test_python_snippets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Python block runs as a doctest, in one namespace."""
    monkeypatch.chdir(folder)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    text = "\n".join(block for language, block in BLOCKS if language == "python")
    assert ">>>" in text
    examples = doctest.DocTestParser().get_doctest(text, {}, "README", "README.md", 0)
    assert runner.run(examples).failed == 0


def test_install_steps_are_those_of_ci() -> None:
    """CI runs the README's second command and nothing else."""
    steps = [
        line for language, text in BLOCKS if language == "sh" for line in text.splitlines() if "pip install" in line
    ]
    assert len(steps) == 2
    last = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()[-1]
    assert last.replace("install -q", "install") == steps[1]


def test_named_files_exist() -> None:
    """Every sample that the README names is there."""
    for name in set(re.findall(r"sample_data/[\w.]+\w", README)):
        assert (ROOT / name).exists(), name
