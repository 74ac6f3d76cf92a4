"""`rnninspect demo`: plants a mistake in a worked example and shows what the tool says; `--all` is a course of them."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from rnninspect import conventions
from rnninspect.cli import explain, options, output, taught
from rnninspect.cli.grouped import Grouped
from rnninspect.cli.taught import course
from rnninspect.diagnosis.fixes import fix_for
from rnninspect.diagnosis.rule import CannotInject, Example, Rule
from rnninspect.errors import UserError
from rnninspect.invariance.lessons import example_report, worked
from rnninspect.invariance.probe import Probe
from rnninspect.report.lessons import Worked, before_and_after
from rnninspect.report.record import ReportRecord

if TYPE_CHECKING:
    from rnninspect.report.renderers.course import Lesson as OnPage

TEXTS = {"table": "a screen each", "json": "one array", "ndjson": "the reports' lines", "html": "one page"}
WIDTH = 80
FRAMEWORK = "tf1"  # whose fix a lesson shows where none is stated


@click.command("demo", cls=Grouped)
@click.argument("rule", required=False, type=options.MISTAKE)
@click.option("--all", "every", is_flag=True, help="Show every mistake in turn: a five-minute course.")
@click.option(
    "--convention",
    type=options.CONVENTION,
    metavar="NAME",
    help="The framework of the example and of its fix (default: tf1).",
)
@options.report_options
@options.output_options
def command(rule: str | None, every: bool, **params: Any) -> int:
    """Put RULE's mistake into a correct example run, and show what rnninspect reports.

    Without RULE the correct example is shown. With --all every mistake is shown on a short screen of its own, from
    simple to difficult; in a terminal, press a key to go on to the next.

    \b
    rnninspect demo lengths-ignored
    rnninspect demo --all
    rnninspect demo --all --format html -o course.html
    """
    if every:
        if rule is not None:
            raise click.UsageError(f"--all shows every rule; leave out {rule!r}")
        _course(params)
        return 0
    chosen = None if rule is None else taught.get(explain.whole_name(rule))
    example: Example = "single" if chosen is None else chosen.example
    if chosen is not None:
        where = "a model that runs" if isinstance(chosen, Probe) else "a worked example"
        output.note(f"mistake put into {where}: {chosen.summary}", params["quiet"])
    report = _in_words_of(_report(example, chosen, params), params["convention"])
    output.show(report, params)
    return 0 if params["exit_zero"] or chosen is not None else output.exit_code(report, params)


def _report(example: Example, injected: Rule | None, params: dict[str, Any], whose: str | None = None) -> ReportRecord:
    """What is said of the example, right or with the mistake planted.

    Args: `whose`: the framework that runs it; None: the one that was asked for, or TensorFlow where a mistake needs
    padding that this one does not leave.
    """
    if isinstance(injected, Probe):
        return example_report(injected)
    from rnninspect.api import inspect
    from rnninspect.cli.inputs import judging

    case = _right(example, whose or params["convention"] or FRAMEWORK)
    name = "correct"
    if injected is not None:
        name = injected.name
        try:
            case = injected.inject(case)
        except CannotInject:
            if case.convention.name == FRAMEWORK:
                raise
            return _report(example, injected, params, FRAMEWORK)
    return inspect.inspect_case(case, "demo", source={"example": name}, **judging(params))


def _in_words_of(report: ReportRecord, convention: str | None) -> ReportRecord:
    """The report with each fix as that framework's users write it, which is said where the example is another's."""
    if convention is None:
        return report
    framework = conventions.get(convention)
    mistakes = taught.mistakes()
    fixed = [replace(f, fix=fix_for(mistakes[f.rule], framework)) if f.rule in mistakes else f for f in report.findings]
    whose = f"the example was run as {report.convention}; its fix is written for {convention}"
    notes = [*report.notes, whose] if fixed and convention != report.convention else report.notes
    return replace(report, findings=fixed, notes=notes)


@functools.cache
def _right(example: Example, convention: str) -> Any:
    from rnninspect.diagnosis.examples import runs

    return runs.case(example, convention)


@dataclass(frozen=True)
class Lesson:
    """One mistake of the course: its place in it, and the right and the planted report."""

    place: str
    group: str
    rule: Rule
    right: ReportRecord
    injected: ReportRecord
    framework: str

    @property
    def example(self) -> Worked:
        """What planting the mistake changed."""
        if isinstance(self.rule, Probe):
            return worked(self.rule, self.right, self.injected)
        return before_and_after(self.rule, self.right, self.injected)

    def text(self) -> str:
        """One screen: what it is, why it happens, the rows before and after, what is found, a fix."""
        body = explain.text(self.rule, self.framework, WIDTH, self.example, brief=True)
        return f"[{self.place}: {self.group}]\n{body}\n"

    def image(self) -> dict[str, Any]:
        """The same as plain values, every framework's fix and the whole report with them."""
        return {
            "group": self.group,
            **explain.image(self.rule, example=self.example),
            "report": self.injected.to_dict(),
        }

    def on_page(self) -> OnPage:
        """The same for the page of the whole course."""
        from rnninspect.report.renderers.course import Lesson

        image = explain.image(self.rule, example=self.example)
        return Lesson(self.group, image, explain.by_code(image["fixes"]), self.injected)


def _lessons(params: dict[str, Any]) -> Iterator[Lesson]:
    """Every rule in the order that teaches, made one by one."""
    right: dict[tuple[str, str], ReportRecord] = {}
    lessons = course()
    for i, (group, rule) in enumerate(lessons, 1):
        injected = _in_words_of(_report(rule.example, rule, params), params["convention"])
        live, whose = isinstance(rule, Probe), injected.convention
        example = ("live" if live else rule.example, whose)
        if example not in right:
            right[example] = example_report(None) if live else _report(rule.example, None, params, whose)
        framework = params["convention"] or FRAMEWORK
        yield Lesson(f"{i} of {len(lessons)}", group, rule, right[example], injected, framework)


def _course(params: dict[str, Any]) -> None:
    """Write the course as it was asked for; a person at a terminal turns the pages."""
    from rnninspect.report.renderers import render

    form, target = params["format_"], params["output"]
    if form not in TEXTS:
        raise UserError(f"--all has no format {form!r}; it has {', '.join(f'{k} ({v})' for k, v in TEXTS.items())}")
    lessons = _lessons(params)
    if form == "json":
        parts = iter([json.dumps([lesson.image() for lesson in lessons], indent=2) + "\n"])
    elif form == "html":
        parts = iter([_page(lessons)])
    elif form == "ndjson":
        parts = (render(lesson.injected, form) for lesson in lessons)
    else:
        parts = (lesson.text() for lesson in lessons)
    if target not in (None, "-"):
        output.write_text(target, ("\n" if form == "table" else "").join(parts))
        return
    paged = form == "table" and target is None and all(s is not None and s.isatty() for s in (sys.stdin, sys.stdout))
    for i, part in enumerate(parts):
        if i and paged and not _next_page():
            return
        click.echo(("\n" if i and form == "table" else "") + part, nl=False)


def _page(lessons: Iterator[Lesson]) -> str:
    """The whole course as one HTML page."""
    from rnninspect.report.renderers.course import page

    return page([lesson.on_page() for lesson in lessons])


def _next_page() -> bool:
    """Wait for a key; q ends the course."""
    click.echo("\nany key: the next one; q: stop ", nl=False, err=True)
    key = click.getchar()
    click.echo("", err=True)
    return key.lower() != "q"
