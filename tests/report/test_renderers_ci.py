"""Reports for build servers, tickets and pictures: each format is read back by a reader of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from urllib.parse import unquote
from xml.etree import ElementTree

import jsonschema
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rnninspect.core.finding import NotChecked
from rnninspect.errors import UnknownNameError
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import render, renderers
from tests.report.test_renderers import REPORTS, SHOWN, hostile, nothing_known
from tests.support.golden_reports import golden_reports
from tests.support.reports import a_finding, lengths_ignored, many_rows, worked_example

WICKED = "]]>%0A::error::x\n::stop-commands::y,z\r[a](http://b)`|*_ {0} @all :tada: <!--\ufffe\x00"
every_report = pytest.mark.parametrize("make", REPORTS)


def wicked() -> ReportRecord:
    """Text that each of these formats could take for its own syntax, wherever text from outside can stand."""
    texts = dict.fromkeys(("rule", "message", "direction", "fix"), WICKED)
    return replace(
        hostile(),
        command=WICKED,
        source={"path": WICKED, WICKED: WICKED},
        reading={"used": WICKED},
        notes=[WICKED],
        convention=WICKED,
        findings=[replace(a_finding(**texts), evidence={"would_decide": WICKED})],
        not_checked=[NotChecked(WICKED, WICKED)],
    )


def test_every_format_renders_every_recorded_run() -> None:
    """No renderer stumbles over the report of a real run, and none renders it empty."""
    texts = {name: [render(report, name) for report in golden_reports().values()] for name, _ in renderers()}
    assert {"github", "html", "junit", "markdown", "sarif", "svg"} <= set(texts)
    for name, made in texts.items():
        assert [text for text in made if len(text.strip()) < 20 or not text.endswith("\n")] == [], name


def test_the_recorded_reports_can_tell_renderers_apart() -> None:
    """The recorded reports hold clean ones, all three severities, several tracks, and rows that are off."""
    reports = golden_reports().values()
    assert {finding.severity for report in reports for finding in report.findings} == {"error", "warning", "note"}
    assert {report.verdict for report in reports} >= {"clean", "findings"}
    assert max(len(report.tracks) for report in reports) >= 4


# GitHub Actions: read as its runner reads a line (actions/runner, ActionCommand.TryParseV2), written anew.
def annotations(text: str) -> list[tuple[str, dict[str, str], str]]:
    """(command, properties, message) of every line that the runner obeys."""
    annotated = []
    for line in text.splitlines():
        parts = re.fullmatch(r"\s*::([^ :]+)(?: (.*?))?::(.*)", line)
        if parts is None:
            assert "##[" not in line
            continue
        properties = dict(pair.split("=", 1) for pair in (parts[2] or "").split(",") if pair)
        annotated.append((parts[1], {k: unquote(v) for k, v in properties.items()}, unquote(parts[3])))
    return annotated


@every_report
def test_a_finding_is_an_annotation(make: Callable[[], ReportRecord]) -> None:
    """Each finding is one annotation of its severity; a report that judged nothing warns; nothing else is obeyed."""
    report = make()
    read = annotations(render(report, "github"))
    expected = [{"error": "error", "warning": "warning", "note": "notice"}[f.severity] for f in report.findings]
    assert [command for command, _, _ in read] == expected + ["warning"] * (report.verdict == "unjudged")


def test_annotations_say_what_and_where() -> None:
    """The file, the rule with its certainty, the message and the fix in lines of their own."""
    ((command, properties, message),) = annotations(render(lengths_ignored(), "github"))
    assert command == "error"
    assert properties == {"file": "published.npz", "title": "lengths-ignored (proven)"}
    assert message.splitlines()[0].startswith("rows 1, 2 (of 3): final_state.h equals outputs at step 2")
    assert message.splitlines()[1:] == ["fix:", f"  {lengths_ignored().findings[0].fix}"]
    assert render(worked_example(), "github") == "rnninspect: clean, 3 rows: all as expected  published.npz\n"


def test_text_from_files_gives_no_command() -> None:
    """Line ends and `::` inside names neither begin a command nor end a property."""
    text = render(wicked(), "github")
    ((command, properties, message),) = annotations(text)
    assert (command, set(properties)) == ("error", {"file", "title"})
    assert properties["file"] == WICKED.replace("\n", "\\n").replace("\r", "\\r").replace("\x00", "\\x00").replace(
        "\ufffe", "\\ufffe"
    )
    assert "%0A::error::x" in message
    assert len(text.splitlines()) == 2
    assert text.splitlines()[1].startswith("rnninspect: 1 error")


# SARIF: the parts of the OASIS schema that these logs use, closed so that a misspelt field is seen.
def closed(required: str = "", **properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


STRING, BAG = {"type": "string"}, {"type": "object"}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
TEXT = closed("text", text=STRING)
REFERENCE = {"type": "string", "pattern": r"^[A-Za-z0-9%/._~:-]+$"}
SARIF = closed(
    "version runs",
    **{"$schema": STRING},
    version={"const": "2.1.0"},
    runs={
        "type": "array",
        "minItems": 1,
        "items": closed(
            "tool results",
            tool=closed(
                "driver",
                driver=closed(
                    "name",
                    name=STRING,
                    version=STRING,
                    rules={"type": "array", "uniqueItems": True, "items": closed("id", id=STRING, help=TEXT)},
                ),
            ),
            invocations={
                "type": "array",
                "items": closed(
                    "executionSuccessful",
                    executionSuccessful={"type": "boolean"},
                    toolExecutionNotifications={
                        "type": "array",
                        "items": closed("message", level=LEVEL, message=TEXT, associatedRule=closed(id=STRING)),
                    },
                ),
            },
            results={
                "type": "array",
                "items": closed(
                    "message ruleId level",
                    ruleId=STRING,
                    ruleIndex={"type": "integer", "minimum": 0},
                    level=LEVEL,
                    message=TEXT,
                    locations={
                        "type": "array",
                        "items": closed(
                            physicalLocation=closed("artifactLocation", artifactLocation=closed("uri", uri=REFERENCE)),
                            logicalLocations={"type": "array", "items": closed("name", name=STRING, kind=STRING)},
                        ),
                    },
                    partialFingerprints={"type": "object", "additionalProperties": STRING},
                    properties=BAG,
                ),
            },
            columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            properties=BAG,
        ),
    },
)

VALID = jsonschema.Draft202012Validator(SARIF)


@pytest.mark.parametrize("make", [*REPORTS, wicked])
def test_sarif_keeps_to_its_schema(make: Callable[[], ReportRecord]) -> None:
    """A result a finding, whose rule stands at its index; whether it could judge is the invocation's success."""
    report = make()
    log = json.loads(render(report, "sarif"))
    VALID.validate(log)
    (run,) = log["runs"]
    assert [result["level"] for result in run["results"]] == [finding.severity for finding in report.findings]
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    assert run["invocations"][0]["executionSuccessful"] == (report.verdict != "unjudged")
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == len(report.not_checked)


