"""What a new user types first: help without a command, words in another case, names that are nearly right."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import rnninspect
from rnninspect.cli import COMMANDS
from rnninspect.cli.grouped import GROUPS
from rnninspect.conventions import conventions
from rnninspect.diagnosis import unexplained as unexplained_findings
from rnninspect.diagnosis.rules import rules
from rnninspect.errors import UserError, nearest
from rnninspect.report.glossary import FINDINGS, WORDS, word
from tests.support.commandline import rnninspect as command
from tests.support.places import ROOT

BATCH = ROOT / "sample_data" / "batch.npy"
DUMP = ROOT / "sample_data" / "published.npz"


def test_without_a_command_the_help_is_the_result() -> None:
    """It goes to stdout, line by line, and is no error; it is what --help prints."""
    done = command()
    assert (done.code, done.err) == (0, "")
    assert done.out == command("--help").out
    assert all(f"\n  {name} " in done.out for name in COMMANDS)


def test_help_is_a_command_too() -> None:
    """`help` and `help compare` are what people type first."""
    assert command("help").out == command("--help").out
    assert command("help", "compare").out == command("compare", "--help").out


@pytest.mark.parametrize(
    ("arguments", "proposal"),
    [
        (["list", "rule"], "rules"),
        (["list", "formats", "--format", "jsn"], "json"),
        (["compare", DUMP, "--cell", "lstn"], "lstm"),
        (["compare", DUMP, "--fail-on", "warn"], "warning"),
        (["explain", "unexplained"], "unexplained-state"),
        (["compare", DUMP, "--format", "jason"], "json"),
        (["demo", "--convention", "pytroch"], "torch"),
    ],
)
def test_each_list_of_words_proposes_the_nearest(arguments: list[str], proposal: str) -> None:
    """Whatever takes one of several words says which may have been meant."""
    done = command(*arguments)
    assert done.code == 2
    assert f"did you mean '{proposal}'" in done.err
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["run", "compare"])
def test_options_are_grouped_and_the_first_is_lengths(name: str) -> None:
    """Every group has a heading, in order; each option stands once; no range says None."""
    text = command(name, "--help").out
    headings = re.findall(r"^(\w[\w ]*):$", text, re.MULTILINE)
    expected = [group for group in GROUPS if group != "Many dumps" or name == "compare"]
    assert headings == [*expected, "Help"]
    options = re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE)
    assert options[0] == "--lengths"
    assert len(options) == len(set(options))
    assert {"--weights", "--convention", "--forget-bias", "--rtol", "--format"} <= set(options)
    assert "None" not in text


@pytest.mark.parametrize(
    ("name", "names", "near"),
    [
        ("tensorflow", list(conventions()), ["tf1", "keras"]),
        ("PyTorch", list(conventions()), ["torch"]),
        ("jax", list(conventions()), ["flax", "haiku"]),
        ("Keras", list(conventions()), ["keras"]),
        ("last-column", list(rules()), ["last-column-as-final-state"]),
        ("padding", list(rules()), ["padding-computed", "padding-repeats-last-output"]),
        ("length_ignored", list(rules()), ["lengths-ignored"]),
        ("permuted", list(rules()), ["rows-permuted"]),
        ("comp", list(COMMANDS), ["compare", "completion"]),
        ("zzz", list(rules()), []),
    ],
)
def test_names_that_are_nearly_right_are_proposed(name: str, names: list[str], near: list[str]) -> None:
    """By case, by another word for it, by its beginning, by a part, or misspelt; nothing where nothing is near."""
    assert nearest(name, names) == near


def test_case_decides_nothing() -> None:
    """Formats, conventions, rules, cells and severities are taken in any case."""
    lower = command("compare", DUMP, "--format", "json", "--convention", "tf1", "--select", "left-padded")
    upper = command("compare", DUMP, "--format", "JSON", "--convention", "TF1", "--select", "Left-Padded")
    assert lower.out == upper.out
    assert command("run", BATCH, "--cell", "GRU", "--fail-on", "Warning", "--lengths", "3,1,2", "-q").code == 0


def test_the_beginning_of_a_rule_is_enough_to_explain_it() -> None:
    """One rule that begins so is explained and planted, and that it was taken is said; of several none is."""
    for name in ("explain", "demo"):
        done = command(name, "last-col")
        assert done.code == 0
        assert "last-col is taken as last-column-as-final-state" in done.err
    several = command("demo", "lengths")
    assert several.code == 2
    assert "did you mean 'lengths-from-zeros' or 'lengths-ignored' or" in several.err


@pytest.mark.parametrize("text", ["[3, 1, 2]", "(3,1,2)", " [3,1,2] ", "3 1 2", "[3 1 2]", "3,1,2,"])
def test_lengths_may_be_pasted_as_a_list(text: str) -> None:
    """A list or a tuple as Python prints it is the same lengths."""
    done = command("run", BATCH, "--lengths", text, "--format", "json")
    assert done.json["lengths"] == [3, 1, 2]


def test_one_length_may_be_a_list(tmp_path: Path) -> None:
    """`[2]` is one length, and no file."""
    np.save(tmp_path / "x.npy", np.ones((1, 3, 2), np.float32))
    assert command("run", tmp_path / "x.npy", "--lengths", "[2]", "--format", "json").json["lengths"] == [2]


def test_a_run_says_what_its_weights_are() -> None:
    """Drawn weights are named with cell, units and seed, on the terminal and in JSON; given ones are not drawn."""
    done = command("run", BATCH, "--lengths", "3,1,2", "--seed", "7", "--hidden-size", "5", "--cell", "gru")
    assert "weights     drawn as TensorFlow draws them (--weights takes yours), cell gru," in done.out
    assert "units 5, seed 7" in done.out
    source = command("run", BATCH, "--lengths", "3,1,2", "--format", "json").json["source"]["weights"]
    assert (source["units"], source["seed"], source["cell"]) == (4, 0, "lstm")
    with_weights = command("run", BATCH, "--weights", ROOT / "sample_data" / "weights.npz", "--format", "json")
    assert "weights" not in with_weights.json["source"]


@pytest.mark.parametrize(
    ("suffix", "begins"),
    [("html", "<!doctype html>"), ("json", "{"), ("md", "## "), ("svg", "<svg"), ("xml", "<?xml"), ("txt", "compare ")],
)
def test_the_suffix_decides_the_format(suffix: str, begins: str, tmp_path: Path) -> None:
    """`-o report.html` writes HTML; a suffix that is no format's leaves the table."""
    target = tmp_path / f"report.{suffix}"
    assert command("compare", DUMP, "-q", "-o", target).code == 0
    assert target.read_text("utf-8").lstrip().startswith(begins)


