"""The course of all mistakes as one HTML page that asks no network and runs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rnninspect._version import __version__
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import _text
from rnninspect.report.renderers._templates import asset, source, templates
from rnninspect.report.renderers.html import fragment


@dataclass(frozen=True)
class Lesson:
    """One mistake: its group, what `explain --format json` says of it, and the report in which it was planted.

    `codes`: the code of each fix with the frameworks that share it.
    """

    group: str
    rule: Mapping[str, Any]
    codes: Mapping[str, Sequence[str]]
    injected: ReportRecord


def page(lessons: Sequence[Lesson]) -> str:
    """The whole course, groups and lessons in the order given; MissingExtraError without jinja2."""
    style = f"{asset('page.css')}\n{asset('course.css')}"
    policy = f"default-src 'none'; style-src {source(style)} {source(asset('fragment.css'))}; base-uri 'none'"
    groups = [
        (group, [{**_lesson_texts(lesson), "number": number} for number, lesson in taught])
        for group, taught in groupby(enumerate(lessons, 1), key=lambda pair: pair[1].group)
    ]
    made = (
        templates()
        .get_template("course.html")
        .render(
            policy=f"{policy}; form-action 'none'", style=style, version=__version__, groups=groups, count=len(lessons)
        )
    )
    return made.rstrip() + "\n"


def _lesson_texts(lesson: Lesson) -> dict[str, Any]:
    """What the template says of one lesson; `report` is HTML that is escaped already."""
    rule = lesson.rule
    sign, _ = _text.severity(rule["severity"], _text.marks(ascii=False))
    return {**rule, "sign": sign, "codes": lesson.codes, "report": fragment(lesson.injected)}
