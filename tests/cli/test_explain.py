"""What `explain` and the course of `demo --all` say: complete, true to what is found now, and fit for a terminal."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import html
import json
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from rnninspect.cli import call, catalogue, demo, explain, taught
from rnninspect.cli.inputs import judging
from rnninspect.conventions import conventions
from rnninspect.diagnosis.examples import packaged
from rnninspect.diagnosis.fixes import fix_for
from rnninspect.diagnosis.rule import Group, Rule, Thread
from rnninspect.diagnosis.rules import rules
from rnninspect.report import lessons
from rnninspect.report.renderers.course import Lesson, page
from tests.support.places import ROOT
from tests.support.reports import worked_example
from tests.tools.make_demos import right, work

NAMES = [rule.name for _, rule in taught.course()]
MISTAKES: dict[str, Rule] = {rule.name: rule for _, rule in taught.course()}
GROUPS = list(dict.fromkeys(group for group, _ in taught.course()))
ADDRESS = re.compile(
    r"https://(github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+|discuss\.pytorch\.org/t/[\w-]+/\d+(/\d+)?)"
)


def printed_text(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command writes to stdout; it must succeed."""
    assert call(arguments) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_threads_are_public_and_told_in_a_sentence(name: str) -> None:
    """Every rule names one to three threads, each by the address of an issue, a pull request or a forum's topic."""
    threads = MISTAKES[name].threads
    assert 1 <= len(threads) <= 3
    for thread in threads:
        assert ADDRESS.fullmatch(thread.url)
        assert re.fullmatch(r"[A-Za-z0-9].{20,110}[.?]", thread.about)


def test_the_address_pattern_can_tell() -> None:
    """A repository, a search or a plain page is no thread."""
    for url in ("https://github.com/a/b", "http://github.com/a/b/issues/1", "https://github.com/search?q=lstm"):
        assert not ADDRESS.fullmatch(url)


def test_no_thread_is_told_twice() -> None:
    """A thread stands with one rule: the one that it is about."""
    urls = [thread.url for rule in MISTAKES.values() for thread in rule.threads]
    assert len(urls) == len(set(urls))


