"""Defaults from pyproject.toml and the environment, and what a shell completes a line to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from rnninspect.cli import COMMANDS, cli
from rnninspect.cli.exit_codes import COMPLETION_VARIABLE
from rnninspect.conventions import conventions
from rnninspect.diagnosis.rules import rules
from rnninspect.invariance.probes import findings
from rnninspect.report.glossary import FINDINGS, WORDS
from tests.support.commandline import rnninspect
from tests.support.places import SAMPLES

DUMP = str(SAMPLES / "published.npz")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder; the test runs in a folder below it."""
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


def state(project: Path, *lines: str) -> None:
    (project / "pyproject.toml").write_text("\n".join(["[tool.rnninspect]", *lines, ""]))


def tolerance(*options: str) -> dict[str, float]:
    tolerances: dict[str, float] = rnninspect("compare", DUMP, "-q", "--format", "json", *options).json["tolerance"]
    return tolerances


def settings() -> dict[str, tuple[str, str]]:
    """Every setting with its value and its origin."""
    rows = json.loads(rnninspect("list", "settings", "--format", "json").out)
    return {row["setting"]: (row["value"], row["from"]) for row in rows}


def test_who_wins(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line over the environment, the environment over the file, the file over the built-in default."""
    assert tolerance()["rtol"] == 0.0
    assert settings()["rtol"] == ("0.0", "default")
    state(project, "rtol = 0.25", 'fail-on = "warning"', 'ignore = ["zero-length-row", "lengths-ignored"]')
    assert tolerance() == {"rtol": 0.25, "atol": 0.0}
    place = f"{project / 'pyproject.toml'} [tool.rnninspect]"
    assert settings()["rtol"] == ("0.25", place)
    assert settings()["ignore"] == ("zero-length-row,lengths-ignored", place)
    monkeypatch.setenv("RNNINSPECT_RTOL", "0.5")
    assert tolerance()["rtol"] == 0.5
    assert settings()["rtol"] == ("0.5", "RNNINSPECT_RTOL")
    assert settings()["fail-on"] == ("warning", place)
    assert tolerance("--rtol", "0.75")["rtol"] == 0.75


def test_a_setting_does_what_its_option_does(project: Path) -> None:
    """`ignore` takes a rule away, `format` changes the result, `quiet` the notes; one word stands for a list of one."""
    command = ("compare", DUMP, "--lengths", "3,3,3")
    usual = rnninspect(*command, "-q", "--format", "json").json["findings"]
    state(project, 'format = "json"', f'ignore = "{usual[0]["rule"]}"', "quiet = true")
    done = rnninspect(*command)
    assert done.err == ""
    assert usual[0]["rule"] not in [finding["rule"] for finding in done.json["findings"]]


def test_the_nearest_table_counts(project: Path) -> None:
    """A pyproject.toml without the table is passed by on the way up."""
    state(project, "atol = 0.125")
    (project / "below" / "pyproject.toml").write_text("[tool.other]\natol = 9\n")
    assert tolerance()["atol"] == 0.125


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("rtoll = 1", "'rtoll'; did you mean 'rtol'?"),
        ("rtol = {a = 1}", "write it as on the command line"),
        ("rtol = [", "not TOML"),
        ('rtol = "x"', "'x' is not a valid number. (it comes from pyproject.toml;"),
        ('fail-on = "eror"', "'error', 'warning', 'note'"),
    ],
)
def test_bad_settings_are_refused(line: str, phrase: str, project: Path) -> None:
    """A setting that there is not, or with a value that no option takes, is one line that says where it stands."""
    state(project, line)
    done = rnninspect("compare", DUMP, "-q")
    assert (done.code, done.raw, len(done.err.splitlines())) == (2, b"", 1)
    assert phrase in done.err
    assert "pyproject.toml" in done.err
    assert rnninspect("--help").code == 0


@pytest.mark.parametrize(
    "text",
    ["[[tool.rnninspect]]\nrtol = 1", "tool = 1\n#[tool.rnninspect]", "[tool]\nrnninspect = 'x [tool.rnninspect]'"],
)
def test_a_table_that_is_none_is_refused(text: str, project: Path) -> None:
    """What is named as the table, and is none, is one line."""
    (project / "pyproject.toml").write_text(text)
    done = rnninspect("compare", DUMP, "-q")
    assert (done.code, done.raw, len(done.err.splitlines())) == (2, b"", 1)
    assert "tool.rnninspect is not a table" in done.err


def test_a_bad_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that the command line does not show says where it comes from."""
    monkeypatch.setenv("RNNINSPECT_PRECISION", "many")
    done = rnninspect("compare", DUMP)
    assert done.code == 2
    assert "it comes from the environment" in done.err


# --- completion


def completed(*typed: str) -> list[str]:
    """What the last word may become."""
    shell = BashComplete(cli, {}, "rnninspect", COMPLETION_VARIABLE)
    return [item.value for item in shell.get_completions(list(typed[:-1]), typed[-1]) if item.type == "plain"]


def test_names_are_completed() -> None:
    """Commands, options, rules (several with commas too), conventions and formats, from the lists that there are."""
    assert completed("") == list(COMMANDS)
    assert "--lengths" in completed("run", "--len")
    assert completed("demo", "") == [*rules(), *findings()]
    assert completed("explain", "") == [*rules(), *findings(), *(word.name for word in (*FINDINGS, *WORDS))]
    assert completed("compare", "--select", "left-padded,lengths-i") == ["left-padded,lengths-ignored"]
    assert completed("run", "--convention", "") == list(conventions())
    assert set(completed("compare", "--format", "js")) == {"json"}


def test_members_of_a_dump_are_completed(tmp_path: Path) -> None:
    """Where the line names a dump, its members are offered; else files are, and a file that is none does no harm."""
    assert completed("compare", DUMP, "--state", "fin") == ["final_state.c", "final_state.h"]
    assert completed("run", DUMP, "--inputs", "") == ["inputs", "lengths", "outputs", "final_state.c", "final_state.h"]
    (tmp_path / "no.npz").write_text("no dump")
    for source in ([], [str(tmp_path / "no.npz")]):
        assert completed("compare", *source, "--state", "fin") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_for_shells(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script calls this command by the variable that the command answers to."""
    done = rnninspect("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert f"{COMPLETION_VARIABLE}={shell}_complete" in done.out
    monkeypatch.setenv(COMPLETION_VARIABLE, f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", "rnninspect expl")
    monkeypatch.setenv("COMP_CWORD", "expl" if shell == "fish" else "1")
    answer = rnninspect()
    assert answer.code == 0
    assert "explain" in answer.out