def test_a_suffix_of_no_format_is_said_to_be_none(tmp_path: Path) -> None:
    """A PDF is not what is written, and that is said; a log may hold a table."""
    assert "no report format is called pdf" in command("compare", DUMP, "-o", tmp_path / "x.pdf").err
    assert "format is called" not in command("compare", DUMP, "-o", tmp_path / "x.log").err


@pytest.mark.parametrize(
    ("name", "argument", "arrays"),
    [
        ("compare", DUMP, "fix DUMP -o"),
        ("run", ROOT / "sample_data" / "batch.npy", "run --save"),
        ("demo", "lengths-ignored", None),
    ],
)
def test_a_report_is_not_written_into_a_file_of_arrays(
    name: str, argument: object, arrays: str | None, tmp_path: Path
) -> None:
    """`-o x.npz` writes nothing, and names the option that writes a report and, if there is one, the arrays."""
    target = tmp_path / "x.npz"
    refused = command(name, argument, "-o", target)
    assert (refused.code, refused.out, target.exists()) == (2, "", False)
    assert f"give --format json -o {tmp_path / 'x.json'}" in refused.err
    assert ("(`rnninspect" in refused.err) == (arrays is not None)
    assert (arrays or "") in refused.err
    assert command(name, argument, "-q", "--format", "json", "--exit-zero", "-o", target).code == 0