def test_sarif_of_recorded_runs_keeps_to_its_schema() -> None:
    """The same of every recorded run; the messages are the findings' own."""
    seen = 0
    for report in golden_reports().values():
        log = json.loads(render(report, "sarif"))
        VALID.validate(log)
        for result, finding in zip(log["runs"][0]["results"], report.findings, strict=True):
            assert result["message"]["text"].replace("\\]", "]").startswith(finding.message)
            assert result["properties"]["rows"] == finding.rows
            seen += 1
    assert seen > 80


def test_sarif_guard_sees_a_misspelt_field() -> None:
    """The schema of this test is closed: a field that SARIF does not know is refused, and so is a raw path."""
    log = json.loads(render(lengths_ignored(), "sarif"))
    for change in ({"rule": "x"}, {"locations": [{"physicalLocation": {"artifactLocation": {"uri": "a b"}}}]}):
        log["runs"][0]["results"][0] |= change
        with pytest.raises(jsonschema.ValidationError):
            VALID.validate(log)


def test_sarif_messages_hold_no_links() -> None:
    """Text that looks like SARIF's embedded link stays text, and the place is a reference that decodes to the name."""
    result = json.loads(render(wicked(), "sarif"))["runs"][0]["results"][0]
    assert "[a\\](http://b)" in result["message"]["text"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(uri) == WICKED.replace("//", "/")
    assert render(nothing_known(), "sarif").count("artifactLocation") == 0


# JUnit
@pytest.mark.parametrize("make", [*REPORTS, wicked])
def test_junit_is_read_by_a_parser(make: Callable[[], ReportRecord]) -> None:
    """Well-formed whatever the texts hold; counts are the elements'; errors alone fail, as the exit code has it."""
    report = make()
    (suite,) = ElementTree.fromstring(render(report, "junit"))
    cases = suite.findall("testcase")
    assert int(suite.attrib["tests"]) == len(cases) >= 1
    assert int(suite.attrib["failures"]) == len(suite.findall(".//failure"))
    assert int(suite.attrib["skipped"]) == len(suite.findall(".//skipped"))
    assert len(suite.findall(".//failure")) == sum(finding.severity == "error" for finding in report.findings)
    assert bool(suite.findall(".//failure")) == report.reaches("error")
    assert not re.search("[\x00-\x08\x0b-\x1f\ufffe\uffff]", render(report, "junit"))
    assert all(list(case) for case in cases)


def test_junit_cases_say_what_they_stand_for() -> None:
    """A track with its rows, the finding with its fix, the unchecked rules; a warning passes and keeps its text."""
    (suite,) = ElementTree.fromstring(render(lengths_ignored(), "junit"))
    track, finding, *skipped = suite
    assert track.attrib["name"] == "final state of layer 0 forward"
    assert track.findtext("system-out") == "3 rows: 2 not as expected, 1 as expected"
    assert (finding.findtext("failure") or "").endswith(f"fix:\n  {lengths_ignored().findings[0].fix}")
    assert [case.find("skipped") is not None for case in skipped] == [True] * 3
    warned = replace(lengths_ignored(), findings=[a_finding(severity="warning")])
    assert (
        ElementTree.fromstring(render(warned, "junit"))
        .findtext("*/testcase[2]/system-out", "")
        .startswith("warning: rows 1")
    )
    (suite,) = ElementTree.fromstring(render(nothing_known(), "junit"))
    assert [case[0].tag for case in suite] == ["skipped"] * 3


# Markdown: read by markdown-it, which follows CommonMark and GitHub's tables.
def tokens(text: str) -> list[Token]:
    flat = []
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        flat += [token, *(token.children or [])]
    return flat


def plain_words(text: str) -> str:
    """What a reader sees, less the markup."""
    return "\n".join(t.content for t in tokens(text) if t.type in ("text", "text_special", "code_inline", "fence"))


@pytest.mark.parametrize("make", [hostile, wicked])
def test_markdown_of_hostile_text_is_text(make: Callable[[], ReportRecord]) -> None:
    """Names and messages give neither links, images, HTML, tables nor headings; they are read as they are."""
    made, plain = tokens(render(make(), "markdown")), tokens(render(lengths_ignored(), "markdown"))
    assert not [t for t in made if t.type in ("link_open", "image", "html_inline", "html_block", "s_open")]
    assert sum(t.type == "heading_open" for t in made) == sum(t.type == "heading_open" for t in plain)
    assert {t.type for t in made} <= {t.type for t in plain} | {"text_special"}
    cells = [t for t in made if t.type == "tr_open"]
    assert sum(t.type in ("td_open", "th_open") for t in made) in range(2 * len(cells), 4 * len(cells) + 1)


def test_markdown_shows_text_as_it_is() -> None:
    """Escapes are taken away again by the reader: the hostile name is read as it is, in text and in code."""
    inline = [
        "".join(c.content for c in t.children or [] if c.type in ("text", "text_special", "code_inline"))
        for t in MarkdownIt("gfm-like", {"linkify": False}).parse(render(hostile(), "markdown"))
        if t.type == "inline"
    ]
    assert sum(SHOWN.strip() in line for line in inline) >= 8


def test_markdown_cells_hold_their_whole_text() -> None:
    """A pipe in a name neither ends its cell nor loses the rest: each of the facts is read whole."""
    whole = WICKED.replace("\n", "\\n").replace("\r", "\\r").replace("\x00", "\\x00").replace("\ufffe", "\\ufffe")
    made = MarkdownIt("gfm-like", {"linkify": False}).parse(render(wicked(), "markdown"))
    cells = [
        "".join(c.content for c in inline.children or [])
        for opened, inline in pairwise(made)
        if opened.type == "td_open"
    ]
    assert sum(cell == whole for cell in cells) == 3


def test_markdown_says_the_verdict_the_rows_and_the_fix() -> None:
    """The same words as the terminal's, in a table a track; of many rows those with findings first."""
    text = plain_words(render(lengths_ignored(), "markdown"))
    for config in (
        "✗ 1 error",
        "lengths-ignored",
        "proven, explains 2 rows",
        "expected step 0, padding computed: steps 1:3",
    ):
        assert config in text
    assert "h = outputs[1, 2]" in "".join(text.splitlines())
    assert any(
        t.type == "fence" and "tf.nn.dynamic_rnn" in t.content for t in tokens(render(lengths_ignored(), "markdown"))
    )
    many = render(many_rows(), "markdown")
    assert re.findall(r"^\| ([✓✗]) (\d+)", many, re.MULTILINE) == [
        ("✓" if b not in (40, 61) else "✗", str(b)) for b in [40, 61, *range(18)]
    ]
    assert "and 44 more rows: all as expected" in many


# SVG
@pytest.mark.parametrize("make", [*REPORTS, wicked])
def test_svg_is_a_picture_of_the_table(make: Callable[[], ReportRecord]) -> None:
    """Well-formed, every line of the table is in it, and nothing in it is fetched or run."""
    report = make()
    picture = render(report, "svg", width=100)
    root = ElementTree.fromstring(picture)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    shown = "".join("".join(root.itertext()).split())
    for line in render(report, "table", width=100).splitlines():
        assert all(word in shown for word in line.split())
    assert {e.tag.split("}")[1] for e in root.iter()} <= {
        "svg",
        "style",
        "defs",
        "clipPath",
        "rect",
        "g",
        "text",
        "circle",
    }
    assert re.findall(r"https?://[^\s\"<&]+", re.sub(r">[^<]*<", "><", picture)) in (
        ["http://www.w3.org/2000/svg"],
        ["http://www.w3.org/2000/svg", "https://www.textualize.io"],
    )
    assert "url(http" not in picture.replace('url("', "url(")
    assert picture == render(report, "svg", width=100)


def test_an_unknown_format_is_named() -> None:
    """A misspelt name is answered with the nearest one."""
    with pytest.raises(UnknownNameError, match="did you mean 'sarif'"):
        render(worked_example(), "sariff")