@pytest.mark.parametrize("name", NAMES)
def test_explain_prints_all_of_it(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """Summary, reason, worked example, every framework's code and every thread are there, within 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    rule = MISTAKES[name]
    text = printed_text(capsys, "explain", name)
    assert all(len(line) <= 80 or line.strip().startswith("https://") for line in text.splitlines())
    flat = "".join(text.split())
    example = lessons.recorded(name)
    assert example is not None
    parts = [rule.summary, rule.why, *rule.needs, example.summary, *example.before, *example.after]
    parts += [t for thread in rule.threads for t in (thread.url, thread.about)]
    parts += [] if rule.needs else ["Data it needs: only the final states."]
    for part in parts:
        assert "".join(part.split()) in flat, part
    for convention in conventions().values():
        assert convention.name in text
        for line in fix_for(rule, convention).splitlines():
            body, _, comment = line.partition("# ")
            assert "".join(body.split()) in flat
            assert "".join(comment.split()).replace("#", "") in flat.replace("#", "")


def test_one_framework_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """--convention leaves the other frameworks' code out."""
    text = printed_text(capsys, "explain", "lengths-ignored", "--convention", "torch")
    assert "How to fix it in torch:" in text
    assert "pack_padded_sequence" in text
    assert "dynamic_rnn(" not in text


def test_long_code_stays_code() -> None:
    """A line too long for the terminal has its comment above it and goes on below, with not a letter lost."""
    code = "final = paddle.gather_nd(outputs, paddle.stack([paddle.arange(B), lengths - 1], axis=1))  # the last step"
    lines = explain._code_lines(code, 60)
    assert lines[0] == "    # the last step"
    assert all(len(line) <= 60 for line in lines)
    assert "".join("".join(lines[1:]).split()) == "".join(code.partition("  #")[0].split())
    assert explain._code_lines("h = 1  # short", 60) == ["    h = 1  # short"]


def test_explain_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON holds what the text says; without a rule it is all of them, in the order that teaches."""
    one = json.loads(printed_text(capsys, "explain", "rows-permuted", "--format", "json"))
    assert one["rule"] == "rows-permuted"
    assert set(one["fixes"]) == set(conventions())
    assert [Thread(**t) for t in one["threads"]] == list(MISTAKES["rows-permuted"].threads)
    everything = json.loads(printed_text(capsys, "explain", "--format", "json"))
    assert [rule["rule"] for rule in everything] == NAMES
    assert one == everything[NAMES.index("rows-permuted")]


def test_explain_lists_every_rule_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a rule, every rule has its line under its group."""
    text = printed_text(capsys, "explain")
    assert re.findall(r"^  ([a-z-]+) \((?:error|warning|note)\):", text, re.M) == NAMES
    assert all(group in text.splitlines() for group in GROUPS)


def test_the_course_holds_every_rule() -> None:
    """Every rule is taught once, each group in one piece and in the order in which groups are listed."""
    assert sorted(NAMES) == sorted(MISTAKES)
    assert [group for group in get_args(Group) if group in {r.group for r in MISTAKES.values()}] == GROUPS
    assert [group for group, _ in groupby(group for group, _ in taught.course())] == GROUPS


def test_every_rule_here_has_its_place() -> None:
    """No packaged rule is left over for the end of the course, and no two stand at one place."""
    places = [(rule.group, rule.place) for rule in MISTAKES.values()]
    assert len(set(places)) == len(places)
    assert "Further" not in GROUPS


NEW_RULE = """
from rnninspect.diagnosis.rule import Proposal, Rule

class Nought(Rule):
    name = "state-is-nought"
    summary = "the final state is nought in every row"
    why = "Somebody wiped it."
    fix = "h = outputs[np.arange(len(outputs)), lengths - 1]  # take it again"

    def check(self, case):
        if not case.facts[0].final.any():
            yield Proposal(self.name, "nought", frozenset({(0, "forward", 0)}), kind="fact")

    def inject(self, case):
        return case.with_tracks(lambda t: type(t)(**{**vars(t), "final": t.final * 0, "cell": None}))

RULE = Nought()
"""


@pytest.fixture
def one_more_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One more file in the folder of rules, and nothing else changed."""
    (tmp_path / "state_is_nought.py").write_text(NEW_RULE, "utf-8")
    package = sys.modules["rnninspect.diagnosis.rules"]
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    rules.cache_clear()
    yield
    sys.modules.pop("rnninspect.diagnosis.rules.state_is_nought", None)
    monkeypatch.undo()
    rules.cache_clear()


@pytest.mark.usefixtures("one_more_rule")
def test_a_new_rule_is_one_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule that no other file knows is listed, explained, found with its fix, and taught last; nothing is missing."""
    name, code = "state-is-nought", "h = outputs[np.arange(len(outputs)), lengths - 1]"
    assert name in printed_text(capsys, "list", "rules")
    assert f"Further\n  {name} (error):" in printed_text(capsys, "explain")
    for arguments in (["explain", name], ["explain", name, "--convention", "torch"]):
        text = printed_text(capsys, *arguments)
        assert code in text
        assert "Example: the mistake" not in text  # there is no record of it yet
    findings = json.loads(printed_text(capsys, "demo", name, "-q", "--format", "json"))["findings"]
    assert [f["fix"] for f in findings if f["rule"] == name] == [rules()[name].fix]
    assert [rule.name for _, rule in taught.course()] == [*NAMES, name]
    monkeypatch.setattr(demo, "course", lambda: taught.course()[-2:])
    screens = printed_text(capsys, "demo", "--all").split("[2 of 2: Further]")
    assert len(screens) == 2
    assert name in screens[1]
    assert code in screens[1]


def test_rows_that_stay_are_not_shown() -> None:
    """Two equal reports have no before and after; one changed row has one line of each."""
    report = worked_example()
    rule = rules()["lengths-ignored"]
    same = lessons.before_and_after(rule, report, report)
    assert (same.before, same.after) == ((), ())
    track = report.tracks[0]
    row = dataclasses.replace(track.rows[1], status="none", steps=[], elsewhere=[], expected_step=0)
    moved = dataclasses.replace(track, rows=[track.rows[0], row, *track.rows[2:]])
    changed = lessons.before_and_after(rule, report, dataclasses.replace(report, tracks=[moved, *report.tracks[1:]]))
    assert len(changed.before) == len(changed.after) == 1
    assert "row 1" in changed.before[0]
    assert "h equals no step, expected step 0" in changed.after[0]


@functools.cache
def numbers_apart(text: str) -> tuple[str, list[float]]:
    """A text without its decimal fractions, which another machine rounds otherwise, and those; whole numbers stay."""
    pattern = r"\d+(?:\.\d+(?:e-?\d+)?|e-?\d+)"
    return re.sub(pattern, "#", text), [float(x) for x in re.findall(pattern, text)]


def assert_alike(text: str, wanted_text: str) -> None:
    (prose, values), (wanted_prose, wanted_values) = numbers_apart(text), numbers_apart(wanted_text)
    assert prose == wanted_prose, "run python -m tests.tools.make_demos and read what changed"
    assert values == pytest.approx(wanted_values, rel=0.3)


def test_the_likeness_can_tell() -> None:
    """Another step or another size is another text; the last digit of a rounding is not."""
    assert_alike("by 0.033, step 4", "by 0.034, step 4")
    for other in ("by 0.033, step 5", "by 0.33, step 4"):
        with pytest.raises(AssertionError):
            assert_alike("by 0.033, step 4", other)


@pytest.mark.parametrize("name", NAMES)
def test_records_are_what_demo_says(name: str) -> None:
    """The worked example that `explain` shows is the one that planting the mistake gives now."""
    now, then = work(MISTAKES[name]), lessons.recorded(name)
    assert then is not None
    assert (len(now.before), len(now.after)) == (len(then.before), len(then.after))
    for shown, wanted in zip(
        (now.example, now.summary, *now.before, *now.after),
        (then.example, then.summary, *then.before, *then.after),
        strict=True,
    ):
        assert_alike(shown, wanted)


def test_every_right_example_is_clean() -> None:
    """The runs in which mistakes are planted have none of their own."""
    assert {right(rule.example).verdict for rule in MISTAKES.values()} == {"clean"}


@pytest.fixture(scope="module", autouse=True)
def each_example_judged_once() -> Iterator[None]:
    """The course is asked for in several formats, and a report is the same in each."""
    judge, kept = demo._report, {}

    def report(example: Any, injected: Any, params: dict[str, Any], whose: str | None = None) -> Any:
        key = example, injected and injected.name, params["convention"], whose, repr(judging(params))
        if key not in kept:
            kept[key] = judge(example, injected, params, whose)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "_report", report)
        yield


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The whole course, as JSON in a file."""
    target = tmp_path_factory.mktemp("course") / "course.json"
    assert call(["demo", "--all", "-q", "--format", "json", "-o", str(target)]) == 0
    taught: list[dict[str, Any]] = json.loads(target.read_text("utf-8"))
    return taught


def test_every_lesson_names_its_mistake(course: list[dict[str, Any]]) -> None:
    """Each planted mistake is found first, and nothing else but what it implies."""
    assert [lesson["rule"] for lesson in course] == NAMES
    for lesson in course:
        findings = [finding["rule"] for finding in lesson["report"]["findings"]]
        assert findings[0] == lesson["rule"]
        assert set(findings[1:]) <= set(MISTAKES[lesson["rule"]].implies)


def test_lessons_carry_the_whole_explanation(course: list[dict[str, Any]]) -> None:
    """A lesson's JSON is explain's, with its group and its report."""
    for lesson in course:
        explanation = explain.image(MISTAKES[lesson["rule"]])
        assert {key: lesson[key] for key in explanation if key != "example"} == {
            k: v for k, v in explanation.items() if k != "example"
        }
        assert lesson["group"] == MISTAKES[lesson["rule"]].group
        assert lesson["report"]["source"] == {"example": lesson["rule"]}


def test_a_lesson_fits_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe the course is one text a rule, of at most 24 lines and 80 columns, and asks nobody for a key."""
    text = printed_text(capsys, "demo", "--all")
    screens = re.split(r"^(?=\[\d+ of \d+: )", text, flags=re.M)[1:]
    assert len(screens) == len(NAMES)
    for name, screen in zip(NAMES, screens, strict=True):
        lines = screen.rstrip().splitlines()
        assert lines[1].startswith(f"{name} (")
        assert len(lines) <= 24
        assert max(map(len, lines)) <= 80