def test_what_is_stated_wins_over_the_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option wins over the suffix, the suffix over the environment; an unknown suffix says nothing."""
    monkeypatch.setenv("RNNINSPECT_FORMAT", "markdown")
    for name, options, begins in (
        ("a.html", ["--format", "json"], "{"),
        ("b.json", [], "{"),
        ("c.log", [], "## "),
        ("d", [], "## "),
    ):
        assert command("compare", DUMP, "-q", *options, "-o", tmp_path / name).code == 0
        assert (tmp_path / name).read_text("utf-8").startswith(begins), name


def test_a_demo_is_run_and_fixed_as_the_framework_that_is_asked_for() -> None:
    """The planted mistake is the same, in a run of that framework's, its fix as that framework's users write it."""
    demos = {
        name: command("demo", "lengths-ignored", "--convention", name, "--format", "json").json
        for name in ("tf1", "torch", "keras")
    }
    for name, api in (("tf1", "dynamic_rnn"), ("torch", "pack_padded_sequence"), ("keras", "mask=")):
        assert demos[name]["convention"] == name
        assert api in demos[name]["findings"][0]["fix"]
        assert not demos[name]["notes"]
    right = command("demo", "--convention", "keras", "--format", "json").json
    assert (right["convention"], right["notes"]) == ("keras", [])
    assert {row["padding"] for track in right["tracks"] for row in track["rows"]} == {"none", "repeat"}
    needs_zeros = command("demo", "left-padded", "--convention", "keras", "--format", "json").json
    assert needs_zeros["convention"] == "tf1"
    assert needs_zeros["notes"] == ["the example was run as tf1; its fix is written for keras"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["torch", "flax"])
def test_the_course_is_a_frameworks_own(name: str) -> None:
    """Each mistake is found in a run of the framework, or in TensorFlow's with a note; before and after are one run."""
    course = json.loads(command("demo", "--all", "--convention", name, "--format", "json").out)
    reports = {lesson["rule"]: lesson["report"] for lesson in course if lesson["report"]["command"] == "demo"}
    assert {rule for rule, report in reports.items() if report["findings"][0]["rule"] != rule} == set()
    others = {rule for rule, report in reports.items() if report["convention"] != name}
    noted = {rule for rule, report in reports.items() if any("run as tf1" in note for note in report["notes"])}
    assert others == noted
    assert len(others) <= 6 * (name == "flax")
    assert "pack_padded_sequence" in reports["lengths-ignored"]["findings"][0]["fix"] or name == "flax"


@pytest.mark.parametrize("name", [spelling for entry in (*WORDS, *FINDINGS) for spelling in (entry.name, *entry.also)])
def test_every_word_of_the_glossary_is_explained(name: str) -> None:
    """Each spelling leads to its entry, and no entry hides a rule."""
    entry = word(name)
    assert entry is not None
    assert name not in rules()
    done = command("explain", name)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{entry.name}: ")
    assert max(map(len, done.out.splitlines())) <= 88


def test_the_whole_glossary_is_printed() -> None:
    """`explain words` prints every entry; as JSON each with its meaning."""
    assert [entry["word"] for entry in json.loads(command("explain", "words", "--format", "json").out)] == [
        entry.name for entry in (*WORDS, *FINDINGS)
    ]


def test_every_name_that_a_finding_may_have_is_explained() -> None:
    """Rules are, and so are the names of findings that no rule makes."""
    unexplained = {getattr(unexplained_findings, name) for name in ("UNEXPLAINED", "UNEXPLAINED_DIFFERENCE")}
    assert unexplained == {entry.name for entry in FINDINGS}
    for name in sorted(unexplained):
        assert command("explain", name).code == 0


def test_a_misspelt_keyword_is_proposed() -> None:
    """Python's callers are told the keyword that they may have meant, of the layer's or of the arrays'."""
    for keyword, proposal in (("length", "lengths"), ("bidirection", "bidirectional"), ("Convention", "convention")):
        with pytest.raises(UserError, match=f"unknown keyword '{keyword}'; did you mean '{proposal}'"):
            rnninspect.inspect([[[0.1]]], [[0.1]], **{keyword: 1})
    with pytest.raises(UserError, match="unknown keyword of a view 'wdth'; did you mean 'width'"):
        rnninspect.inspect([[[0.1]]], [[0.1]], lengths=[1]).render("table", wdth=60)