PRINTED = [name for name in NAMES if MISTAKES[name].print_out]


def test_one_lesson_begins_with_a_print_out() -> None:
    """The file is stated by the rule, and `list samples` names it."""
    assert PRINTED
    assert {MISTAKES[name].print_out for name in PRINTED} <= {row[0] for row in catalogue.samples()}
    assert lessons.print_out(MISTAKES["lengths-ignored"]) is None


@pytest.mark.parametrize("name", PRINTED)
def test_a_print_out_gives_its_rule(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that the lesson shows, run as it stands, finds that rule and no other error in the print-out."""
    monkeypatch.chdir(ROOT)
    shown = re.search(r"^From a print-out: rnninspect (.+)$", printed_text(capsys, "explain", name), re.M)
    assert shown
    assert call([*shown[1].split(), "--format", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["source"]["format"] == "text"
    assert [f["rule"] for f in report["findings"] if f["severity"] == "error"] == [name]


@pytest.mark.parametrize("name", PRINTED)
def test_the_course_shows_the_print_out(name: str, course: list[dict[str, Any]], course_page: str) -> None:
    """The lesson carries the text and its command; the page shows them before the planted example."""
    lesson = next(lesson for lesson in course if lesson["rule"] == name)
    text = Path(packaged.path(str(MISTAKES[name].print_out))).read_text("utf-8")
    assert lesson["print_out"] == {
        "command": f"rnninspect compare sample_data/{MISTAKES[name].print_out}",
        "text": text,
    }
    article = re.search(rf'<article [^>]*id="{name}">.*?</article>', course_page, re.S)
    assert article
    told = html.unescape(article[0])
    assert (
        told.index(text.strip())
        < told.index(lesson["print_out"]["command"])
        < told.index("Example: the mistake made in a correct run")
    )


def test_a_key_turns_the_page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal a key turns the page and q closes the book."""
    keys = iter("nq")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "getchar", lambda: next(keys))
    text = printed_text(capsys, "demo", "--all")
    assert re.findall(rf"^\[(\d+) of {len(NAMES)}:", text, re.M) == ["1", "2"]
    assert next(keys, None) is None


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("--all", "gate-order"), "leave out 'gate-order'"), (("--all", "--format", "markdown"), "no format 'markdown'")],
    ids=["a rule as well", "a page format"],
)
def test_what_the_course_is_not(arguments: tuple[str, ...], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Contradictory wishes are one clear line and exit 2."""
    assert call(["demo", *arguments]) == 2
    assert word in capsys.readouterr().err


def test_one_line_of_ndjson_each(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As ndjson the course is the lines of its reports, each with its rule as the source."""
    few = [pair for pair in taught.course() if pair[1].name in ("wrong-layer", "rows-permuted")]
    monkeypatch.setattr(demo, "course", lambda: few)
    lines = [json.loads(line) for line in printed_text(capsys, "demo", "--all", "--format", "ndjson").splitlines()]
    assert [line["source"]["example"] for line in lines if line["kind"] == "summary"] == [
        "rows-permuted",
        "wrong-layer",
    ]
    assert {line["kind"] for line in lines} == {"row", "finding", "summary"}


class Nested(HTMLParser):
    """A page's tags, text, links and ids; an end tag that closes nothing, or the wrong element, fails."""

    VOID = ("meta", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]


def test_the_nesting_can_tell() -> None:
    """Elements that cross or stay open are seen."""
    for text in ("<p><b></p></b>", "<ul><li></ul>", "<p>"):
        with pytest.raises(AssertionError):
            Nested(text)


@pytest.fixture(scope="module")
def course_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The whole course, as a page in a file."""
    target = tmp_path_factory.mktemp("course") / "course.html"
    assert call(["demo", "--all", "-q", "--format", "html", "-o", str(target)]) == 0
    return target.read_text("utf-8")


def test_the_page_holds_the_course(course_page: str, course: list[dict[str, Any]]) -> None:
    """Every rule is an element of its own that the contents lead to; all that the JSON tells of it is said."""
    seen = Nested(course_page)
    assert [attributes["id"] for tag, attributes in seen.tags if tag == "article" and "id" in attributes] == NAMES
    ids = seen.values("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in seen.values("href") if link.startswith("#")} == set(ids) - {"contents"}
    for group in GROUPS:
        assert seen.text.count(group) >= 2
    for lesson in course:
        told = [lesson["summary"], lesson["why"], *lesson["example"].pop("before"), *lesson["example"].pop("after")]
        told += [*lesson["example"].values(), *(t["about"] for t in lesson["threads"])]
        for part in [*told, *(code.expandtabs(4).rstrip() for code in lesson["fixes"].values())]:
            assert part in seen.text, (lesson["rule"], part)


def test_the_page_asks_nothing(course_page: str) -> None:
    """Its only addresses are the threads, whose links say nothing of where they stand; it runs no script."""
    seen = Nested(course_page)
    threads = [thread.url for _, rule in taught.course() for thread in rule.threads]
    assert [link for link in seen.values("href") if not link.startswith("#")] == threads
    assert all(
        attributes.get("rel") == "noreferrer" for tag, attributes in seen.tags if attributes.get("href") in threads
    )
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in seen.tags}
    assert not seen.values("src") + seen.values("style")
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    bare = "".join(value for name in ("content", "class") for value in seen.values(name))
    assert "http:" not in bare
    assert "https:" not in bare
    styles = re.findall(r"<style>(.*?)</style>", course_page, re.S)
    assert not [style for style in styles if "url(" in style or "@import" in style]
    (policy,) = [value for value in seen.values("content") if value.startswith("default-src 'none'")]
    assert "script-src" not in policy
    for style in set(styles):
        assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy


def test_the_page_escapes_what_it_is_told(course_page: str) -> None:
    """Markup in any text of a lesson stays text, and an address that would run is no link."""
    bad = "<script>alert(1)</script>\"'&\x1b"
    rule = MISTAKES["gate-order"]
    explanation = explain.image(rule) | {"rule": bad, "summary": bad, "why": bad}
    explanation["example"] = {"of": bad, "before": [bad], "after": [bad], "found": bad}
    explanation["threads"] = [{"url": "javascript:alert(1)", "about": bad}, {"url": f'https://a"{bad}', "about": bad}]
    seen = Nested(page([Lesson(bad, explanation, {bad: [bad]}, right(rule.example))]))
    assert {tag for tag, _ in seen.tags} <= {tag for tag, _ in Nested(course_page).tags}
    assert seen.text.count("<script>alert(1)</script>\"'&\\x1b") == 15  # group and rule stand in the contents too
    assert not [link for link in seen.values("href") if link.startswith("javascript:")]


def test_the_page_goes_to_stdout(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without -o the same page is written to stdout, ending in one newline."""
    few = [pair for pair in taught.course() if pair[1].name in ("wrong-layer", "rows-permuted")]
    monkeypatch.setattr(demo, "course", lambda: few)
    text = printed_text(capsys, "demo", "--all", "--format", "html")
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")
    assert "2 of 2" in Nested(text).text


def test_the_course_runs_without_a_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A closed stdin, as in some services, is no terminal to wait for."""
    monkeypatch.setattr("sys.stdin", None)
    assert "lengths-ignored" in printed_text(capsys, "demo", "--all")
